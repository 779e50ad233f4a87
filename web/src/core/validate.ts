/**
 * Every Problem in a document, by the rules, codes, places and words of `graph_runtime/validate.py`.
 *
 * One walk over what runs, so that a document of a thousand steps is judged between two frames. Shared fixtures
 * (`tests/fixtures/graphs`) hold both sides to the same answer.
 */

import { closeMatches } from "./close";
import { own } from "./document";
import { flatten, type Graph, type GraphStep, levels, MAX_STEPS, running } from "./flatten";
import { knobProblem } from "./knobs";
import { asJoin, inputJoins, isJoinList } from "./shape";
import type { Document, Input, Join, Json, KnobDef, NodeDef, Palette, Path, Problem, WireDef } from "./types";
import { fits, knobWireType } from "./typing";
import { grouped, quoted, shortened, spelled } from "./wording";

/** Suggestions are dear (each compares with every name there is), so only the first few get them. */
const SUGGESTIONS = 20;
const SHOWN_OF_A_CYCLE = 12;
const MOST_CYCLES = 10;
const HUGE = 2 ** 64;

/** All that is wrong with a document; inner steps are called "outer/inner". Empty if it can run. */
export function validate(document: Document, palette: Palette): Problem[] {
  const flat = flatten(document, palette);
  const found = validateGraph(running(document, flat, palette), palette);
  if (!flat.problems.length) return found;
  const said = new Set(flat.problems.map((one) => JSON.stringify([one.step, one.field])));
  const again = ["unknown-node", "unknown-step", "bad-id"];
  const fresh = found.filter((one) => !again.includes(one.code) || !said.has(JSON.stringify([one.step, one.field])));
  return [...flat.problems, ...fresh];
}

/** All that is wrong with a graph, in the order of its steps. */
export function validateGraph(graph: Graph, palette: Palette): Problem[] {
  const check = new Check(graph, palette);
  for (const id of check.ids) check.step(id, graph.steps[id]!);
  check.targets();
  if (check.backwards) check.problems.push(...cycles(graph, check.ids));
  return check.problems;
}

/** A NodeDef as the walk asks for it. */
interface Form {
  wires: Map<string, WireDef>;
  knobs: Map<string, KnobDef>;
  /** The wire type of each input that takes one value. */
  takes: Map<string, string>;
  required: WireDef[];
  outputs: Map<string, string>;
  names: string[];
}

const forms = new WeakMap<NodeDef, Form>();

function formOf(def: NodeDef): Form {
  let form = forms.get(def);
  if (!form) {
    const knobs = new Map(def.knobs.map((one) => [one.name, one]));
    form = {
      wires: new Map(def.wires.filter((one) => !knobs.has(one.name)).map((one) => [one.name, one])),
      knobs,
      takes: new Map([
        ...def.wires.filter((one) => !one.many).map((one) => [one.name, one.type] as const),
        ...def.knobs.map((one) => [one.name, knobWireType(one)] as const),
      ]),
      required: def.wires.filter((one) => !one.optional),
      outputs: new Map(def.outputs.map((one) => [one.name, one.type])),
      names: [...new Set([...def.wires.map((one) => one.name), ...def.knobs.map((one) => one.name)])],
    };
    forms.set(def, form);
  }
  return form;
}

class Check {
  readonly problems: Problem[] = [];
  readonly ids: string[];
  /** A join to a step further on: only then can there be a cycle. */
  backwards = false;
  private readonly passed = new Map<string, Form | null>();
  private suggestions = SUGGESTIONS;

  constructor(
    private readonly graph: Graph,
    private readonly palette: Palette,
  ) {
    this.ids = Object.keys(graph.steps);
  }

  private wrong(code: string, step: string, field: string, what: string, fix: string): void {
    this.problems.push({ code, place: field ? `${step}.${field}` : step, what, fix, step, field });
  }

  private form(kind: string): Form | null {
    const def = this.palette.nodes.get(kind);
    return def ? formOf(def) : null;
  }

  step(id: string, step: GraphStep): void {
    const form = this.form(step.kind);
    if (!form) this.unknownKind(id, step.kind);
    const { inputs } = step;
    for (const name in inputs) {
      const value = inputs[name] as Input;
      if (value !== null && !this.obviouslyRight(form, name, value)) this.input(id, step, form, name, value);
    }
    for (const wire of form?.required ?? []) {
      if ((own(inputs, wire.name) ?? null) === null) {
        const fix = `Join an output of type ${wire.type} to it.`;
        this.wrong("missing-wire", id, wire.name, `needs ${wire.type}, and nothing is joined to it.`, fix);
      }
    }
    this.passed.set(id, form);
  }

