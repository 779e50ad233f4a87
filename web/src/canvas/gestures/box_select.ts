/** A box over the ground, with Shift or Ctrl. */

import { contains, overlap } from "../../core/geometry";
import { touches } from "../../core/links";
import type { Stage } from "../stage";
import { type Area, chooseWithin } from "./area";
import type { Gesture, Pointer } from "./gesture";

export function boxSelect(stage: Stage, from: Pointer): Gesture {
  const draw = (pointer: Pointer) => {
    const [ax, ay] = from.at;
    const [bx, by] = pointer.at;
    const box = { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(ax - bx), height: Math.abs(ay - by) };
    const area: Area = {
      bounds: box,
      meets: (rect) => overlap(box, rect),
      contains: (rect) => contains(box, rect),
      meetsCurve: (curve) => touches(curve, box),
    };
    return { area, keys: pointer, shown: { box } };
  };
  return chooseWithin(stage, draw, { box: null });
}
