/** What the core costs on large documents: `npx vitest bench --run src/core`. Printed, never asserted. */

import { bench, describe } from "vitest";
import { layoutRequest } from "./align";
import { addStep, copy, makeSubgraph, moveSteps, paste, removeItems, setValue } from "./commands";
import { emptyDocument, newStep, readDocument, writeDocument } from "./document";
import { graphOf } from "./flatten";
import { boardRects } from "./geometry";
import { DocumentStore } from "./history";
import { layoutBoxes } from "./layout";
import { curveOf, nearest } from "./links";
import { outline } from "./outline";
import { searchNodes } from "./search";
import { linksOf, toInput } from "./shape";
import { SpatialIndex } from "./spatial";
import { palette } from "./testing/fixtures";
import type { Document } from "./types";
import { validate } from "./validate";

/** Chains of load, blur, invert, paint, stack, save in a grid; every wire is joined and every knob set. */
function large(count: number): Document {
  const document = emptyDocument();
  const kinds = ["pic/load", "pic/blur", "pic/invert", "pic/paint", "pic/stack", "pic/save"];
  for (let n = 0; n < count; n += 1) {
    const def = palette.nodes.get(kinds[n % 6]!)!;
    const step = newStep(def.kind, [(n % 48) * 320, Math.floor(n / 48) * 420], { version: 1 });
    for (const knob of def.knobs) step.inputs[knob.name] = knob.default;
    const before = toInput({ step: `s${n - 1}`, output: "image" });
    if (n % 6)
      for (const wire of def.wires)
        if (wire.type.includes("IMAGE")) step.inputs[wire.name] = wire.many ? [before, before] : before;
    document.steps[`s${n}`] = step;
  }
  return document;
}

for (const count of [1000, 2000]) {
  describe(`${count} nodes`, () => {
    const json = JSON.parse(JSON.stringify(writeDocument(large(count))));
    const store = new DocumentStore(large(count));
    const document = store.getState();
    const rects = boardRects(document, [], palette).steps;
    const index = new SpatialIndex(rects);
    const links = linksOf(document);
    const curves = links.map((link) => curveOf(document, [], link, palette)!);
    const all = { steps: Object.keys(document.steps), groups: [], notes: [] };
    let x = 0;
    const next = (): number => {
      x += 1;
      return x;
    };
    bench("links of a document just read", () => void linksOf(readDocument(json)), { time: 200 });
    bench("read", () => void readDocument(json), { time: 200 });
    bench("write", () => void writeDocument(document), { time: 200 });
    bench("validate", () => void validate(document, palette), { time: 300 });
    bench("graph to submit", () => void graphOf(document, palette), { time: 200 });
    bench(
      "links after one step moved",
      () => {
        store.run(moveSteps([], { s3: [next(), 0] }), "drag");
        linksOf(store.getState());
      },
      { time: 200 },
    );
    bench(
      "move 200 steps",
      () => {
        x += 1;
        store.run(
          moveSteps([], Object.fromEntries(all.steps.slice(0, 200).map((id) => [id, [x, x] as const]))),
          "drag",
        );
      },
      { time: 200 },
    );
    bench(
      "set a value, and judge the document",
      () => {
        store.run(setValue([], "s1", "radius", next() % 90), "type");
        validate(store.getState(), palette);
      },
      { time: 300 },
    );
    bench("rectangles of all, known", () => void boardRects(document, [], palette), { time: 200 });
    bench("index all", () => void new SpatialIndex(rects), { time: 200 });
    bench("what is in a window", () => void index.query({ x: 3000, y: 3000, width: 1600, height: 900 }), { time: 200 });
    bench("curves of all wires", () => void links.map((link) => curveOf(document, [], link, palette)), { time: 200 });
    bench("nearest of all wires", () => void curves.map((curve) => nearest(curve, [3000, 3000])), { time: 200 });
    bench("outline", () => void outline(document, [], palette), { time: 200 });
    bench("search", () => void searchNodes(document, [], palette, "blur in:IMAGE"), { time: 200 });
    bench(
      "copy and paste 200",
      () => {
        const other = new DocumentStore(document);
        other.run(paste([], copy(document, [], { ...all, steps: all.steps.slice(0, 200) }, palette)));
      },
      { time: 300 },
    );
    bench(
      "remove 100",
      () => {
        new DocumentStore(document).run(removeItems([], { ...all, steps: all.steps.slice(300, 400) }, palette, true));
      },
      { time: 300 },
    );
    bench(
      "add a step",
      () => {
        new DocumentStore(document).run(addStep([], { kind: "pic/blur", position: [0, 0] }, palette));
      },
      { time: 200 },
    );
    bench(
      "make a subgraph of 100",
      () => {
        new DocumentStore(document).run(
          makeSubgraph([], { ...all, steps: all.steps.slice(300, 400) }, "Part", palette),
        );
      },
      { time: 300 },
    );
    bench(
      "undo and redo",
      () => {
        store.undo();
        store.redo();
      },
      { time: 100 },
    );
  });
}

describe("in a worker", () => {
  const document = large(250);
  bench("automatic layout of 250 nodes", () => void layoutBoxes(layoutRequest(document, [], palette)), { time: 500 });
});