  private obviouslyRight(form: Form | null, name: string, value: Json | { join: unknown }): boolean {
    if (!form) return false;
    if (typeof value === "number") {
      const knob = form.knobs.get(name);
      if (knob?.type !== "FLOAT" && !(knob?.type === "INT" && Number.isInteger(value) && Math.abs(value) <= HUGE))
        return false;
      return (
        value >= (knob.min ?? -Number.MAX_VALUE) && value <= (knob.max ?? Number.MAX_VALUE) && Math.abs(value) <= HUGE
      );
    }
    if (typeof value === "string") {
      const type = form.knobs.get(name)?.type;
      return type === "STRING" || type === "FILE";
    }
    const join = asJoin(value);
    const source = join && this.passed.get(join.step);
    return !!source && source.outputs.get(join.output) === form.takes.get(name) && form.takes.has(name);
  }

  private input(id: string, step: GraphStep, form: Form | null, name: string, value: Input): void {
    const knob = form?.knobs.get(name) ?? null;
    const wire = form?.wires.get(name) ?? null;
    const join = asJoin(value);
    if (form && !knob && !wire) {
      const what = `${step.kind} has no input called ${quoted(name)}.`;
      this.wrong("unknown-input", id, name, what, this.suggest(name, form.names, "Remove it."));
    } else if (join) this.join(id, name, wire, knob, join);
    else if (isJoinList(value)) this.several(id, name, wire, knob, value);
    else if (wire || knob) this.value(id, name, wire, knob, value as Json);
  }

  private join(id: string, name: string, wire: WireDef | null, knob: KnobDef | null, join: Join): void {
    const given = this.typeGiven(id, name, join);
    const takes = wire ? wire.type : knob && knobWireType(knob);
    if (given === null || takes === null || fits(given, takes)) return;
    const what = `takes ${takes}, but ${join.step ? `${join.step}.${join.output}` : `the expanding step's ${join.output}`} gives ${given}.`;
    this.wrong("wrong-type", id, name, what, `Put a node between them that turns ${given} into ${takes}.`);
  }

  /** The type of what a join leads to; null, and a Problem where it is due, when it leads nowhere. */
  private typeGiven(id: string, name: string, join: Join): string | null {
    const source = own(this.graph.steps, join.step);
    if (!source) {
      const what = `is joined to ${quoted(join.step)}, and there is no such step.`;
      this.wrong(
        "unknown-step",
        id,
        name,
        what,
        this.suggest(join.step, this.ids, "Cut this wire, or join it elsewhere."),
      );
      return null;
    }
    if (!this.passed.has(join.step)) this.backwards = true;
    const form = this.form(source.kind);
    if (!form) return null; // said once, at that step
    const given = form.outputs.get(join.output);
    if (given !== undefined) return given;
    const what = `is joined to ${join.step}.${join.output}, but ${source.kind} has no such output.`;
    this.wrong(
      "unknown-output",
      id,
      name,
      what,
      this.suggest(join.output, [...form.outputs.keys()], "It has none: cut this wire."),
    );
    return null;
  }

  private several(id: string, name: string, wire: WireDef | null, knob: KnobDef | null, value: readonly Json[]): void {
    if (knob || (wire && !wire.many)) {
      const what = `takes one value, but ${value.length} are joined to it.`;
      this.wrong("too-many", id, name, what, "Keep one of them.");
    }
    for (const one of value) {
      const join = asJoin(one);
      if (join) this.join(id, name, wire, knob, join);
      else if (wire || knob) this.value(id, name, wire, knob, one);
    }
  }

  private value(id: string, name: string, wire: WireDef | null, knob: KnobDef | null, value: Json): void {
    if (wire) {
      const given = valueType(value);
      if (wire.many && Array.isArray(value)) for (const one of value) this.value(id, name, wire, null, one);
      else if (!fits(given, wire.type)) {
        const what = `takes ${wire.type}, but ${shown(value)} was given.`;
        this.wrong("wrong-type", id, name, what, `Join an output of type ${wire.type} to it.`);
      }
      return;
    }
    const problem = knob && knobProblem(id, knob, value);
    if (problem) this.problems.push(problem);
  }

  private unknownKind(id: string, kind: string): void {
    const pack = kind.split("/")[0]!;
    const kinds = [...this.palette.nodes.keys()];
    const there = kinds.some((one) => one.split("/")[0] === pack);
    const otherwise = there ? "Remove the step." : `Install the pack ${quoted(pack)}, or remove the step.`;
    this.wrong("unknown-node", id, "", `there is no node ${quoted(kind)}.`, this.suggest(kind, kinds, otherwise));
  }

  /** The names that come close, as the fix. */
  private suggest(name: string, known: readonly string[], otherwise: string): string {
    if (this.suggestions <= 0) return otherwise;
    this.suggestions -= 1;
    const near = closeMatches(Array.from(name).slice(0, 100).join(""), known.slice(0, MAX_STEPS));
    return near.length ? `Did you mean ${near.map(quoted).join(" or ")}?` : otherwise;
  }

