/**
 * Where wires lead when steps are bypassed, and what does not run because something is muted.
 *
 * As `Document.graph` does it: a wire from a bypassed step comes instead from the first of that step's own wire inputs
 * whose type fits; a knob's wire is never led on.
 */

import { boardAt, own, subgraphId } from "./document";
import { inputJoins, linksOf } from "./shape";
import type { Document, Join, Link, Palette, Path, Step } from "./types";
import { fits } from "./typing";

/** The output that takes the place of `join` when the steps in `off` are led past; null if nothing fits. */
export function bypassSource(
  document: Document,
  path: Path,
  join: Join,
  off: ReadonlySet<string>,
  palette: Palette,
): Join | null {
  const { steps } = boardAt(document, path);
  return sourcePast(steps, join, off, (step) => waysThrough(document, step, palette));
}

/** What a wire can be led through: the wires of a step, every port of a subgraph. */
export interface Ways {
  inputs: readonly { name: string; type: string }[];
  outputs: readonly { name: string; type: string }[];
}

export function waysThrough(document: Document, step: { kind: string }, palette: Palette): Ways | null {
  const inside = own(document.definitions, subgraphId(step.kind));
  if (inside) return inside;
  const def = palette.nodes.get(step.kind);
  return def ? { inputs: def.wires, outputs: def.outputs } : null;
}

type AnyStep = Pick<Step, "kind" | "inputs">;

export function sourcePast(
  steps: Readonly<Record<string, AnyStep>>,
  join: Join,
  off: ReadonlySet<string>,
  ways: (step: AnyStep) => Ways | null,
): Join | null {
  const been = new Set<string>();
  let at: Join | null = join;
  while (at && off.has(at.step)) {
    const mark = JSON.stringify([at.step, at.output]);
    if (been.has(mark)) return null;
    been.add(mark);
    const step: AnyStep | undefined = own(steps, at.step);
    at = step ? firstFitting(step, at.output, ways(step)) : null;
  }
  return at;
}

/** The first join of a step's wires that fits one of its outputs. */
function firstFitting(step: AnyStep, output: string, ways: Ways | null): Join | null {
  const type = ways?.outputs.find((one) => one.name === output)?.type;
  if (!ways || type === undefined) return null;
  for (const wire of ways.inputs) {
    if (!fits(wire.type, type)) continue;
    const join = inputJoins(own(step.inputs, wire.name))[0];
    if (join) return join;
  }
  return null;
}

export const bypassed = (steps: Readonly<Record<string, Step>>): Set<string> =>
  new Set(Object.entries(steps).flatMap(([id, step]) => (step.mode === "bypassed" ? [id] : [])));

/** The muted steps of a board and all that are joined to them, however far down: none of these run. */
export function notRunning(board: { steps: Record<string, AnyStep & Pick<Step, "mode">> }): Set<string> {
  const gone = new Set(Object.entries(board.steps).flatMap(([id, step]) => (step.mode === "muted" ? [id] : [])));
  if (!gone.size) return gone;
  const readers = new Map<string, string[]>();
  for (const link of linksOf(board)) {
    const known = readers.get(link.from.step);
    if (known) known.push(link.step);
    else readers.set(link.from.step, [link.step]);
  }
  const work = [...gone];
  for (let id = work.pop(); id !== undefined; id = work.pop()) {
    for (const reader of readers.get(id) ?? []) {
      if (!gone.has(reader)) {
        gone.add(reader);
        work.push(reader);
      }
    }
  }
  return gone;
}

/** A wire as it is while steps are bypassed: `link` as drawn, and what feeds its input in truth. */
export interface EffectiveLink {
  link: Link;
  /** null: the input is left open. */
  from: Join | null;
}

/** The wires that a bypassed step changes: what to draw as a ghost beside the wires that are there. */
export function effectiveLinks(document: Document, path: Path, palette: Palette): EffectiveLink[] {
  const board = boardAt(document, path);
  const off = bypassed(board.steps);
  if (!off.size) return [];
  return linksOf(board)
    .filter((link) => off.has(link.from.step) && !off.has(link.step))
    .map((link) => ({ link, from: bypassSource(document, path, link.from, off, palette) }));
}
