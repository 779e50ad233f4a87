/** Runs over several values of one knob or two: what the values are, and which run is which cell. */
import type { RunMessage } from "../api/wire";
import type { Document, Json, KnobDef, Palette } from "../core/types";

export const MOST_RUNS = 200;
const MOST_VALUES = 100;

/** A knob of the workflow's own steps that can be varied. */
export interface Axis {
  step: string;
  knob: KnobDef;
  /** "Paint · steps" */
  title: string;
}

export interface Cell {
  x: number;
  y: number;
}

/** What a run of a grid says of itself in its `meta`. */
export interface GridMeta {
  id: string;
  xTitle: string;
  yTitle: string;
  xs: string[];
  ys: string[];
  cell: Cell;
}

export function axesOf(document: Document, palette: Palette): Axis[] {
  const axes: Axis[] = [];
  for (const [step, one] of Object.entries(document.steps)) {
    const def = palette.nodes.get(one.kind);
    for (const knob of def?.knobs ?? []) {
      const value = one.inputs[knob.name];
      if (typeof value === "object" && value !== null) continue; // a wire feeds it
      axes.push({ step, knob, title: `${one.title || def?.title} · ${knob.label || knob.name.replaceAll("_", " ")}` });
    }
  }
  return axes;
}

/** The values that a text names for a knob: one a line; of numbers also "1..8" and "0.2..1 / 0.2". */
export function valuesOf(text: string, knob: Pick<KnobDef, "type">): Json[] {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const parts = knob.type === "STRING" ? lines : lines.flatMap((line) => line.split(/[,;]\s*/)).filter(Boolean);
  const values = parts.flatMap((part) => (isNumber(knob) ? range(part) : [typed(part, knob)]));
  return values.filter((one) => one !== null).slice(0, MOST_VALUES);
}

const isNumber = (knob: Pick<KnobDef, "type">): boolean => knob.type === "INT" || knob.type === "FLOAT";

function range(part: string): (number | null)[] {
  const found = /^(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)(?:\s*\/\s*([\d.]+))?$/.exec(part);
  if (!found) return [Number.isFinite(Number(part)) ? Number(part) : null];
  const [from, to, step] = [Number(found[1]), Number(found[2]), Number(found[3] ?? 1)];
  if (![from, to, step].every(Number.isFinite) || step <= 0) return [null];
  const count = Math.min(MOST_VALUES, Math.floor(Math.abs(to - from) / step + 1e-9) + 1);
  const sign = Math.sign(to - from);
  // Rounded: 0.1 + 0.2 is written 0.3.
  return Array.from({ length: count }, (_, at) => Number((from + sign * at * step).toPrecision(12)));
}

function typed(part: string, knob: Pick<KnobDef, "type">): Json {
  if (knob.type === "BOOLEAN") return /^(true|yes|on|1)$/i.test(part);
  return part;
}

/** The document with other values for some knobs. */
export function varied(document: Document, changes: readonly { axis: Axis; value: Json }[]): Document {
  const steps = { ...document.steps };
  for (const { axis, value } of changes) {
    const step = steps[axis.step];
    if (step) steps[axis.step] = { ...step, inputs: { ...step.inputs, [axis.knob.name]: value } };
  }
  return { ...document, steps };
}

export function gridOf(run: Pick<RunMessage, "meta">): GridMeta | null {
  const grid = run.meta.grid as GridMeta | undefined;
  return grid && typeof grid.id === "string" && Array.isArray(grid.xs) && Array.isArray(grid.ys) ? grid : null;
}
