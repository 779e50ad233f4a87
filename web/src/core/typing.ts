/** Which output may feed which input: the rules of `graph_runtime/sockets.py`, and the reason why not. */

import { boardAt, own } from "./document";
import { inputJoins, shapeOf } from "./shape";
import type { Document, InputPlace, Join, KnobDef, Palette, Path } from "./types";

export const ANY = "ANY";
const WIDENS: Record<string, readonly string[]> = { FLOAT: ["INT"] };
const FED_BY: Record<string, string> = { CHOICE: "STRING", FILE: "STRING", FLOATS: "SIGMAS" };

/** The type of wire that may feed a knob. */
export function knobWireType(knob: Pick<KnobDef, "type">): string {
  return FED_BY[knob.type] ?? knob.type;
}

/** Whether an output of type `given` may feed an input of type `wanted`; each may be several joined by "|". */
export function fits(given: string, wanted: string): boolean {
  if (given === wanted || given === ANY || wanted === ANY) return true;
  const takes = wanted.split("|");
  return given
    .split("|")
    .some(
      (one) => takes.includes(one) || takes.includes(ANY) || takes.some((type) => own(WIDENS, type)?.includes(one)),
    );
}

/** Why a wire may not be drawn, with what a sentence about it needs. `key` is the text's key. */
export type WhyNot =
  | { key: "same-step" }
  | { key: "no-such-end" }
  | { key: "wrong-type"; given: string; wanted: string }
  | { key: "already-joined" }
  /** Ids of the steps, from the one that would be fed to the one that feeds it. */
  | { key: "cycle"; steps: string[] };

/** Why `from` cannot feed `to`; null if it can. */
export function whyNot(
  document: Document,
  path: Path,
  from: Join,
  to: Pick<InputPlace, "step" | "input">,
  palette: Palette,
): WhyNot | null {
  if (from.step === to.step) return { key: "same-step" };
  const given = outputType(document, path, from, palette);
  const wanted = inputType(document, path, to, palette);
  if (given === null || wanted === null) return { key: "no-such-end" };
  if (!fits(given, wanted)) return { key: "wrong-type", given, wanted };
  const step = boardAt(document, path).steps[to.step]!;
  if (inputJoins(step.inputs[to.input]).some((one) => one.step === from.step && one.output === from.output)) {
    return { key: "already-joined" };
  }
  const steps = waysFrom(document, path, to.step, from.step);
  return steps ? { key: "cycle", steps } : null;
}

export function outputType(document: Document, path: Path, from: Join, palette: Palette): string | null {
  const step = own(boardAt(document, path).steps, from.step);
  if (!step) return null;
  return shapeOf(document, path, from.step, palette).outputs.find((one) => one.name === from.output)?.type ?? null;
}

export function inputType(
  document: Document,
  path: Path,
  to: Pick<InputPlace, "step" | "input">,
  palette: Palette,
): string | null {
  if (!own(boardAt(document, path).steps, to.step)) return null;
  const shape = shapeOf(document, path, to.step, palette);
  const wire = shape.wires.find((one) => one.name === to.input);
  if (wire) return wire.type;
  const knob = shape.knobs.find((one) => one.name === to.input);
  return knob ? knobWireType(knob) : null;
}

/** A way along the wires from `start` down to `end`, both included; null if there is none. */
function waysFrom(document: Document, path: Path, start: string, end: string): string[] | null {
  const { steps } = boardAt(document, path);
  // Against the wires, from the end: a step knows what feeds it.
  const next = new Map<string, string>([[end, ""]]);
  const work = [end];
  for (let id = work.pop(); id !== undefined; id = work.pop()) {
    if (id === start) {
      const way: string[] = [];
      for (let at = start; at; at = next.get(at)!) way.push(at);
      return way;
    }
    const step = own(steps, id);
    if (!step) continue;
    for (const value of Object.values(step.inputs)) {
      for (const join of inputJoins(value)) {
        if (!next.has(join.step)) {
          next.set(join.step, id);
          work.push(join.step);
        }
      }
    }
  }
  return null;
}
