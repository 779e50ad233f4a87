/**
 * A document as what runs: subgraphs opened, muted steps and what needs them left out, wires led past bypassed ones.
 *
 * The rules of `graph_runtime/subgraphs.py` and `Document.graph`; shared fixtures hold both to one result. The steps
 * inside a subgraph step `big` are called "big/mix". No recursion, and bounds on what a small document can grow to.
 */

import { notRunning, sourcePast, waysThrough } from "./bypass";
import { own, SUBGRAPH, subgraphId } from "./document";
import { asJoin, inputJoins, isJoinList, toInput } from "./shape";
import type { Definition, Document, Input, Join, Json, Mode, Palette, Path, Port, Problem, Step } from "./types";
import { grouped, quoted } from "./wording";

export const MAX_STEPS = 10_000;
const MAX_ID = 4096;
const MAX_JOINS = 200_000;
const AT_THE_END = 1_000_000;

export interface GraphStep {
  kind: string;
  inputs: Record<string, Input>;
}

export interface Graph {
  steps: Record<string, GraphStep>;
  targets: string[];
}

export interface FlatStep extends GraphStep {
  mode: Mode;
}

export interface Flat {
  steps: Record<string, FlatStep>;
  targets: string[];
  problems: Problem[];
  /** Those for which nothing of it may run. */
  stops: Problem[];
}

/** What a port brings to an input inside, and the place it has in a list there. */
export type Brought = { input: string; at: number | null; value: Json };

/** What is submitted for a run; `wanted` may name subgraphs, which stand for what they give. */
export function graphOf(document: Document, palette: Palette, wanted: readonly string[] = document.targets): Graph {
  const { steps, targets } = running(document, flatten(document, palette, wanted), palette);
  return { steps: mapValues(steps, ({ kind, inputs }) => ({ kind, inputs })), targets };
}

/** A flat document without what is muted and with wires led past what is bypassed. */
export function running(document: Document, flat: Flat, palette: Palette): Graph {
  const off = new Set<string>();
  let muted = false;
  for (const id in flat.steps) {
    const { mode } = flat.steps[id]!;
    if (mode === "bypassed") off.add(id);
    else if (mode === "muted") muted = true;
  }
  if (!off.size && !muted) return { steps: flat.steps, targets: flat.targets };
  let steps: Record<string, FlatStep> = flat.steps;
  if (off.size) {
    const past = (join: Join): Join | null =>
      sourcePast(flat.steps, join, off, (step) => waysThrough(document, step, palette));
    steps = mapSteps(flat.steps, (id, step) => (off.has(id) ? null : { ...step, inputs: led(step.inputs, past) }));
  }
  if (muted) {
    const gone = notRunning({ steps });
    steps = mapSteps(steps, (id, step) => (gone.has(id) ? null : step));
    return { steps, targets: flat.targets.filter((id) => !gone.has(id) && !off.has(id)) };
  }
  return { steps, targets: flat.targets.filter((id) => !off.has(id)) };
}

function led(inputs: Record<string, Input>, past: (join: Join) => Join | null): Record<string, Input> {
  return mapValues(inputs, (value) => {
    if (isJoinList(value)) {
      return value.flatMap((one): Json[] => {
        const join = asJoin(one);
        if (!join) return [one];
        const made = past(join);
        return made ? [toInput(made)] : [];
      });
    }
    const join = asJoin(value);
    if (!join) return value;
    const made = past(join);
    return made ? toInput(made) : null;
  });
}

/** Put what is inside in place of each subgraph that is on. */
export function flatten(document: Document, palette: Palette, wanted: readonly string[] = document.targets): Flat {
  if (!Object.keys(document.steps).some((id) => document.steps[id]!.kind.startsWith(SUBGRAPH))) {
    return { steps: document.steps, targets: [...new Set(wanted)], problems: [], stops: [] };
  }
  const work = new Flattening(document.definitions);
  work.open(document.steps);
  work.lead();
  const targets = new Set([...new Set(wanted)].flatMap((id) => work.wanted(id, palette)));
  return { steps: Object.fromEntries(work.leaves), targets: [...targets], problems: work.problems, stops: work.stops };
}

interface Frame {
  prefix: string;
  definition: string;
  steps: Iterator<[string, Step]>;
  fed: Map<string, Brought[]>;
}

/** One walk. `opened` are the subgraphs replaced, with the span of `leaves` that their insides take. */
class Flattening {
  readonly leaves = new Map<string, FlatStep>();
  readonly problems: Problem[] = [];
  readonly stops: Problem[] = [];
  private readonly opened = new Map<string, { inside: Definition; kind: string; first: number; last: number }>();
  private readonly ledOn = new Map<string, { at: Join; why: string }>();
  private order: string[] = [];
  private joins = 0;

  constructor(private readonly definitions: Record<string, Definition>) {}

  private wrong(code: string, step: string, field: string, what: string, fix: string, stop = false): void {
    const problem = { code, place: field ? `${step}.${field}` : step || "graph", what, fix, step, field };
    this.problems.push(problem);
    if (stop) this.stops.push(problem);
  }

