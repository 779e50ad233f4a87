import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Alignment, aligned, distributed, layoutRequest } from "./align";
import { arrange } from "./commands";
import { readDocument } from "./document";
import { around, nodeRect, overlap } from "./geometry";
import { DocumentStore } from "./history";
import { layoutBoxes } from "./layout";
import { inOrder, neighbours, outline } from "./outline";
import { linksOf } from "./shape";
import { anyDocument } from "./testing/arbitrary";
import { palette } from "./testing/fixtures";
import type { Rect } from "./types";

vi.setConfig({ testTimeout: 120_000 }); // on a busy machine

const join = (step: string, output: string) => ({ join: [step, output] });
const document = readDocument({
  steps: {
    save: { kind: "pic/save", inputs: { image: join("blur", "image"), name: "cat" }, position: [0, 0] },
    blur: {
      kind: "pic/blur",
      inputs: { image: join("load", "image"), radius: join("n", "float") },
      position: [10, 0],
      mode: "bypassed",
      title: "Soft",
    },
    load: { kind: "pic/load", inputs: { file: "cat.png" }, position: [20, 0] },
    n: { kind: "math/number", inputs: { value: 2.5 }, position: [20, 50] },
    odd: { kind: "no/such", position: [900, 0] },
  },
});

test("the outline reads in the order of the work, with what is joined to what", () => {
  const items = outline(document, [], palette);
  expect(items.map((one) => one.text)).toEqual([
    "Load picture",
    "Number",
    "Soft, bypassed",
    "Save picture",
    "such, unknown node",
  ]);
  expect(items[2]!.children.map((one) => one.text)).toEqual([
    "image, from Load picture",
    "radius, from Number",
    "mode: gauss",
    "note: ",
    "edges: false",
    "image, to Save picture",
  ]);
  expect(items[0]!.children.map((one) => one.text)).toEqual(["file: cat.png", "image, to Soft", "mask, not used"]);
  expect(neighbours(document, [], "blur")).toEqual({ before: ["load", "n"], after: ["save"] });
});

test("every step is in the order once, after what feeds it", () => {
  fc.assert(
    fc.property(anyDocument, (made) => {
      const order = inOrder(made, []);
      expect([...order].sort()).toEqual(Object.keys(made.steps).sort());
      for (const link of linksOf(made)) expect(order.indexOf(link.from.step)).toBeLessThan(order.indexOf(link.step));
      expect(
        new Set(
          outline(made, [], palette)
            .flatMap((one) => [one, ...one.children])
            .map((one) => one.key),
        ).size,
      ).toBe(outline(made, [], palette).reduce((sum, one) => sum + 1 + one.children.length, 0));
    }),
  );
});

test("an automatic layout puts every step to the right of what feeds it, and none on another", () => {
  fc.assert(
    fc.property(anyDocument, (made) => {
      const store = new DocumentStore(made);
      store.run(arrange([], layoutBoxes(layoutRequest(made, [], palette)), palette));
      const now = store.getState();
      const ids = Object.keys(now.steps);
      const rects = ids.map((id) => nodeRect(now, [], id, palette));
      rects.forEach((one, n) => {
        for (const other of rects.slice(n + 1)) expect(overlap(one, other)).toBe(false);
      });
      for (const link of linksOf(now)) {
        const [from, to] = [rects[ids.indexOf(link.from.step)]!, rects[ids.indexOf(link.step)]!];
        expect(from.x + from.width).toBeLessThanOrEqual(to.x);
      }
    }),
    { numRuns: 60 },
  );
  expect(layoutBoxes({ boxes: [], edges: [], gap: [1, 1] })).toEqual({});
});

test("boxes are aligned on one line, and spaced evenly between the outer ones", () => {
  const rects = new Map<string, Rect>([
    ["a", { x: 0, y: 0, width: 100, height: 10 }],
    ["b", { x: 130, y: 70, width: 50, height: 20 }],
    ["c", { x: 300, y: 40, width: 100, height: 60 }],
  ]);
  const at = (how: Alignment) => Object.values(aligned(rects, how));
  expect(at("left")).toEqual([
    [0, 0],
    [0, 70],
    [0, 40],
  ]);
  expect(at("right")).toEqual([
    [300, 0],
    [350, 70],
    [300, 40],
  ]);
  expect(at("center").map(([x]) => x)).toEqual([150, 175, 150]);
  expect(at("bottom").map(([, y]) => y)).toEqual([90, 80, 40]);
  expect(Object.values(distributed(rects, "x")).map(([x]) => x)).toEqual([0, 175, 300]);
  expect(around(rects.values())).toEqual({ x: 0, y: 0, width: 400, height: 100 });
});
