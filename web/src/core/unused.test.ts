import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { layoutRequest } from "./align";
import {
  addPort,
  addStep,
  boards,
  connect,
  copy,
  disconnect,
  duplicate,
  makeSubgraph,
  paste,
  removeSteps,
  replaceKind,
  setCollapsed,
  setCompact,
  setValue,
} from "./commands";
import { emptyDocument, readDocument, writeDocument } from "./document";
import { boardRects, HEADER, nodeLayout, SOCKET_ROW } from "./geometry";
import { DocumentStore } from "./history";
import { linksOf, shapeOf } from "./shape";
import { anyDocument } from "./testing/arbitrary";
import { palette } from "./testing/fixtures";
import { problemsOn, validate } from "./validate";

vi.setConfig({ testTimeout: 120_000 }); // on a busy machine

const names = (some: readonly { name: string; index: number }[]) => some.map((one) => `${one.name} ${one.index}`);

/** The sockets that are drawn on a step, inputs and outputs. */
function drawn(store: DocumentStore, id: string, path: string[] = []): string {
  const { inputs, outputs } = nodeLayout(store.getState(), path, id, palette);
  return `${names(inputs)} > ${names(outputs)}`;
}

function some(...kinds: string[]): DocumentStore {
  const store = new DocumentStore(emptyDocument());
  kinds.forEach((kind, n) => void store.run(addStep([], { kind, position: [n * 400, 0] }, palette)));
  return store;
}

/** All of a document with every step showing only what is joined. */
function compacted(store: DocumentStore): void {
  for (const { path, board } of boards(store.getState())) store.run(setCompact(path, Object.keys(board.steps), true));
}

test("what nothing is joined to is not drawn, but for a wire that has to be there; knobs stay", () => {
  const store = some("pic/load", "pic/invert");
  const before = nodeLayout(store.getState(), [], "invert", palette);
  store.run(setCompact([], ["load", "invert"], true));
  expect([drawn(store, "load"), drawn(store, "invert")]).toEqual([" > ", "image 0 > "]);
  const { height, rows } = nodeLayout(store.getState(), [], "invert", palette);
  expect(height).toBe(before.height - SOCKET_ROW);
  expect(rows.flatMap((row) => row.knob?.name ?? [])).toEqual(before.rows.flatMap((row) => row.knob?.name ?? []));
});

test("a wire that is joined brings its ends back, one that is cut takes them away, and so do undo and redo", () => {
  const store = some("pic/load", "pic/invert");
  store.run(setCompact([], ["load", "invert"], true));
  store.run(connect([], { step: "load", output: "mask" }, { step: "invert", input: "mask" }, palette));
  const joined = [" > mask 0", "image 0,mask 0 > "];
  const both = () => [drawn(store, "load"), drawn(store, "invert")];
  expect(both()).toEqual(joined);
  store.undo();
  expect(both()).toEqual([" > ", "image 0 > "]);
  store.redo();
  expect(both()).toEqual(joined);
  store.run(disconnect([], [{ step: "invert", input: "mask", index: 0 }]));
  expect(both()).toEqual([" > ", "image 0 > "]);
  store.undo();
  store.run(removeSteps([], ["invert"], palette));
  expect(drawn(store, "load")).toBe(" > ");
});

test("of a wire that takes many the empty place goes once there is one; what is said there without a wire stays", () => {
  const store = some("pic/load", "pic/stack");
  store.run(setCompact([], ["stack"], true));
  expect(drawn(store, "stack")).toBe("images 0 > ");
  store.run(connect([], { step: "load", output: "image" }, { step: "stack", input: "images" }, palette));
  store.run(connect([], { step: "load", output: "image" }, { step: "stack", input: "images" }, palette));
  expect(drawn(store, "stack")).toBe("images 0,images 1 > ");
  store.run(setValue([], "stack", "mask", 7));
  expect(drawn(store, "stack")).toBe("images 0,images 1,mask 0 > ");
});

test("inside a subgraph what its ports lead to is drawn, and its own node shows what is joined", () => {
  const store = some("pic/load", "pic/invert", "pic/save");
  store.run(connect([], { step: "load", output: "image" }, { step: "invert", input: "image" }, palette));
  store.run(connect([], { step: "invert", output: "image" }, { step: "save", input: "image" }, palette));
  const made = store.run(makeSubgraph([], { steps: ["invert"], groups: [], notes: [] }, "In", palette));
  const inside = [made.definition];
  store.run(setCompact(inside, ["invert"], true));
  expect(drawn(store, "invert", inside)).toBe("image 0 > image 0");
  const port = store.run(addPort(made.definition, "inputs", "invert", "mask", palette));
  expect(drawn(store, "invert", inside)).toBe("image 0,mask 0 > image 0");
  store.run(setCompact([], [made.step], true));
  const { inputs, unused } = nodeLayout(store.getState(), [], made.step, palette);
  expect([inputs.length, names(unused.inputs)]).toEqual([1, [`${port} 0`]]);
  store.run(setCompact([], ["load"], true));
  expect(drawn(store, "load")).toBe(" > image 0");
});

