/** What seeds do after a run was submitted: the seed that was shown was used, and now it may change. */

import { boardAt } from "../document";
import { inputJoins, knobValue, shapeOf } from "../shape";
import type { Document, KnobDef, Palette } from "../types";
import { type Command, stepOn } from "./board";
import { boards } from "./nesting";

const MOST = 2 ** 53 - 1;

export interface SeedChange {
  path: string[];
  step: string;
  knob: string;
  value: number;
}

/** The next value of every seed that is not fixed. `random` gives numbers from 0 up to but without 1. */
export function seedsAfterRun(document: Document, palette: Palette, random: () => number = Math.random): SeedChange[] {
  const changes: SeedChange[] = [];
  for (const { path, board } of boards(document)) {
    for (const [id, step] of Object.entries(board.steps)) {
      if (!Object.keys(step.after).length || step.mode !== "on") continue;
      for (const knob of shapeOf(document, path, id, palette).knobs) {
        const after = step.after[knob.name];
        if (!knob.seed || !after || after === "fixed" || inputJoins(step.inputs[knob.name]).length) continue;
        const value = knobValue(step, knob);
        const now = typeof value === "number" ? value : least(knob);
        changes.push({
          path,
          step: id,
          knob: knob.name,
          value: after === "random" ? randomSeed(knob, random) : following(knob, now),
        });
      }
    }
  }
  return changes;
}

export function randomSeed(knob: Pick<KnobDef, "min" | "max">, random: () => number = Math.random): number {
  const low = least(knob);
  const count = most(knob) - low + 1;
  // 53 bits from two draws: one gives no more than a generator cares for.
  const draw = (Math.floor(random() * 2 ** 27) * 2 ** 26 + Math.floor(random() * 2 ** 26)) / 2 ** 53;
  return low + Math.floor(draw * count);
}

function following(knob: KnobDef, now: number): number {
  return now >= most(knob) ? least(knob) : now + 1;
}

const least = (knob: Pick<KnobDef, "min">): number => Math.max(Math.ceil(knob.min ?? 0), -MOST);
const most = (knob: Pick<KnobDef, "max">): number => Math.min(Math.floor(knob.max ?? 2 ** 32 - 1), MOST);

export const applySeeds = (changes: readonly SeedChange[]): Command => ({
  label: "next-seeds",
  change: (draft) => {
    for (const { path, step, knob, value } of changes) stepOn(boardAt(draft, path), step).inputs[knob] = value;
  },
});
