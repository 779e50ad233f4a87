/** How fast the camera moves when a drag comes near the edge: pixels a frame. */

import type { Point } from "../../core/types";
import type { Size } from "../camera";

const ZONE = 36;
const FASTEST = 18;

export function edgePan([x, y]: Point, size: Size): Point {
  return [along(x, size.width), along(y, size.height)];
}

function along(at: number, size: number): number {
  if (at < ZONE) return Math.min(1, (ZONE - at) / ZONE) * FASTEST;
  if (at > size - ZONE) return -Math.min(1, (at - size + ZONE) / ZONE) * FASTEST;
  return 0;
}