  open(steps: Record<string, Step>): void {
    const stack: Frame[] = [{ prefix: "", definition: "", steps: Object.entries(steps).values(), fed: new Map() }];
    const active = new Set<string>();
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      const next = frame.steps.next();
      if (next.done) {
        stack.pop();
        active.delete(frame.definition);
        if (stack.length) this.opened.get(frame.prefix.slice(0, -1))!.last = this.leaves.size;
        continue;
      }
      const [name, step] = next.value;
      const { prefix, fed } = frame;
      const id = prefix + name;
      const inputs = new Map(
        Object.entries(step.inputs).map(([key, value]) => [key, prefixed(value, prefix)] as const),
      );
      this.deliver(inputs, fed.get(name) ?? []);
      if (this.leaves.has(id) || this.opened.has(id)) {
        const what = "this id is taken by a step inside a subgraph.";
        this.wrong("bad-id", id, "", what, "Give the outer step another id.", true);
      } else if (this.opens(id, step, active)) {
        const below = step.kind.slice(SUBGRAPH.length);
        const inside = this.definitions[below]!;
        this.opened.set(id, { inside, kind: step.kind, first: this.leaves.size, last: this.leaves.size });
        active.add(below);
        const brought = this.feed(id, step.kind, inside, inputs);
        stack.push({ prefix: `${id}/`, definition: below, steps: Object.entries(inside.steps).values(), fed: brought });
      } else this.leaves.set(id, { kind: step.kind, inputs: Object.fromEntries(inputs), mode: step.mode });
    }
  }

  /** Whether a step is a subgraph to be replaced. One that is off is led past or left out as a whole. */
  private opens(id: string, step: Step, active: ReadonlySet<string>): boolean {
    if (!step.kind.startsWith(SUBGRAPH) || step.mode !== "on") return false;
    const name = step.kind.slice(SUBGRAPH.length);
    if (!Object.hasOwn(this.definitions, name)) {
      const what = `there is no subgraph ${quoted(name)} in this workflow.`;
      this.wrong("unknown-node", id, "", what, "Remove the step, or paste one that brings the subgraph with it.");
    } else if (active.has(name)) {
      const way = [...active];
      const path = [...way.slice(way.indexOf(name)).slice(0, 12), name].join(" → ");
      this.wrong("subgraph-cycle", id, "", `the subgraph contains itself: ${path}.`, "Remove this step.", true);
    } else if (Array.from(id).length > MAX_ID) {
      const start = Array.from(id).slice(0, 80).join("");
      this.wrong("subgraph-too-deep", start, "", "it is nested too deep.", "Nest it less.", true);
    } else if (this.leaves.size + this.opened.size >= 2 * MAX_STEPS) {
      if (!this.stops.some((one) => one.code === "too-many-steps")) {
        const what = `with its subgraphs it has more than ${grouped(2 * MAX_STEPS)} steps.`;
        this.wrong("too-many-steps", "", "", what, "Split it.", true);
      }
    } else return true;
    return false;
  }

  private feed(id: string, kind: string, inside: Definition, inputs: Map<string, Input>): Map<string, Brought[]> {
    const fed = new Map<string, Brought[]>();
    for (const [name, value] of inputs) {
      const port = inside.inputs.find((one) => one.name === name);
      if (!port) this.wrong("unknown-input", id, name, `${kind} has no input called ${quoted(name)}.`, "Remove it.");
      if (!port || value === null) continue;
      for (const [step, end] of port.inner) {
        const brought = { ...placeOf(end), value: value as Json };
        const known = fed.get(step);
        if (known) known.push(brought);
        else fed.set(step, [brought]);
      }
    }
    return fed;
  }

  private deliver(inputs: Map<string, Input>, fed: Brought[]): void {
    this.joins += fed.reduce((sum, { value }) => sum + (Array.isArray(value) ? value.length : 1), 0);
    if (this.joins <= MAX_JOINS) deliver(inputs, fed);
    else if (!this.stops.some((one) => one.code === "too-many-joins")) {
      const what = `its ports bring more than ${grouped(MAX_JOINS)} values.`;
      this.wrong("too-many-joins", "", "", what, "Split it.", true);
    }
  }

  /** Lead every join to a subgraph's output on to the step inside that gives it. */
  lead(): void {
    for (const [id, step] of this.leaves) {
      for (const [name, value] of Object.entries(step.inputs)) {
        const source = (part: Json): Json => {
          const join = asJoin(part);
          return join && this.opened.has(join.step) ? toInput(this.source(join, id, name)) : part;
        };
        if (isJoinList(value)) step.inputs[name] = value.map(source);
        else if (asJoin(value)) step.inputs[name] = source(value as Json);
      }
    }
  }

  private source(join: Join, id: string, field: string): Join {
    const { at, why } = this.follow(join);
    const place = `${at.step}.${at.output}`;
    if (why === "open-port") {
      const fix = "Open the subgraph and join something to it, or cut this wire.";
      this.wrong(why, id, field, `is joined to ${place}, and nothing inside is joined to that output.`, fix);
    } else if (why) {
      const { kind } = this.opened.get(at.step)!;
      this.wrong(why, id, field, `is joined to ${place}, but ${kind} has no such output.`, "Cut this wire.");
    }
    return at;
  }

  private follow(join: Join): { at: Join; why: string } {
    const key = JSON.stringify([join.step, join.output]);
    let found = this.ledOn.get(key);
    if (found) return found;
    found = { at: join, why: "" };
    for (let open = this.opened.get(join.step); open && !found.why; open = this.opened.get(found.at.step)) {
      const { output, step }: Join = found.at;
      const port: Port | undefined = open.inside.outputs.find((one) => one.name === output);
      const end = port?.inner[0];
      if (!end) found.why = port ? "open-port" : "unknown-output";
      else found.at = { step: `${step}/${end[0]}`, output: end[1] };
    }
    this.ledOn.set(key, found);
    return found;
  }

  /** The steps that a target stands for: of a subgraph what its ports give and its output nodes, or else all. */
  wanted(target: string, palette: Palette): string[] {
    const open = this.opened.get(target);
    if (!open) return [target];
    const given = open.inside.outputs.flatMap((port) => {
      const { at, why } = this.follow({ step: target, output: port.name });
      return !why && this.leaves.has(at.step) ? [at.step] : [];
    });
    if (this.order.length !== this.leaves.size) this.order = [...this.leaves.keys()];
    const within = this.order.slice(open.first, open.last);
    const outputs = within.filter((id) => palette.nodes.get(this.leaves.get(id)!.kind)?.output);
    return given.length || outputs.length ? [...given, ...outputs] : within;
  }
}

