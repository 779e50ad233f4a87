import fc from "fast-check";
import { expect, it } from "vitest";
import { moved, NEAREST, nearer, WHOLE } from "./look";

const pane = { width: 600, height: 400 };
const at = fc.tuple(fc.double({ min: -300, max: 300, noNaN: true }), fc.double({ min: -200, max: 200, noNaN: true }));
const factor = fc.double({ min: 0.2, max: 5, noNaN: true });
const steps = fc.array(fc.tuple(factor, at, at), { maxLength: 12 });

it("what is under the pointer stays there, unless the picture would leave its pane", () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 8, noNaN: true }), at, (zoom, point) => {
      const look = nearer(WHOLE, zoom, point, pane);
      // From the middle of the picture, in pixels as they are when all of it is shown.
      expect((point[0] - look.x) / look.zoom).toBeCloseTo(point[0], 6);
      expect((point[1] - look.y) / look.zoom).toBeCloseTo(point[1], 6);
    }),
  );
});

it("nothing beside the picture comes into the pane, however one goes about", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let look = WHOLE;
      for (const [by, point, way] of all) {
        look = moved(nearer(look, by, point, pane), [way[0] * 9, way[1] * 9], pane);
        expect(look.zoom).toBeGreaterThanOrEqual(1);
        expect(look.zoom).toBeLessThanOrEqual(NEAREST);
        expect(Math.abs(look.x)).toBeLessThanOrEqual(((look.zoom - 1) * pane.width) / 2 + 1e-9);
        expect(Math.abs(look.y)).toBeLessThanOrEqual(((look.zoom - 1) * pane.height) / 2 + 1e-9);
      }
    }),
  );
});

it("far enough away all of it is shown, in the middle", () => {
  const look = moved(nearer(WHOLE, 9, [250, -120], pane), [40, 40], pane);
  expect(nearer(look, 0.001, [-100, 100], pane)).toEqual(WHOLE);
});
