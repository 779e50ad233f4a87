/**
 * Wires as curves: cubic splines from an output to an input, through the bends the user gave them.
 *
 * A curve is one array of numbers: x0 y0, then for each segment two control points and its end (6 numbers), as a
 * canvas path takes them: moveTo, bezierCurveTo, bezierCurveTo, … From one bend to the next it is one segment, or, drawn
 * with right angles, always as many (`piecesOf`).
 */

import { boardAt } from "./document";
import { inputPlace, outputPlace } from "./geometry";
import { rerouteKey } from "./shape";
import type { Document, Link, Palette, Path, Point, Rect } from "./types";

export type Curve = Float64Array;
export type LinkStyle = "spline" | "straight" | "orthogonal";

const LEAST_PULL = 32;
const MOST_PULL = 240;
const SAMPLES = 16;

/** The curve of a wire; null when one of its ends is not there. */
export function curveOf(document: Document, path: Path, link: Link, palette: Palette, style?: LinkStyle): Curve | null {
  const { steps } = boardAt(document, path);
  const reader = steps[link.step];
  if (!reader || !Object.hasOwn(steps, link.from.step)) return null;
  const from = outputPlace(document, path, link.from.step, link.from.output, palette);
  const to = inputPlace(document, path, link.step, link.input, link.index, palette);
  return linkCurve(from, to, reader.reroutes[rerouteKey(reader, link.input, link.index)] ?? [], style);
}

/** From an output to an input: it leaves to the right and arrives from the left. */
export function linkCurve(from: Point, to: Point, bends: readonly Point[] = [], style: LinkStyle = "spline"): Curve {
  const points = [from, ...bends, to];
  if (style === "orthogonal") return throughCorners(points);
  const curve = new Float64Array(2 + 6 * (points.length - 1));
  curve.set(from, 0);
  for (let at = 0; at + 1 < points.length; at += 1) {
    const [a, b] = [points[at]!, points[at + 1]!];
    if (style === "straight") {
      const third = (t: number): Point => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
      curve.set([...third(1 / 3), ...third(2 / 3), ...b], 2 + 6 * at);
      continue;
    }
    const [ax, ay] = leaving(points, at);
    const [bx, by] = leaving(points, at + 1);
    const pull = pullOf(a, b);
    curve.set([a[0] + ax * pull, a[1] + ay * pull, b[0] - bx * pull, b[1] - by * pull, b[0], b[1]], 2 + 6 * at);
  }
  return curve;
}

/** Segments from one bend to the next with right angles; some have no length. */
const CORNERED = 5;

function throughCorners(points: readonly Point[]): Curve {
  const count = points.length - 1;
  const curve = new Float64Array(2 + 6 * CORNERED * count);
  curve.set(points[0]!, 0);
  let place = 2;
  for (let at = 0; at < count; at += 1) {
    const [a, b] = [points[at]!, points[at + 1]!];
    const corners = cornersBetween(a, b, at === 0, at === count - 1);
    let [x, y] = a;
    for (let n = 0; n < CORNERED; n += 1) {
      const [nx, ny] = corners[n] ?? b;
      curve.set([x + (nx - x) / 3, y + (ny - y) / 3, nx - (nx - x) / 3, ny - (ny - y) / 3, nx, ny], place);
      [x, y] = [nx, ny];
      place += 6;
    }
  }
  return curve;
}

/** Where it turns between two points: half-way, or, going back, around what it leaves and what it arrives at. */
function cornersBetween([ax, ay]: Point, [bx, by]: Point, leaves: boolean, arrives: boolean): Point[] {
  const out = leaves ? ax + LEAST_PULL / 2 : Number.NEGATIVE_INFINITY;
  const into = arrives ? bx - LEAST_PULL / 2 : Number.POSITIVE_INFINITY;
  if (out <= into) {
    const x = Math.min(Math.max((ax + bx) / 2, out), into);
    return [
      [x, ay],
      [x, by],
    ];
  }
  const y = (ay + by) / 2;
  return [
    [out, ay],
    [out, y],
    [into, y],
    [into, by],
  ];
}

/** How many segments lead from one bend to the next. */
export const piecesOf = (curve: Curve, bends: number): number => segments(curve) / (bends + 1);

/** Where in a curve's numbers the place of a bend is. */
export const bendOffset = (curve: Curve, bends: number, index: number): number =>
  6 * piecesOf(curve, bends) * (index + 1);

function pullOf(a: Point, b: Point): number {
  const distance = Math.hypot(b[0] - a[0], b[1] - a[1]);
  return Math.min(Math.max(distance / 2.5, Math.min(LEAST_PULL, distance)), MOST_PULL);
}

