import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  between,
  type Camera,
  clampZoom,
  fitted,
  MAX_ZOOM,
  MIN_ZOOM,
  seen,
  toCanvas,
  toScreen,
  zoomedAt,
} from "./camera";

const number = fc.double({ min: -5000, max: 5000, noNaN: true });
const cameras: fc.Arbitrary<Camera> = fc.record({
  x: number,
  y: number,
  zoom: fc.double({ min: MIN_ZOOM, max: MAX_ZOOM, noNaN: true }),
});
const points = fc.tuple(number, number);

describe("the camera", () => {
  it("zooms around the pointer: what is under it stays under it", () => {
    fc.assert(
      fc.property(cameras, points, fc.double({ min: 0.001, max: 100, noNaN: true }), (camera, anchor, zoom) => {
        const [x, y] = toCanvas(camera, anchor);
        const after = zoomedAt(camera, anchor, zoom);
        const [sx, sy] = toScreen(after, [x, y]);
        expect(sx).toBeCloseTo(anchor[0], 4);
        expect(sy).toBeCloseTo(anchor[1], 4);
        expect(after.zoom).toBe(clampZoom(zoom));
      }),
    );
  });

  it("fits a rectangle wholly, in the middle", () => {
    const size = { width: 1200, height: 800 };
    const rect = { x: -300, y: 100, width: 9000, height: 700 };
    const camera = fitted(rect, size);
    const [left, top] = toScreen(camera, [rect.x, rect.y]);
    const [right, bottom] = toScreen(camera, [rect.x + rect.width, rect.y + rect.height]);
    expect(left).toBeGreaterThanOrEqual(48 - 1e-6);
    expect(left + right).toBeCloseTo(1200);
    expect(top + bottom).toBeCloseTo(800);
  });

  it("moves from one view to another and arrives exactly", () => {
    fc.assert(
      fc.property(cameras, cameras, (from, to) => {
        for (const [part, wanted] of [
          [0, from],
          [1, to],
        ] as const) {
          const at = between(from, to, part);
          expect(at.zoom).toBeCloseTo(wanted.zoom, 6);
          expect(Math.abs(at.x - wanted.x)).toBeLessThan(0.01);
          expect(Math.abs(at.y - wanted.y)).toBeLessThan(0.01);
        }
      }),
    );
  });

  it("sees what its corners show", () => {
    const camera = { x: 10, y: -20, zoom: 2 };
    expect(seen(camera, { width: 100, height: 60 })).toEqual({ x: -5, y: 10, width: 50, height: 30 });
  });
});
