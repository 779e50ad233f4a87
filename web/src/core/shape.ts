/**
 * What a step looks like: its inputs, knobs and outputs, whatever its kind is; and the wires of a board.
 *
 * The palette knows ordinary kinds. A subgraph's ports become wires, or knobs where they feed a knob inside. Of a kind
 * nobody knows the joins that are there tell enough to draw it.
 */

import { boardAt, findBoard, own, subgraphId } from "./document";
import type {
  Definition,
  Document,
  Input,
  Join,
  Json,
  KnobDef,
  Link,
  NodeDef,
  OutputDef,
  Palette,
  Path,
  Port,
  Shape,
  Step,
  WireDef,
} from "./types";

/** The join that an input's value spells; null when it is a plain value. */
export function asJoin(value: unknown): Join | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const pair = (value as { join?: unknown }).join;
  if (!Array.isArray(pair) || pair.length !== 2 || Object.keys(value).length !== 1) return null;
  const [step, output] = pair as unknown[];
  return typeof step === "string" && typeof output === "string" ? { step, output } : null;
}

export const toInput = (join: Join): { join: [string, string] } => ({ join: [join.step, join.output] });

/** The joins in one input, in order. */
export function inputJoins(value: Input | undefined): Join[] {
  if (typeof value !== "object" || value === null) return [];
  if (!Array.isArray(value)) {
    const join = asJoin(value);
    return join ? [join] : [];
  }
  return value.map(asJoin).filter((one) => one !== null);
}

/** Whether an input holds a list with joins in it. */
export const isJoinList = (value: Input | undefined): value is Json[] =>
  Array.isArray(value) && value.some((one) => asJoin(one) !== null);

/** What has inputs. */
export type Fed = Pick<Step, "inputs">;

/** The wires into one step. `index` is the place in a list of joins. */
export function linksInto(id: string, step: Fed): Link[] {
  const links: Link[] = [];
  for (const [input, value] of Object.entries(step.inputs)) {
    if (typeof value !== "object" || value === null) continue;
    const list = Array.isArray(value) ? value : [value];
    list.forEach((one, index) => {
      const from = asJoin(one);
      if (from) links.push({ from, step: id, input, index });
    });
  }
  return links;
}

const linksOfSteps = new WeakMap<object, Link[]>();
const linksOfStep = new WeakMap<Fed, { id: string; links: Link[] }>();

/** All wires of a board, also those that lead nowhere. Kept as long as the steps are the same object. */
export function linksOf(board: { steps: Record<string, Fed> }): Link[] {
  const known = linksOfSteps.get(board.steps);
  if (known) return known;
  const links: Link[] = [];
  for (const [id, step] of Object.entries(board.steps)) {
    let made = linksOfStep.get(step);
    if (made?.id !== id) {
      made = { id, links: linksInto(id, step) };
      if (Object.isFrozen(step)) linksOfStep.set(step, made);
    }
    for (const link of made.links) links.push(link);
  }
  if (Object.isFrozen(board.steps)) linksOfSteps.set(board.steps, links);
  return links;
}

/** The wires that leave a step. */
export function linksFrom(board: { steps: Record<string, Fed> }, id: string): Link[] {
  return linksOf(board).filter((link) => link.from.step === id);
}

/** The key of a wire's bends in `Step.reroutes`: "input", or "input#index" in a list of joins. */
export const rerouteKey = (step: Step, input: string, index: number): string =>
  isJoinList(step.inputs[input]) ? `${input}#${index}` : input;

/** A name for a wire that stays the same while it is there. */
export const linkId = (link: Pick<Link, "step" | "input" | "index">): string =>
  `${link.step}\n${link.input}\n${link.index}`;

const shapes = new WeakMap<Palette, Map<string, Shape>>();
const definitionShapes = new WeakMap<Palette, WeakMap<object, Map<string, Shape | null>>>();

/** How a step is drawn and judged. */
export function shapeOf(document: Document, path: Path, id: string, palette: Palette): Shape {
  const board = boardAt(document, path);
  const step = own(board.steps, id);
  if (!step) return unknownShape("", {}, []);
  return kindShape(document, step.kind, palette) ?? guessed(board.steps, id, step);
}

/** The shape of a kind; null when nobody knows it. */
export function kindShape(document: Document, kind: string, palette: Palette): Shape | null {
  const subgraph = subgraphId(kind);
  if (!subgraph) {
    const def = palette.nodes.get(kind);
    if (!def) return null;
    const known = memo(shapes, palette, () => new Map<string, Shape>());
    let shape = known.get(kind);
    if (!shape) {
      shape = { ...def, known: true, subgraph: "" };
      known.set(kind, shape);
    }
    return shape;
  }
  if (!Object.isFrozen(document.definitions)) return subgraphShape(document, subgraph, palette);
  const kept = memo(
    memo(definitionShapes, palette, () => new WeakMap<object, Map<string, Shape | null>>()),
    document.definitions,
    () => new Map<string, Shape | null>(),
  );
  let shape = kept.get(subgraph);
  if (shape === undefined) {
    shape = subgraphShape(document, subgraph, palette);
    kept.set(subgraph, shape);
  }
  return shape;
}