  targets(): void {
    const { graph, ids } = this;
    const global = (code: string, place: string, what: string, fix: string): void => {
      this.problems.push({ code, place, what, fix, step: "", field: "" });
    };
    if (Object.hasOwn(graph.steps, "")) global("bad-id", "graph", "a step's id is empty.", "Give it one.");
    for (const id of graph.targets) {
      if (Object.hasOwn(graph.steps, id)) continue;
      const fix = this.suggest(id, ids, "Want a step that is there.");
      global("unknown-target", "targets", `${quoted(id)} is wanted, and there is no such step.`, fix);
    }
    if (ids.length > MAX_STEPS) {
      const what = `it has ${grouped(ids.length)} steps; at most ${grouped(MAX_STEPS)} are run.`;
      global("too-many-steps", "graph", what, "Split it.");
    }
    const wanted = graph.targets.length > 0 || ids.some((id) => this.palette.nodes.get(graph.steps[id]!.kind)?.output);
    if (!wanted && !this.problems.some((one) => one.code === "unknown-node")) {
      const fix = "Add an output node, for example one that saves a picture.";
      global("no-output", "graph", "no step gives anything to keep.", fix);
    }
  }
}

/** The wire type of a plain value. A whole number is an integer: JSON does not tell 2 from 2.0. */
export function valueType(value: Json): string {
  if (typeof value === "boolean") return "BOOLEAN";
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < 1e21 ? "INT" : "FLOAT";
  if (typeof value === "string") return "STRING";
  return value === null ? "ANY" : "JSON";
}

function shown(value: Json): string {
  const type = valueType(value);
  return type === "BOOLEAN" || type === "FLOAT" || type === "STRING"
    ? `${type} ${shortened(spelled(value), 60)}`
    : type;
}

/** One Problem for each way that steps wait for themselves: p → q → p, each arrow "waits for". */
function cycles(graph: Graph, ids: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const done = new Set<string>();
  for (const start of ids) {
    if (done.has(start) || problems.length >= MOST_CYCLES) continue;
    const trail = new Map([[start, sources(graph.steps[start]!)]]);
    const way = [start];
    for (let id = way.at(-1); id !== undefined; id = way.at(-1)) {
      let deeper = false;
      for (const source of trail.get(id)!) {
        if (trail.has(source) && problems.length < MOST_CYCLES) problems.push(cycle(way.slice(way.indexOf(source))));
        else if (!done.has(source) && !trail.has(source) && Object.hasOwn(graph.steps, source)) {
          trail.set(source, sources(graph.steps[source]!));
          way.push(source);
          deeper = true;
          break;
        }
      }
      if (deeper) continue;
      done.add(id);
      trail.delete(id);
      way.pop();
    }
  }
  return problems;
}

function sources(step: GraphStep): IterableIterator<string> {
  const found = Object.values(step.inputs).flatMap((value) => inputJoins(value).map((join) => join.step));
  return resumable(found.filter((id) => id !== ""));
}

/** An iterator that `for … of` may leave and take up again. */
function resumable<T>(list: readonly T[]): IterableIterator<T> {
  let at = 0;
  return {
    next: () => (at < list.length ? { done: false, value: list[at++]! } : { done: true, value: undefined }),
    [Symbol.iterator]() {
      return this;
    },
  };
}

function cycle(names: readonly string[]): Problem {
  const first = names[0]!;
  const left = names.length - SHOWN_OF_A_CYCLE;
  const path = [...names.slice(0, SHOWN_OF_A_CYCLE), ...(left > 0 ? [`… (${grouped(left)} more)`] : []), first].join(
    " → ",
  );
  const what = `these steps wait for each other: ${path}.`;
  return { code: "cycle", place: first, what, fix: "Cut one of the wires between them.", step: first, field: "" };
}

/**
 * The problems by the step of a board that shows them: its own, and for a subgraph those of the steps inside. In a
 * definition's board these are the problems of all its uses, each once.
 */
export function problemsOn(document: Document, path: Path, problems: readonly Problem[]): Map<string, Problem[]> {
  const here = path.at(-1) ?? "";
  const found = new Map<string, Problem[]>();
  for (const problem of problems) {
    for (const { board, step: id, rest } of levels(document, problem.step)) {
      if (board !== here) continue;
      const own = { ...problem, step: id, place: problem.field ? `${id}.${problem.field}` : id };
      add(found, id, rest ? problem : own);
    }
  }
  return found;
}

function add(found: Map<string, Problem[]>, id: string, problem: Problem): void {
  const known = found.get(id);
  if (!known) found.set(id, [problem]);
  else if (!known.some((one) => one.code === problem.code && one.place === problem.place && one.what === problem.what))
    known.push(problem);
}
