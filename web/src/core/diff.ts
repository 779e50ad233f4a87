/** What is different between two versions of a document, for people: which nodes, which values, which wires. */
import { asJoin } from "./shape";
import type { Board, Document, Input, Json, Palette, Step } from "./types";

export interface ValueChange {
  input: string;
  /** As a person reads it; "" for left as it usually is, or not joined. */
  before: string;
  after: string;
}

export interface StepChange {
  what: "added" | "removed" | "changed";
  /** On the canvas: ids of subgraphs that it is in. */
  inside: string;
  step: string;
  title: string;
  values: readonly ValueChange[];
}

export interface Difference {
  steps: readonly StepChange[];
  /** Nodes that lie elsewhere but are the same. */
  moved: number;
  /** Groups and notes that were added, removed or changed. */
  others: number;
  title: ValueChange | null;
}

const LONGEST = 120;

export function difference(before: Document, after: Document, palette: Palette): Difference {
  const steps: StepChange[] = [];
  const counts = { moved: 0, others: 0 };
  compare(before, after, "", palette, steps, counts);
  const ids = new Set([...Object.keys(before.definitions), ...Object.keys(after.definitions)]);
  for (const id of ids) {
    const [old, now] = [before.definitions[id], after.definitions[id]];
    const name = now?.title || old?.title || id;
    compare(old ?? NONE, now ?? NONE, name, palette, steps, counts);
  }
  const title = before.title === after.title ? null : { input: "title", before: before.title, after: after.title };
  return { steps, ...counts, title };
}

export const isSame = ({ steps, moved, others, title }: Difference): boolean =>
  !steps.length && !moved && !others && !title;

const NONE: Board = { steps: {}, groups: {}, notes: {} };

function compare(
  before: Board,
  after: Board,
  inside: string,
  palette: Palette,
  found: StepChange[],
  counts: { moved: number; others: number },
): void {
  const ids = new Set([...Object.keys(before.steps), ...Object.keys(after.steps)]);
  for (const id of ids) {
    const [old, now] = [before.steps[id], after.steps[id]];
    const step = now ?? old;
    if (!step) continue;
    const title = step.title || palette.nodes.get(step.kind)?.title || step.kind;
    const about = { inside, step: id, title };
    if (!old || !now || old.kind !== now.kind) {
      if (old) found.push({ ...about, title: titleOf(old, palette), what: "removed", values: [] });
      if (now) found.push({ ...about, what: "added", values: [] });
      continue;
    }
    const values = [...inputs(old, now, before, after, palette), ...own(old, now)];
    if (values.length) found.push({ ...about, what: "changed", values });
    else if (old.position[0] !== now.position[0] || old.position[1] !== now.position[1]) counts.moved += 1;
  }
  for (const kind of ["groups", "notes"] as const) {
    const all = new Set([...Object.keys(before[kind]), ...Object.keys(after[kind])]);
    for (const id of all) if (!equal(before[kind][id], after[kind][id])) counts.others += 1;
  }
}

const titleOf = (step: Step, palette: Palette): string =>
  step.title || palette.nodes.get(step.kind)?.title || step.kind;

function inputs(old: Step, now: Step, before: Board, after: Board, palette: Palette): ValueChange[] {
  const usual = new Map(palette.nodes.get(now.kind)?.knobs.map((knob) => [knob.name, knob.default]));
  const names = new Set([...Object.keys(old.inputs), ...Object.keys(now.inputs)]);
  const changes: ValueChange[] = [];
  for (const input of names) {
    // An input that says nothing has its usual value.
    const [one, other] = [old.inputs[input] ?? usual.get(input), now.inputs[input] ?? usual.get(input)];
    if (!equal(one, other))
      changes.push({ input, before: spoken(one, before, palette), after: spoken(other, after, palette) });
  }
  return changes;
}

function own(old: Step, now: Step): ValueChange[] {
  const changes: ValueChange[] = [];
  for (const name of ["title", "note", "mode"] as const)
    if (old[name] !== now[name]) changes.push({ input: name, before: old[name], after: now[name] });
  return changes;
}

/** A value as a person reads it; of a wire, where it comes from. */
function spoken(value: Input | undefined, board: Board, palette: Palette): string {
  if (value === undefined || value === null) return "";
  const join = asJoin(value as Json);
  if (join) {
    const from = board.steps[join.step];
    return `${from ? titleOf(from, palette) : join.step} · ${join.output}`;
  }
  if (Array.isArray(value)) return value.map((one) => spoken(one as Input, board, palette)).join(", ");
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

/** Whether two values are the same JSON, whatever the order of keys. */
function equal(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const [a, b] = [Object.entries(one), other as Record<string, unknown>];
  if (Array.isArray(one) !== Array.isArray(other) || a.length !== Object.keys(b).length) return false;
  return a.every(([name, value]) => Object.hasOwn(b, name) && equal(value, b[name]));
}
