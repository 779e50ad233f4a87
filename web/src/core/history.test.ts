import { expect, test } from "vitest";
import { addStep, connect, moveSteps, setValue } from "./commands";
import { emptyDocument, readDocument, writeDocument } from "./document";
import { nodeLayout } from "./geometry";
import { DocumentStore } from "./history";
import { linksOf } from "./shape";
import type { NodeDef, Palette } from "./types";

const plain = {
  category: "",
  help: "",
  version: 1,
  purity: "pure",
  output: false,
  deprecated: "",
  experimental: false,
} as const;
const number: NodeDef = {
  ...plain,
  kind: "math/number",
  title: "Number",
  wires: [],
  knobs: [
    {
      name: "value",
      type: "FLOAT",
      default: 0,
      min: null,
      max: null,
      step: null,
      choices: [],
      multiline: false,
      seed: false,
      file: "",
      slider: false,
      color: false,
      advanced: false,
      label: "",
      help: "",
    },
  ],
  outputs: [{ name: "float", type: "FLOAT", many: false, help: "" }],
};
const show: NodeDef = {
  ...plain,
  kind: "math/show",
  title: "Show",
  output: true,
  wires: [{ name: "value", type: "FLOAT", optional: false, lazy: false, many: false, help: "" }],
  knobs: [],
  outputs: [],
};
const palette: Palette = { nodes: new Map([number, show].map((one) => [one.kind, one])), sockets: new Map() };

test("a document is built, taken back and done again", () => {
  const store = new DocumentStore(emptyDocument("Sums"));
  const before = store.getState();
  const a = store.run(addStep([], { kind: "math/number", position: [0, 0] }, palette));
  const b = store.run(addStep([], { kind: "math/show", position: [400, 0] }, palette));
  store.run(connect([], { step: a, output: "float" }, { step: b, input: "value" }, palette));
  for (let x = 1; x <= 50; x += 1) store.run(moveSteps([], { [b]: [400 + x, 0] }), "drag 1");
  store.run(setValue([], a, "value", 2.5));
  const after = store.getState();
  expect(linksOf(after)).toEqual([{ from: { step: a, output: "float" }, step: b, input: "value", index: 0 }]);
  expect(after.steps[b]!.position).toEqual([450, 0]);
  expect(nodeLayout(after, [], b, palette).inputs).toHaveLength(1);
  let count = 0;
  while (store.undo()) count += 1;
  expect(count).toBe(5);
  expect(store.getState()).toEqual(before);
  while (store.redo());
  expect(store.getState()).toEqual(after);
  expect(readDocument(JSON.parse(JSON.stringify(writeDocument(after))))).toEqual(after);
});