/** Put what ports bring among a step's own inputs: into the list where there is one, else in place of what is there. */
export function deliver(inputs: Map<string, Input>, fed: readonly Brought[]): void {
  const lists = new Map<string, { at: number; value: Json }[]>();
  for (const { input, at, value } of fed) {
    if (at !== null || isJoinList(inputs.get(input))) {
      const known = lists.get(input);
      const one = { at: at ?? AT_THE_END, value };
      if (known) known.push(one);
      else lists.set(input, [one]);
    } else inputs.set(input, value);
  }
  for (const [name, brought] of lists) {
    const value = inputs.get(name) ?? null;
    inputs.set(name, woven(value === null ? [] : Array.isArray(value) ? value : [value as Json], brought));
  }
}

/**
 * The steps that a step of the flat graph is or is inside of, from the outside in: "a/b/c" is `c` on some subgraph's
 * board (`board` is its id, "" the document's own), inside `b`, inside `a`. `rest` is what is still further in.
 */
export function levels(document: Document, flatId: string): { board: string; step: string; rest: string }[] {
  const found: { board: string; step: string; rest: string }[] = [];
  let steps: Record<string, Step> | undefined = document.steps;
  let board = "";
  let rest = flatId;
  while (steps && rest) {
    const slash: number = Object.hasOwn(steps, rest) ? -1 : rest.indexOf("/");
    const step: string = slash < 0 ? rest : rest.slice(0, slash);
    rest = slash < 0 ? "" : rest.slice(slash + 1);
    found.push({ board, step, rest });
    board = subgraphId(own(steps, step)?.kind ?? "");
    steps = board ? own(document.definitions, board)?.steps : undefined;
  }
  return found;
}

/** The step of a board that stands for a step of the flat graph: where its progress is shown; "" if none does. */
export function shownOn(document: Document, path: Path, flatId: string): string {
  const here = path.at(-1) ?? "";
  return levels(document, flatId).find((one) => one.board === here)?.step ?? "";
}

/** "values#2" is the third place in the list of `values`. */
export function placeOf(end: string): { input: string; at: number | null } {
  const found = /^(.*)#([0-9]{1,6})$/s.exec(end);
  return found ? { input: found[1]!, at: Number(found[2]) } : { input: end, at: null };
}

function prefixed(value: Input, prefix: string): Input {
  if (!prefix || !inputJoins(value).length) return value;
  const one = (part: Json): Json => {
    const join = asJoin(part);
    return join ? toInput({ step: prefix + join.step, output: join.output }) : part;
  };
  return Array.isArray(value) ? value.map(one) : one(value as Json);
}

/** A list of joins with what ports bring in the places they have in it. */
function woven(mine: Json[], brought: { at: number; value: Json }[]): Json[] {
  const ports = [...brought].sort((a, b) => a.at - b.at);
  const made: Json[] = [];
  let next = 0;
  let nextPort = 0;
  for (let place = 0; next < mine.length || nextPort < ports.length; place += 1) {
    const port = ports[nextPort];
    if (port && (next >= mine.length || port.at <= place)) {
      if (Array.isArray(port.value)) made.push(...port.value);
      else made.push(port.value);
      nextPort += 1;
    } else {
      made.push(mine[next]!);
      next += 1;
    }
  }
  return made;
}

function mapValues<T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function mapSteps<T, U>(steps: Record<string, T>, change: (id: string, step: T) => U | null): Record<string, U> {
  const made: [string, U][] = [];
  for (const [id, step] of Object.entries(steps)) {
    const one = change(id, step);
    if (one !== null) made.push([id, one]);
  }
  return Object.fromEntries(made);
}