test("whatever is joined, has to be or is wrong is drawn, and each socket is drawn or not, never both", () => {
  fc.assert(
    fc.property(anyDocument, (document) => {
      const store = new DocumentStore(document);
      compacted(store);
      const now = store.getState();
      const problems = validate(now, palette);
      for (const { path, board } of boards(now)) {
        const wrong = problemsOn(now, path, problems);
        const links = linksOf(board);
        for (const id of Object.keys(board.steps)) {
          const shape = shapeOf(now, path, id, palette);
          const { inputs, outputs, unused, height } = nodeLayout(now, path, id, palette);
          const all = nodeLayout(document, path, id, palette);
          const shown = (name: string) => inputs.some((one) => one.name === name);
          for (const { input } of links.filter((one) => one.step === id)) expect(shown(input)).toBe(true);
          for (const { from } of links.filter((one) => one.from.step === id))
            expect(outputs.map((one) => one.name)).toContain(from.output);
          for (const wire of shape.wires) if (!wire.optional) expect(shown(wire.name)).toBe(true);
          for (const one of wrong.get(id) ?? [])
            if (one.step === id && shape.wires.some((wire) => wire.name === one.field))
              expect(shown(one.field)).toBe(true);
          expect(names([...inputs, ...unused.inputs]).sort()).toEqual(names(all.inputs).sort());
          expect(names([...outputs, ...unused.outputs]).sort()).toEqual(names(all.outputs).sort());
          expect(height).toBeLessThanOrEqual(all.height);
          expect((all.height - height) % SOCKET_ROW).toBe(0);
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("hidden and shown again it is the same board, node by node as large and with the same sockets", () => {
  fc.assert(
    fc.property(anyDocument, (document) => {
      const store = new DocumentStore(document);
      const all = boards(document);
      const layouts = () =>
        all.map(({ path, board }) =>
          Object.keys(board.steps).map((id) => nodeLayout(store.getState(), path, id, palette)),
        );
      const before = layouts();
      compacted(store);
      expect(validate(store.getState(), palette)).toEqual(validate(document, palette));
      for (const { path, board } of all) store.run(setCompact(path, Object.keys(board.steps), false));
      expect(store.getState()).toEqual(document);
      expect(layouts()).toEqual(before);
      while (store.undo());
      expect(store.getState()).toBe(document);
    }),
    { numRuns: 60 },
  );
});

test("it is written down, read, copied, pasted, duplicated and kept by another kind; the usual is not written", () => {
  const store = some("pic/load", "pic/blur");
  store.run(setCompact([], ["blur"], true));
  const json = writeDocument(store.getState());
  expect(json.steps).toMatchObject({ blur: { compact: true } });
  expect((json.steps as Record<string, object>).load).not.toHaveProperty("compact");
  expect(readDocument(JSON.parse(JSON.stringify(json)))).toEqual(store.getState());
  const chosen = { steps: ["blur"], groups: [], notes: [] };
  const text = copy(store.getState(), [], chosen, palette);
  const made = [store.run(paste([], text)), store.run(duplicate([], chosen, [40, 40], palette))];
  for (const { steps } of made) expect(store.getState().steps[steps[0]!]!.compact).toBe(true);
  store.run(replaceKind([], "blur", "pic/invert", palette));
  expect(store.getState().steps.blur!.compact).toBe(true);
});

test("an automatic layout, culling and fitting take the height that is drawn; folded, a node is its header", () => {
  const store = some("pic/stack", "pic/split");
  const full = boardRects(store.getState(), [], palette).steps;
  store.run(setCompact([], ["stack", "split"], true));
  const now = boardRects(store.getState(), [], palette).steps;
  for (const { id, rect } of layoutRequest(store.getState(), [], palette).boxes) {
    expect(rect).toEqual(now.get(id));
    expect(rect.height).toBe(full.get(id)!.height - SOCKET_ROW);
  }
  store.run(setCollapsed([], ["stack"], true));
  expect(nodeLayout(store.getState(), [], "stack", palette).height).toBe(HEADER);
});