/** The direction of the curve at a point: to the right at its ends, at a bend along its neighbours. */
function leaving(points: readonly Point[], at: number): Point {
  const [before, after] = [points[at - 1], points[at + 1]];
  if (!before || !after) return [1, 0];
  const [x, y] = [after[0] - before[0], after[1] - before[1]];
  const length = Math.hypot(x, y);
  return length ? [x / length, y / length] : [1, 0];
}

export const segments = (curve: Curve): number => (curve.length - 2) / 6;

/** The point at `t` (0 to 1) of a segment. */
export function pointAt(curve: Curve, segment: number, t: number): Point {
  const at = 6 * segment;
  const one = (d: number): number => {
    const u = 1 - t;
    const [a, b, c, e] = [curve[at + d]!, curve[at + 2 + d]!, curve[at + 4 + d]!, curve[at + 6 + d]!];
    return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * e;
  };
  return [one(0), one(1)];
}

/** The middle of a wire: where its button or its dot is drawn. */
export function middle(curve: Curve): Point {
  const count = segments(curve);
  return count % 2 ? pointAt(curve, (count - 1) / 2, 0.5) : pointAt(curve, count / 2, 0);
}

/** A rectangle that the curve does not leave. */
export function curveBounds(curve: Curve): Rect {
  let [x, y, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < curve.length; at += 2) {
    x = Math.min(x, curve[at]!);
    x2 = Math.max(x2, curve[at]!);
    y = Math.min(y, curve[at + 1]!);
    y2 = Math.max(y2, curve[at + 1]!);
  }
  return { x, y, width: x2 - x, height: y2 - y };
}

export interface Near {
  distance: number;
  /** Which segment: a new bend there is number `segment`. */
  segment: number;
  point: Point;
}

/** How far a point is from the curve, and where on it: found along chords, then once more between their neighbours. */
export function nearest(curve: Curve, point: Point): Near {
  let best: Near & { t: number; step: number } = { distance: Infinity, segment: 0, point, t: 0, step: 0 };
  const scan = (segment: number, start: number, end: number, count: number): void => {
    let from = pointAt(curve, segment, start);
    const step = (end - start) / count;
    for (let n = 1; n <= count; n += 1) {
      const t = start + step * n;
      const to = pointAt(curve, segment, t);
      const at = onLine(from, to, point);
      const distance = Math.hypot(at[0] - point[0], at[1] - point[1]);
      if (distance < best.distance) best = { distance, segment, point: at, t, step };
      from = to;
    }
  };
  for (let segment = 0; segment < segments(curve); segment += 1) scan(segment, 0, 1, samples(curve, segment));
  const { segment, t, step } = best;
  best = { ...best, distance: Infinity };
  scan(segment, Math.max(0, t - 2 * step), Math.min(1, t + step), SAMPLES);
  return { distance: best.distance, segment, point: best.point };
}

/** Long curves need more chords. */
function samples(curve: Curve, segment: number): number {
  const at = 6 * segment;
  const long = Math.hypot(curve[at + 6]! - curve[at]!, curve[at + 7]! - curve[at + 1]!);
  return Math.min(64, Math.max(SAMPLES, Math.ceil(long / 50)));
}

function onLine(a: Point, b: Point, p: Point): Point {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const long = dx * dx + dy * dy;
  const t = long ? Math.min(1, Math.max(0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / long)) : 0;
  return [a[0] + dx * t, a[1] + dy * t];
}

/** Whether a stroke from `a` to `b` cuts the curve. */
export function crosses(curve: Curve, a: Point, b: Point): boolean {
  for (const [from, to] of chords(curve)) if (cutting(from, to, a, b)) return true;
  return false;
}

/** The curve as straight pieces from end to end: close enough for what is drawn by hand. */
export function* chords(curve: Curve): Iterable<[Point, Point]> {
  for (let segment = 0; segment < segments(curve); segment += 1) {
    let from = pointAt(curve, segment, 0);
    for (let n = 1; n <= SAMPLES; n += 1) {
      const to = pointAt(curve, segment, n / SAMPLES);
      yield [from, to];
      from = to;
    }
  }
}

/** Whether the line from `a` to `b` cuts the one from `c` to `d`. */
export function cutting(a: Point, b: Point, c: Point, d: Point): boolean {
  const side = (p: Point, q: Point, r: Point): number =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

/** Whether the curve comes into the rectangle: what a box selects, and what has to be drawn. */
export function touches(curve: Curve, rect: Rect): boolean {
  const corners: Point[] = [
    [rect.x, rect.y],
    [rect.x + rect.width, rect.y],
    [rect.x + rect.width, rect.y + rect.height],
    [rect.x, rect.y + rect.height],
  ];
  const [x, y] = [curve[0]!, curve[1]!];
  if (x >= rect.x && x <= rect.x + rect.width && y >= rect.y && y <= rect.y + rect.height) return true;
  return corners.some((corner, at) => crosses(curve, corner, corners[(at + 1) % 4]!));
}
