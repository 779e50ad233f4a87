/**
 * Which sockets of a step are not drawn when it is told to show only those that are joined.
 *
 * It is asked of the board as it is, never written down: a wire that is joined brings its socket back by itself. What has
 * to be joined and is not, and what holds something that is no wire and so may be wrong, is always drawn.
 */

import { boardAt, definitionAt, own } from "./document";
import { placeOf } from "./flatten";
import type { SocketPlace } from "./geometry";
import { inputJoins, outputsRead } from "./shape";
import type { Document, Path, Step, WireDef } from "./types";

/** What of a step is joined from elsewhere: outputs that are read, and the ends that a subgraph's ports lead to. */
export interface Joined {
  inputs: readonly string[];
  outputs: readonly string[];
}

/** What decides which sockets of a step are drawn; null when all are. */
export function joinedTo(document: Document, path: Path, id: string): Joined | null {
  const { steps } = boardAt(document, path);
  if (!own(steps, id)?.compact) return null;
  const outputs = new Set(outputsRead(steps).get(id));
  const inputs = new Set<string>();
  const definition = definitionAt(document, path);
  for (const port of definition?.inputs ?? [])
    for (const [step, end] of port.inner) if (step === id) inputs.add(placeOf(end).input);
  for (const port of definition?.outputs ?? [])
    for (const [step, name] of port.inner) if (step === id) outputs.add(name);
  return { inputs: [...inputs].sort(), outputs: [...outputs].sort() };
}

export function sameJoined(a: Joined | null, b: Joined | null): boolean {
  if (a === b) return true;
  const text = (one: Joined | null): string => JSON.stringify(one && [one.inputs, one.outputs]);
  return text(a) === text(b);
}

/** Whether nothing is joined to a wire's place, nothing has to be, and nothing else is said there. */
export function isOpen(step: Step, wire: WireDef, { index }: SocketPlace, joined: Joined): boolean {
  const value = step.inputs[wire.name] ?? null;
  const joins = inputJoins(value).length;
  if (index < joins || joined.inputs.includes(wire.name)) return false;
  return joins > 0 || (wire.optional && value === null);
}
