/**
 * The bends of wires that go into a subgraph, kept when it is made and when it is unpacked.
 *
 * A port's first end gives its bends to the wire outside, where they are seen. Those of its other ends have no wire of their
 * own any more: they wait in the port (`extra.bends`), in the coordinates of the inside, until it is unpacked.
 */

import { isObject, own } from "../document";
import { placeOf } from "../flatten";
import { asJoin, isJoinList } from "../shape";
import type { Definition, Input, Json, Point, Port, Step } from "../types";
import { moved } from "./board";

const keyOf = (step: string, end: string): string => `${step}.${end}`;

/** Remember the bends of a wire to an end that is not the port's first. */
export function keepBends(port: Port, step: string, end: string, bends: readonly Point[] | undefined): void {
  if (!bends?.length) return;
  const known = isObject(port.extra?.bends) ? port.extra.bends : {};
  port.extra = { ...port.extra, bends: { ...known, [keyOf(step, end)]: bends as unknown as Json } };
}

/** The lists of joins of a step, to find their entries again in longer ones. */
export const joinLists = (step: Step): Map<string, readonly Json[]> =>
  new Map(Object.entries(step.inputs).flatMap(([name, value]) => (isJoinList(value) ? [[name, [...value]]] : [])));

/** Give the bends of each list to the same joins in the list that ports were woven into. */
export function followLists(step: Step, before: ReadonlyMap<string, readonly Json[]>): void {
  for (const [input, list] of before) {
    const now = step.inputs[input];
    if (!Array.isArray(now)) continue;
    const points = list.map((_, at) => own(step.reroutes, `${input}#${at}`));
    for (const at of list.keys()) delete step.reroutes[`${input}#${at}`];
    list.forEach((one, at) => {
      const place = now.indexOf(one);
      if (points[at] && place >= 0) step.reroutes[`${input}#${place}`] = points[at];
    });
  }
}

/** Bend the wires that ports brought to a step as they were outside, or before the subgraph was made. */
export function bendBrought(
  inside: Definition,
  user: Step,
  id: string,
  step: Step,
  before: ReadonlyMap<string, readonly Json[]>,
  by: Point,
): void {
  const brought: { input: string; at: number; bends: readonly Point[] | undefined }[] = [];
  for (const port of inside.inputs) {
    if (!asJoin(own(user.inputs, port.name))) continue;
    const kept = isObject(port.extra?.bends) ? port.extra.bends : {};
    port.inner.forEach(([one, end], n) => {
      if (one !== id) return;
      const { input, at } = placeOf(end);
      const waiting = own(kept, keyOf(one, end)) as unknown as Point[] | undefined;
      const bends = n === 0 ? own(user.reroutes, port.name) : waiting?.map((point) => moved(point, by));
      brought.push({ input, at: at ?? Number.MAX_SAFE_INTEGER, bends });
    });
  }
  for (const input of new Set(brought.map((one) => one.input))) {
    const some = brought.filter((one) => one.input === input).sort((a, b) => a.at - b.at);
    const places = placesOf(step.inputs[input], before.get(input) ?? []);
    some.forEach(({ bends }, n) => {
      const key = places ? `${input}#${places[n]}` : input;
      if (bends?.length && (!places || places[n] !== undefined)) step.reroutes[key] = [...bends];
    });
  }
}

/** Where in a list what ports brought is; null if the input is no list. */
function placesOf(value: Input | undefined, before: readonly Json[]): number[] | null {
  if (!isJoinList(value)) return null;
  return [...value.keys()].filter((at) => !before.includes(value[at]!));
}
