import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { addStep, connect, exposeKnob, makeSubgraph, resizeStep, setAdvanced, setCollapsed, setMode } from "./commands";
import { emptyDocument, readDocument } from "./document";
import {
  around,
  contains,
  HEADER,
  inputPlace,
  KNOB_ROW,
  NODE_MIN_WIDTH,
  nodeLayout,
  nodeRect,
  outputPlace,
  overlap,
  SOCKET_ROW,
  TEXT_ROW,
} from "./geometry";
import { DocumentStore } from "./history";
import {
  bendOffset,
  crosses,
  curveBounds,
  curveOf,
  linkCurve,
  middle,
  nearest,
  piecesOf,
  pointAt,
  segments,
  touches,
} from "./links";
import { kindShape, linksOf, shapeOf, titleOf } from "./shape";
import { snapPoint, snapRect, snapToRects } from "./snap";
import { SpatialIndex } from "./spatial";
import { anyDocument } from "./testing/arbitrary";
import { palette } from "./testing/fixtures";
import type { Palette, Point, Rect } from "./types";

vi.setConfig({ testTimeout: 120_000 }); // on a busy machine

test("what previews has room for them from the beginning, and so has a subgraph with such a step in it", () => {
  const def = palette.nodes.get("pic/blur")!;
  const shows = { ...palette, nodes: new Map([...palette.nodes, ["pic/blur", { ...def, previews: true }]]) };
  const store = new DocumentStore(emptyDocument());
  store.run(addStep([], { kind: "pic/load", position: [0, 0] }, shows));
  store.run(addStep([], { kind: "pic/blur", position: [400, 0] }, shows));
  const room = (id: string, from: Palette = shows) =>
    nodeLayout(store.getState(), [], id, from).rows.filter((row) => row.what === "result").length;
  expect([room("load"), room("blur"), room("blur", palette)]).toEqual([0, 1, 0]);
  const made = store.run(makeSubgraph([], { steps: ["blur"], groups: [], notes: [] }, "Soft", shows));
  expect([room(made.step), room(made.step, palette)]).toEqual([1, 0]);
});

test("every socket lies on its node's edge and every row within it, one below the other", () => {
  fc.assert(
    fc.property(anyDocument, (document) => {
      for (const id of Object.keys(document.steps)) {
        const { width, height, rows, inputs, outputs, least } = nodeLayout(document, [], id, palette);
        expect(height).toBeGreaterThanOrEqual(least);
        let y = HEADER;
        for (const row of rows) {
          expect(row.y).toBeGreaterThanOrEqual(y);
          y = row.y + row.height;
        }
        expect(y).toBeLessThanOrEqual(height);
        for (const one of inputs) expect([one.x, one.y > HEADER && one.y < height]).toEqual([0, true]);
        for (const one of outputs) expect([one.x, one.y > HEADER && one.y < height]).toEqual([width, true]);
        const shape = shapeOf(document, [], id, palette);
        for (const one of linksOf(document).filter((link) => link.step === id)) {
          const place = inputPlace(document, [], id, one.input, one.index, palette);
          expect(
            inputs.some(
              (at) =>
                at.name === one.input && at.index === one.index && at.y + document.steps[id]!.position[1] === place[1],
            ),
          ).toBe(true);
        }
        expect(outputs.map((one) => one.name)).toEqual(shape.outputs.map((one) => one.name));
      }
    }),
    { numRuns: 100 },
  );
});

