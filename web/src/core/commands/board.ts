/** What commands share: finding things on a draft, cutting wires, keeping what names a step right. */

import { current, isDraft } from "immer";
import { boardAt, definitionAt, own } from "../document";
import { forgetMembers } from "../frames";
import type { Command } from "../history";
import { asJoin, linksOf } from "../shape";
import type { Board, Document, Input, Json, Path, Point, Step } from "../types";

export type { Command };

/** A command on one board. */
export function onBoard<T>(label: string, path: Path, change: (board: Board, draft: Document) => T): Command<T> {
  return { label, path, change: (draft) => change(boardAt(draft, path), draft) };
}

/** A step that has to be there. */
export function stepOn(board: Board, id: string): Step {
  const step = own(board.steps, id);
  if (!step) throw new Error(`there is no step ${JSON.stringify(id)}`);
  return step;
}

/** What a draft is at this moment, to look at a lot of it: reading through drafts makes one of everything that is read. */
export function plain<T>(value: T): T {
  return isDraft(value) ? (current(value as never) as T) : value;
}

/** Replace the joins to some steps in all that are joined to them, but for those in `except`. */
export function leadReaders(
  board: Board,
  sources: ReadonlySet<string>,
  change: Parameters<typeof mapJoins>[1],
  except: ReadonlySet<string> = new Set(),
): void {
  const readers = new Set<string>();
  for (const { from, step } of linksOf({ steps: plain(board.steps) })) {
    if (sources.has(from.step) && !except.has(step)) readers.add(step);
  }
  for (const id of readers) mapStepJoins(board.steps[id]!, change);
}

/** An input's value with its joins replaced: null cuts one. undefined when nothing is left of it. */
export function mapJoins(
  value: Input,
  change: (step: string, output: string) => { step: string; output: string } | null,
): Input | undefined {
  const one = (part: Json): Json | undefined => {
    const join = asJoin(part);
    if (!join) return part;
    const made = change(join.step, join.output);
    if (made === null) return undefined;
    return made.step === join.step && made.output === join.output ? part : { join: [made.step, made.output] };
  };
  if (!Array.isArray(value)) return one(value as Json);
  if (!value.some((part) => asJoin(part))) return value;
  const list = value.map(one).filter((part) => part !== undefined);
  return list.length ? list : undefined;
}

/** Replace the joins in all inputs of a step, its wires' bends going with them. */
export function mapStepJoins(step: Step, change: Parameters<typeof mapJoins>[1]): void {
  for (const [input, value] of Object.entries(step.inputs)) {
    if (typeof value !== "object" || value === null) continue;
    const kept: number[] = [];
    let index = -1;
    const made = mapJoins(value, (id, output) => change(id, output));
    if (Array.isArray(value)) {
      for (const part of value as Json[]) {
        index += 1;
        const join = asJoin(part);
        if (!join || change(join.step, join.output)) kept.push(index);
      }
      if (kept.length < value.length) renumberReroutes(step, input, kept);
    } else if (made === undefined) delete step.reroutes[input];
    if (made === undefined) delete step.inputs[input];
    else if (made !== value) step.inputs[input] = made;
  }
}

/** Bends of a list of joins after some were taken out; `kept` are the old places of those still there. */
export function renumberReroutes(step: Step, input: string, kept: number[]): void {
  const old = new Map<string, Point[]>();
  for (const key of Object.keys(step.reroutes)) {
    if (key === input || key.startsWith(`${input}#`)) {
      old.set(key, step.reroutes[key]!);
      delete step.reroutes[key];
    }
  }
  kept.forEach((from, to) => {
    const points = old.get(`${input}#${from}`);
    if (points) step.reroutes[`${input}#${to}`] = points;
  });
}

/** Forget that steps were there: targets, ports and groups that name them. Joins are the caller's. */
export function forgetSteps(draft: Document, path: Path, gone: ReadonlySet<string>): void {
  forgetMembers(boardAt(draft, path), { steps: gone });
  if (!path.length) {
    if (draft.targets.some((id) => gone.has(id))) draft.targets = draft.targets.filter((id) => !gone.has(id));
    return;
  }
  const definition = definitionAt(draft, path);
  for (const port of [...(definition?.inputs ?? []), ...(definition?.outputs ?? [])]) {
    if (port.inner.some(([id]) => gone.has(id))) port.inner = port.inner.filter(([id]) => !gone.has(id));
  }
}

/** Set a value in a record, or take it out when it is the usual one. */
export function setOrDelete<T>(record: Record<string, T>, name: string, value: T | null | undefined): void {
  if (value === null || value === undefined) delete record[name];
  else record[name] = value;
}

export const moved = (point: Point, by: Point): Point => [point[0] + by[0], point[1] + by[1]];
