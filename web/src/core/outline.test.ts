import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Alignment, aligned, distributed, layoutRequest } from "./align";
import {
  alignItems,
  arrange,
  groupContent,
  groupSelection,
  moveSteps,
  setGroupCollapsed,
  straighten,
} from "./commands";
import { emptyDocument, readDocument } from "./document";
import { around, boardRects, inputPlace, nodeRect, outputPlace, overlap } from "./geometry";
import { DocumentStore } from "./history";
import { layoutBoxes } from "./layout";
import { inOrder, neighbours, outline } from "./outline";
import { linksOf } from "./shape";
import { anyDocument, dice, diceOf, fill } from "./testing/arbitrary";
import { palette } from "./testing/fixtures";
import type { Document, Rect } from "./types";

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
    fc.property(anyDocument, (any) => {
      const made = { ...any, groups: {} };
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
  expect(layoutBoxes({ boxes: [], edges: [], frames: [], margin: { side: 0, head: 0 }, gap: [1, 1] })).toEqual({});
});

test("an automatic layout keeps frames: what lay in one does, nothing else comes in, and a folded one hides the same", () => {
  fc.assert(
    fc.property(dice, (numbers) => {
      const roll = diceOf(numbers);
      const made = emptyDocument();
      fill(made, [], 8, roll);
      // Three clusters far from each other, and two steps that lie in none.
      Object.values(made.steps).forEach((step, n) => {
        step.position = [(n >> 1) * 5000 + (n % 2) * 900, (n % 2) * 300];
      });
      made.notes.memo = {
        id: "memo",
        text: "m",
        color: "",
        rect: { x: 300, y: 20, width: 240, height: 120 },
        extra: {},
      };
      const store = new DocumentStore(made);
      const pair = (n: number) => ({ steps: [`s${2 * n}`, `s${2 * n + 1}`], groups: [] as string[], notes: [] });
      const inner = store.run(groupSelection([], pair(0), palette, "Inner"));
      const other = store.run(groupSelection([], pair(1), palette, "Other"));
      const outer = store.run(groupSelection([], { ...pair(1), steps: [], groups: [inner, other] }, palette, "Outer"));
      const shut = store.run(groupSelection([], pair(2), palette, "Shut"));
      store.run(setGroupCollapsed([], shut, true, palette));
      const before = store.getState();
      const apart = (at: Document) =>
        pair(2).steps.map((id) =>
          [0, 1].map((n) => at.steps[id]!.position[n]! - [at.groups[shut]!.rect.x, at.groups[shut]!.rect.y][n]!),
        );
      store.run(arrange([], layoutBoxes(layoutRequest(before, [], palette)), palette));
      const now = store.getState();
      for (const id of [inner, other, outer, shut]) {
        const content = groupContent(now, [], id, palette);
        const sorted = (some: typeof content) => [some.steps, some.groups, some.notes].map((one) => [...one].sort());
        expect(sorted(content)).toEqual(sorted(groupContent(before, [], id, palette)));
      }
      expect(groupContent(now, [], inner, palette).notes).toEqual(["memo"]);
      expect(apart(now)).toEqual(apart(before));
      const rects = boardRects(now, [], palette);
      const bars = [inner, other].map((id) => rects.groups.get(id)!);
      expect(overlap(bars[0]!, bars[1]!)).toBe(false);
      const free = ["s6", "s7"].map((id) => rects.steps.get(id)!);
      const boxes = [rects.groups.get(outer)!, rects.groups.get(shut)!, ...free];
      boxes.forEach((one, n) => {
        for (const next of boxes.slice(n + 1)) expect(overlap(one, next)).toBe(false);
      });
    }),
    { numRuns: 60 },
  );
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

test("groups are aligned as they are drawn, with what lies in them; what is in a selected group is not moved twice", () => {
  const store = new DocumentStore(document);
  store.run(moveSteps([], { save: [900, 0], blur: [1500, 600] }));
  const group = store.run(groupSelection([], { steps: ["load"], groups: [], notes: [] }, palette));
  const { x } = store.getState().groups[group]!.rect;
  const load = store.getState().steps.load!.position;
  store.run(alignItems([], { steps: ["load", "save"], groups: [group], notes: [] }, "right", palette));
  const now = boardRects(store.getState(), [], palette);
  const by = now.groups.get(group)!.x - x;
  expect(store.getState().steps.load!.position).toEqual([load[0] + by, load[1]]);
  const right = (rect: Rect) => rect.x + rect.width;
  expect(right(now.groups.get(group)!)).toBe(right(now.steps.get("save")!));
});

test("straightened, the first wire into each step lies level", () => {
  const store = new DocumentStore(document);
  store.run(straighten([], ["save", "blur", "load"], palette));
  const made = store.getState();
  for (const id of ["save", "blur"]) {
    const link = linksOf(made).find((one) => one.step === id)!;
    const [, from] = outputPlace(made, [], link.from.step, link.from.output, palette);
    expect(inputPlace(made, [], id, link.input, link.index, palette)[1]).toBeCloseTo(from, 0);
  }
  expect(made.steps.load).toBe(document.steps.load);
});