test("a node is as high as what it declares: rows, texts, what is folded, what is fed, what is collapsed", () => {
  const store = new DocumentStore(emptyDocument());
  const id = store.run(addStep([], { kind: "pic/blur", position: [100, 200] }, palette));
  const layout = () => nodeLayout(store.getState(), [], id, palette);
  const first = layout();
  expect(first.rows.map((one) => [one.what, one.height])).toEqual([
    ["sockets", SOCKET_ROW],
    ["knob", KNOB_ROW],
    ["knob", KNOB_ROW],
    ["knob", TEXT_ROW],
    ["fold", 24],
  ]);
  expect(layout()).toBe(first);
  store.run(setAdvanced([], id, true));
  expect(layout().height).toBe(first.height + KNOB_ROW);
  store.run(exposeKnob([], id, "edges"));
  expect(layout().rows.map((one) => one.knob?.name ?? one.what)).toEqual([
    "sockets",
    "radius",
    "mode",
    "note",
    "edges",
  ]);
  expect(layout().inputs.map((one) => [one.name, one.type, one.knob])).toEqual([
    ["image", "IMAGE|MASK", false],
    ["edges", "BOOLEAN", true],
  ]);
  const many = store.run(addStep([], { kind: "pic/stack", position: [500, 0] }, palette));
  store.run(connect([], { step: id, output: "image" }, { step: many, input: "images" }, palette));
  expect(nodeLayout(store.getState(), [], many, palette).inputs.map((one) => [one.name, one.index])).toEqual([
    ["images", 0],
    ["images", 1],
    ["mask", 0],
  ]);
  store.run(resizeStep([], id, [10, 1000]));
  expect([layout().width, layout().height]).toEqual([NODE_MIN_WIDTH, 1000]);
  expect(layout().rows.find((one) => one.knob?.name === "note")!.height).toBeGreaterThan(TEXT_ROW + 400);
  store.run(setCollapsed([], [id], true));
  expect(layout().height).toBe(HEADER);
  expect(inputPlace(store.getState(), [], id, "image", 0, palette)).toEqual([100, 200 + HEADER / 2]);
  expect(outputPlace(store.getState(), [], id, "image", palette)).toEqual([100 + layout().width, 200 + HEADER / 2]);
  store.run(setMode([], [id], "muted"));
  expect(titleOf(store.getState(), [], id, palette)).toBe("Blur");
});

test("a node of a kind nobody knows has the ends that its wires tell of", () => {
  const steps = {
    a: { kind: "pic/load" },
    x: { kind: "impact/odd", inputs: { image: { join: ["a", "image"] }, many: [{ join: ["a", "mask"] }], cfg: 7 } },
    s: { kind: "pic/save", inputs: { image: { join: ["x", "result"] } } },
  };
  const document = readDocument({ steps });
  const shape = shapeOf(document, [], "x", palette);
  expect([shape.known, shape.title, shape.wires.map((one) => one.name), shape.outputs.map((one) => one.name)]).toEqual([
    false,
    "odd",
    ["image", "many"],
    ["result"],
  ]);
  expect(nodeLayout(document, [], "x", palette).inputs).toHaveLength(2);
  expect(kindShape(document, "impact/odd", palette)).toBe(null);
  for (const link of linksOf(document)) expect(curveOf(document, [], link, palette)).not.toBe(null);
});

const number = fc.integer({ min: -3000, max: 3000 });
const point = fc.tuple(number, number) as fc.Arbitrary<Point>;
const rect: fc.Arbitrary<Rect> = fc.record({
  x: number,
  y: number,
  width: fc.integer({ min: 1, max: 2500 }),
  height: fc.integer({ min: 1, max: 2500 }),
});

test("the index finds just what looking at each rectangle finds, after any moves", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.option(rect)), { maxLength: 40 });
  fc.assert(
    fc.property(steps, rect, point, fc.integer({ min: 0, max: 2000 }), (moves, window, at, reach) => {
      const index = new SpatialIndex<number>();
      const plain = new Map<number, Rect>();
      for (const [key, to] of moves) {
        if (to) {
          index.set(key, to);
          plain.set(key, to);
        } else {
          index.delete(key);
          plain.delete(key);
        }
      }
      const wanted = [...plain].filter(([, one]) => overlap(one, window)).map(([key]) => key);
      expect(index.query(window).sort()).toEqual(wanted.sort());
      expect(index.size).toBe(plain.size);
      const distance = (one: Rect): number =>
        Math.hypot(
          Math.max(one.x - at[0], 0, at[0] - one.x - one.width),
          Math.max(one.y - at[1], 0, at[1] - one.y - one.height),
        );
      const least = Math.min(...[...plain.values()].map(distance));
      const found = index.nearest(at, reach);
      if (found === null) expect(least).toBeGreaterThanOrEqual(reach);
      else expect(distance(plain.get(found)!)).toBe(least);
    }),
    { numRuns: 500 },
  );
});

test("a curve goes through its ends and bends, and does not leave its bounds", () => {
  fc.assert(
    fc.property(point, point, fc.array(point, { maxLength: 4 }), (from, to, bends) => {
      const curve = linkCurve(from, to, bends);
      expect(segments(curve)).toBe(bends.length + 1);
      [from, ...bends].forEach((one, n) => {
        for (const axis of [0, 1] as const) expect(pointAt(curve, n, 0)[axis]).toBeCloseTo(one[axis], 6);
      });
      expect(pointAt(curve, bends.length, 1)).toEqual([to[0], to[1]]);
      const bounds = curveBounds(curve);
      for (let n = 0; n < segments(curve); n += 1) {
        for (let t = 0; t <= 1; t += 0.05) {
          const [x, y] = pointAt(curve, n, t);
          expect(x).toBeGreaterThanOrEqual(bounds.x - 1e-6);
          expect(x).toBeLessThanOrEqual(bounds.x + bounds.width + 1e-6);
          expect(y).toBeGreaterThanOrEqual(bounds.y - 1e-6);
          expect(y).toBeLessThanOrEqual(bounds.y + bounds.height + 1e-6);
        }
      }
    }),
  );
});