function subgraphShape(document: Document, id: string, palette: Palette): Shape | null {
  const definition = own(document.definitions, id);
  if (!definition) return null;
  const wires: WireDef[] = [];
  const knobs: KnobDef[] = [];
  for (const port of definition.inputs) {
    const knob = knobOf(document, definition, port, palette);
    if (knob) knobs.push(knob);
    else wires.push(wireOf(document, definition, port, palette));
  }
  const outputs = definition.outputs.map((port) => ({ name: port.name, type: port.type, many: false, help: "" }));
  return {
    ...unknownShape(`subgraph/${id}`, {}, outputs),
    title: definition.title || id,
    help: typeof definition.extra.help === "string" ? definition.extra.help : "",
    wires,
    knobs,
    known: true,
    subgraph: id,
    output: holds(document, definition, palette, (one) => one.output),
    previews: holds(document, definition, palette, (one) => one.previews ?? false),
  };
}

/** The knob that a port sets inside, under the port's name and with the inner value as its default. */
function knobOf(document: Document, definition: Definition, port: Port, palette: Palette): KnobDef | null {
  const found = innermost(document, definition, port, palette);
  const knob = found?.def?.knobs.find((one) => one.name === found.input);
  if (!knob) return null;
  return { ...knob, name: port.name, default: found!.preset ?? knob.default, label: "" };
}

function wireOf(document: Document, definition: Definition, port: Port, palette: Palette): WireDef {
  const found = innermost(document, definition, port, palette);
  const wire = found?.def?.wires.find((one) => one.name === found.input);
  const fed = found !== null && inputJoins(found.step.inputs[found.input]).length > 0;
  return {
    name: port.name,
    type: port.type,
    optional: wire ? wire.optional || fed : true,
    lazy: wire?.lazy ?? false,
    many: wire?.many ?? false,
    help: wire?.help ?? "",
  };
}

/**
 * The ordinary step that a port's first end leads to, through subgraphs inside; null if it leads nowhere.
 * `preset` is the value that is set there, the outermost counting.
 */
function innermost(document: Document, definition: Definition, port: Port, palette: Palette) {
  let at: Definition = definition;
  let end = port.inner[0];
  let preset: Json = null;
  for (let depth = 0; end && depth <= Object.keys(document.definitions).length; depth += 1) {
    const step = own(at.steps, end[0]);
    const input = end[1].replace(/#\d+$/, "");
    if (!step) return null;
    const value = step.inputs[input];
    if (preset === null && value !== undefined && !inputJoins(value).length) preset = value as Json;
    const inside = own(document.definitions, subgraphId(step.kind));
    if (!inside) return { step, input, preset, def: palette.nodes.get(step.kind) ?? null };
    at = inside;
    end = inside.inputs.find((one) => one.name === input)?.inner[0];
  }
  return null;
}

/** Whether a subgraph has a step like this in it, however deep. */
function holds(
  document: Document,
  definition: Definition,
  palette: Palette,
  wanted: (one: NodeDef) => boolean,
): boolean {
  const seen = new Set([definition.id]);
  const work = [definition];
  for (let at = work.pop(); at; at = work.pop()) {
    for (const step of Object.values(at.steps)) {
      const def = palette.nodes.get(step.kind);
      if (def && wanted(def)) return true;
      const inside = own(document.definitions, subgraphId(step.kind));
      if (inside && !seen.has(inside.id)) {
        seen.add(inside.id);
        work.push(inside);
      }
    }
  }
  return false;
}

const readOf = new WeakMap<object, Map<string, Set<string>>>();

/** The names of the outputs that are read, by step. */
export function outputsRead(steps: Record<string, Fed>): ReadonlyMap<string, ReadonlySet<string>> {
  const frozen = Object.isFrozen(steps);
  let read = frozen ? readOf.get(steps) : undefined;
  if (!read) {
    read = new Map();
    for (const link of linksOf({ steps })) {
      const names = read.get(link.from.step) ?? new Set();
      read.set(link.from.step, names.add(link.from.output));
    }
    if (frozen) readOf.set(steps, read);
  }
  return read;
}

function guessed(steps: Record<string, Step>, id: string, step: Step): Shape {
  const outputs = [...(outputsRead(steps).get(id) ?? [])].map((name) => ({ name, type: "ANY", many: false, help: "" }));
  return unknownShape(step.kind, step.inputs, outputs);
}

function unknownShape(kind: string, inputs: Record<string, Input>, outputs: OutputDef[]): Shape {
  const wires = Object.entries(inputs).flatMap(([name, value]): WireDef[] =>
    inputJoins(value).length
      ? [{ name, type: "ANY", optional: true, lazy: false, many: isJoinList(value), help: "" }]
      : [],
  );
  return {
    kind,
    title: kind.split("/").at(-1) ?? kind,
    category: "",
    help: "",
    wires,
    knobs: [],
    outputs,
    version: 0,
    purity: "pure",
    output: false,
    deprecated: "",
    experimental: false,
    known: false,
    subgraph: "",
  };
}

/** What a step is called: its own title, or its kind's. */
export function titleOf(document: Document, path: Path, id: string, palette: Palette): string {
  const step = findBoard(document, path) && own(boardAt(document, path).steps, id);
  return step?.title || shapeOf(document, path, id, palette).title || id;
}

/** A knob's value as it is shown: the step's own, or the usual one. */
export function knobValue(step: Step, knob: KnobDef): Json {
  const value = step.inputs[knob.name];
  return value === undefined || value === null || inputJoins(value).length ? knob.default : (value as Json);
}

function memo<K extends object, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
