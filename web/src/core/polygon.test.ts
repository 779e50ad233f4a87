import fc from "fast-check";
import { expect, test } from "vitest";
import { bottom, right } from "./geometry";
import { linkCurve } from "./links";
import { Polygon } from "./polygon";
import type { Point, Rect } from "./types";

/** Whole numbers, so that an oracle can be exact. */
const anyPoint: fc.Arbitrary<Point> = fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -60, max: 60 }));
const anyRect: fc.Arbitrary<Rect> = fc.record({
  x: fc.integer({ min: -70, max: 70 }),
  y: fc.integer({ min: -70, max: 70 }),
  width: fc.integer({ min: 1, max: 50 }),
  height: fc.integer({ min: 1, max: 50 }),
});
const anyOutline = fc.array(anyPoint, { minLength: 1, maxLength: 40 });

const edgesOf = (points: readonly Point[]): [Point, Point][] =>
  points.map((to, at): [Point, Point] => [points.at(at - 1)!, to]);

/** How often the outline goes around a point, by adding up the angles under which its edges are seen from there. */
function turnsAround(points: readonly Point[], [x, y]: Point): number {
  const angles = edgesOf(points).map(([[ax, ay], [bx, by]]) => {
    const [px, py, qx, qy] = [ax - x, ay - y, bx - x, by - y];
    return Math.atan2(px * qy - py * qx, px * qx + py * qy);
  });
  return Math.round(angles.reduce((sum, one) => sum + one, 0) / (2 * Math.PI));
}

/** Whether a point is on the line between two others. */
function isOn([x, y]: Point, [[ax, ay], [bx, by]]: [Point, Point]): boolean {
  if ((bx - ax) * (y - ay) !== (by - ay) * (x - ax)) return false;
  return x >= Math.min(ax, bx) && x <= Math.max(ax, bx) && y >= Math.min(ay, by) && y <= Math.max(ay, by);
}

/** Whether an edge has a point in a rectangle, by cutting off at each side what is beyond it (Liang and Barsky 1984). */
function comesInto([[ax, ay], [bx, by]]: [Point, Point], rect: Rect): boolean {
  let [from, to] = [0, 1];
  for (const [step, room] of [
    [ax - bx, ax - rect.x],
    [bx - ax, right(rect) - ax],
    [ay - by, ay - rect.y],
    [by - ay, bottom(rect) - ay],
  ] as const) {
    if (step === 0 && room < 0) return false;
    if (step < 0) from = Math.max(from, room / step);
    if (step > 0) to = Math.min(to, room / step);
  }
  return from <= to;
}

test("it holds what its line goes around, once or more, to either side", () => {
  fc.assert(
    fc.property(anyOutline, anyPoint, (points, at) => {
      fc.pre(!edgesOf(points).some((edge) => isOn(at, edge)));
      expect(new Polygon(points).holds(at)).toBe(turnsAround(points, at) !== 0);
    }),
    { numRuns: 3000 },
  );
});

test("it meets what its line runs over or goes around, and contains what it only goes around", () => {
  fc.assert(
    fc.property(anyOutline, anyRect, (points, rect) => {
      const over = edgesOf(points).some((edge) => comesInto(edge, rect));
      const inside = !over && turnsAround(points, [rect.x + rect.width / 2, rect.y + rect.height / 2]) !== 0;
      const polygon = new Polygon(points);
      expect([polygon.meets(rect), polygon.contains(rect)]).toEqual([over || inside, inside]);
    }),
    { numRuns: 3000 },
  );
});

test("where it begins and which way it was drawn does not matter", () => {
  fc.assert(
    fc.property(anyOutline, fc.nat(39), anyRect, anyPoint, (points, turn, rect, at) => {
      fc.pre(!edgesOf(points).some((edge) => isOn(at, edge)));
      const first = turn % points.length;
      const asked = [points, [...points.slice(first), ...points.slice(0, first)], points.toReversed()].map((one) => {
        const polygon = new Polygon(one);
        return [polygon.holds(at), polygon.meets(rect), polygon.contains(rect), polygon.bounds];
      });
      expect(asked[1]).toEqual(asked[0]);
      expect(asked[2]).toEqual(asked[0]);
    }),
  );
});

test("drawn as a rectangle it takes what that rectangle takes", () => {
  fc.assert(
    fc.property(anyRect, anyRect, (box, rect) => {
      const polygon = new Polygon([
        [box.x, box.y],
        [right(box), box.y],
        [right(box), bottom(box)],
        [box.x, bottom(box)],
      ]);
      const apart = rect.x > right(box) || right(rect) < box.x || rect.y > bottom(box) || bottom(rect) < box.y;
      const within = rect.x > box.x && right(rect) < right(box) && rect.y > box.y && bottom(rect) < bottom(box);
      expect([polygon.meets(rect), polygon.contains(rect)]).toEqual([!apart, within]);
    }),
  );
});

test("it cuts a line from its inside to its outside", () => {
  fc.assert(
    fc.property(anyOutline, anyPoint, anyPoint, (points, a, b) => {
      const polygon = new Polygon(points);
      fc.pre(![a, b].some((at) => edgesOf(points).some((edge) => isOn(at, edge))));
      fc.pre(polygon.holds(a) !== polygon.holds(b));
      expect(polygon.cuts(a, b)).toBe(true);
    }),
  );
});

test("around a hole nothing in the hole is taken; around twice there is none", () => {
  const ring = (radius: number, turns: number): Point[] =>
    Array.from({ length: 90 * turns }, (_, at): Point => {
      const angle = (at / 90) * 2 * Math.PI;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  const node = { x: -10, y: -10, width: 20, height: 20 };
  const horseshoe = new Polygon([...ring(50, 1).slice(0, 80), ...ring(40, 1).slice(0, 80).reverse()]);
  expect([horseshoe.meets(node), horseshoe.holds([45, 1])]).toEqual([false, true]);
  expect(new Polygon(ring(50, 2)).contains(node)).toBe(true);
});

test("it meets a wire that runs through it, and none beside it", () => {
  const polygon = new Polygon([
    [100, -20],
    [140, -20],
    [120, 40],
  ]);
  const meets = (y: number) => polygon.meetsCurve(linkCurve([0, y], [300, y]));
  expect([meets(0), meets(80)]).toEqual([true, false]);
});
