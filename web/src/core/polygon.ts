/**
 * What lies within a line that was drawn by hand and closes itself. Where the line crosses itself, all that it goes around
 * is inside: gone around twice is no hole, just as it is filled when it is drawn.
 *
 * Its edges lie in strips from top to bottom, so that a question looks at those beside it, however long the line is.
 */

import { around, bottom, right } from "./geometry";
import { type Curve, chords, cutting } from "./links";
import type { Point, Rect } from "./types";

const EDGES_A_STRIP = 4;
const MOST_STRIPS = 256;

export class Polygon {
  readonly bounds: Rect;
  /** For each strip the edges that come into it, 4 numbers each: from where, to where. */
  private readonly strips: number[][];

  /** `points` are its corners, at least one; from the last it goes back to the first. */
  constructor(readonly points: readonly Point[]) {
    this.bounds = around(points.map(([x, y]) => ({ x, y, width: 0, height: 0 })))!;
    const count = Math.min(MOST_STRIPS, Math.ceil(points.length / EDGES_A_STRIP));
    this.strips = Array.from({ length: count }, () => []);
    let from = points.at(-1)!;
    for (const to of points) {
      const last = this.stripAt(Math.max(from[1], to[1]));
      for (let strip = this.stripAt(Math.min(from[1], to[1])); strip <= last; strip += 1)
        this.strips[strip]!.push(from[0], from[1], to[0], to[1]);
      from = to;
    }
  }

  /** Whether the line goes around a point. */
  holds([x, y]: Point): boolean {
    let turns = 0;
    this.find(y, y, (ax, ay, bx, by) => {
      if (ay <= y === by <= y) return false;
      const side = (bx - ax) * (y - ay) - (x - ax) * (by - ay);
      if (by > ay && side < 0) turns += 1;
      else if (by < ay && side > 0) turns -= 1;
      return false;
    });
    return turns !== 0;
  }

  /** Whether anything of a rectangle is inside. */
  meets(rect: Rect): boolean {
    return this.runsOver(rect) || this.holds([rect.x, rect.y]);
  }

  /** Whether a rectangle is inside, and the line does not run over it. */
  contains(rect: Rect): boolean {
    return this.holds([rect.x, rect.y]) && !this.runsOver(rect);
  }

  /** Whether the line cuts the one from `a` to `b`. */
  cuts(a: Point, b: Point): boolean {
    return this.find(Math.min(a[1], b[1]), Math.max(a[1], b[1]), (ax, ay, bx, by) => cutting([ax, ay], [bx, by], a, b));
  }

  /** Whether anything of a wire is inside. */
  meetsCurve(curve: Curve): boolean {
    if (this.holds([curve[0]!, curve[1]!])) return true;
    for (const [a, b] of chords(curve)) if (this.cuts(a, b)) return true;
    return false;
  }

  /** An edge runs over a rectangle if it is not beyond one of its sides and has not all of it at one side. */
  private runsOver(rect: Rect): boolean {
    const [left, top, east, low] = [rect.x, rect.y, right(rect), bottom(rect)];
    return this.find(top, low, (ax, ay, bx, by) => {
      if ((ax < left && bx < left) || (ax > east && bx > east)) return false;
      if ((ay < top && by < top) || (ay > low && by > low)) return false;
      const [dx, dy] = [bx - ax, by - ay];
      const base = dx * ay - dy * ax;
      const [a, b] = [dx * top - dy * left - base, dx * top - dy * east - base];
      const [c, d] = [dx * low - dy * left - base, dx * low - dy * east - base];
      return Math.min(a, b, c, d) <= 0 && Math.max(a, b, c, d) >= 0;
    });
  }

  /** Whether there is such an edge among those that come between two heights. */
  private find(top: number, low: number, wanted: (ax: number, ay: number, bx: number, by: number) => boolean): boolean {
    const last = this.stripAt(low);
    for (let number = this.stripAt(top); number <= last; number += 1) {
      const strip = this.strips[number]!;
      for (let at = 0; at < strip.length; at += 4)
        if (wanted(strip[at]!, strip[at + 1]!, strip[at + 2]!, strip[at + 3]!)) return true;
    }
    return false;
  }

  private stripAt(y: number): number {
    const { bounds, strips } = this;
    if (bounds.height === 0) return 0;
    const strip = Math.floor(((y - bounds.y) / bounds.height) * strips.length);
    return Math.max(0, Math.min(strips.length - 1, strip));
  }
}