test("the distance from a curve is that from the nearest of very many points on it", () => {
  fc.assert(
    fc.property(point, point, point, fc.array(point, { maxLength: 2 }), (from, to, at, bends) => {
      const curve = linkCurve(from, to, bends);
      let least = Infinity;
      for (let n = 0; n < segments(curve); n += 1) {
        for (let t = 0; t <= 1; t += 1 / 2000) {
          const [x, y] = pointAt(curve, n, t);
          least = Math.min(least, Math.hypot(x - at[0], y - at[1]));
        }
      }
      expect(Math.abs(nearest(curve, at).distance - least)).toBeLessThan(2);
    }),
    { numRuns: 150 },
  );
});

test("wires are cut and touched where they are", () => {
  const curve = linkCurve([0, 0], [400, 0]);
  expect(middle(curve)).toEqual([200, 0]);
  expect(crosses(curve, [200, -50], [200, 50])).toBe(true);
  expect(crosses(curve, [500, -50], [500, 50])).toBe(false);
  expect(touches(curve, { x: 150, y: -5, width: 20, height: 10 })).toBe(true);
  expect(touches(curve, { x: -50, y: -50, width: 1000, height: 1000 })).toBe(true);
  expect(touches(curve, { x: 150, y: 50, width: 20, height: 10 })).toBe(false);
  expect(nearest(linkCurve([0, 0], [400, 0], [[200, 0]]), [300, 10])).toMatchObject({ segment: 1, distance: 10 });
});

test("what is moved snaps to what is near, else to the grid", () => {
  const box = { x: 103, y: 517, width: 50, height: 50 };
  const others = [{ x: 100, y: 0, width: 200, height: 50 }];
  expect(snapToRects(box, others, 5)).toEqual({ by: [-3, 0], guides: [{ axis: "x", at: 100, from: 0, to: 567 }] });
  expect(snapRect(box, others, 5, 20)).toMatchObject({ by: [-3, 3] });
  expect(snapRect(box, [], 5, 20).by).toEqual([-3, 3]);
  expect(snapPoint([-9, 11])).toEqual([0, 20]);
  expect(Object.is(snapPoint([-9, 11])[0], 0)).toBe(true);
});

test("rectangles around many", () => {
  fc.assert(
    fc.property(fc.array(rect, { minLength: 1 }), (rects) => {
      const all = around(rects)!;
      for (const one of rects) expect(contains(all, one)).toBe(true);
    }),
  );
  expect(around([])).toBe(null);
  const document = emptyDocument();
  expect(() => nodeRect(document, [], "gone", palette)).toThrow();
});

test("with right angles a wire goes along the axes alone, leaves to the right, arrives from the left, and meets its bends", () => {
  const at = fc.tuple(fc.integer({ min: -500, max: 500 }), fc.integer({ min: -500, max: 500 }));
  fc.assert(
    fc.property(at, at, fc.array(at, { maxLength: 3 }), (from, to, bends) => {
      const curve = linkCurve(from, to, bends, "orthogonal");
      const ends: Point[] = Array.from({ length: segments(curve) + 1 }, (_, n) => [curve[6 * n]!, curve[6 * n + 1]!]);
      expect([ends[0], ends.at(-1)]).toEqual([from, to]);
      bends.forEach((bend, n) => {
        const place = bendOffset(curve, bends.length, n);
        expect([curve[place], curve[place + 1]]).toEqual(bend);
        const { distance, segment } = nearest(curve, bend);
        expect(distance).toBeLessThan(1e-6);
        expect(Math.floor(segment / piecesOf(curve, bends.length))).toBeLessThanOrEqual(bends.length);
      });
      const moves = ends.slice(1).map(([x, y], n) => [x - ends[n]![0], y - ends[n]![1]] as const);
      for (const [dx, dy] of moves) expect(Math.min(Math.abs(dx), Math.abs(dy))).toBeLessThan(1e-9);
      const some = moves.filter(([dx, dy]) => dx !== 0 || dy !== 0);
      if (some.length === 0) return;
      expect(some[0]![0]).toBeGreaterThan(0);
      expect(some.at(-1)![0]).toBeGreaterThan(0);
    }),
  );
});
