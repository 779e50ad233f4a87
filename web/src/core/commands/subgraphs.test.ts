import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyDocument, own, Refused, subgraphId } from "../document";
import { graphOf } from "../flatten";
import { DocumentStore } from "../history";
import { inputJoins, kindShape, linksOf, toInput } from "../shape";
import { anyDocument, dice, diceOf, selectionOf } from "../testing/arbitrary";
import { palette } from "../testing/fixtures";
import type { Document, Input, Json, Path, Selection } from "../types";
import { validate } from "../validate";
import {
  addPort,
  addReroute,
  addStep,
  boards,
  connect,
  forkSubgraph,
  isInside,
  leadPort,
  makeSubgraph,
  movePort,
  removePort,
  removeSubgraph,
  renamePort,
  replaceKind,
  setValue,
  unpack,
  usesOf,
  withContent,
} from "./index";

const PATIENCE = 120_000; // on a busy machine
const none = { groups: [], notes: [] };

/** What runs, without regard to order. `named` gives the id that a step has in the other document. */
function runs(document: Document, named: (id: string) => string = (id) => id) {
  const { steps, targets } = graphOf(document, palette);
  const value = (one: Input): Json => {
    if (Array.isArray(one)) return one.map(value);
    const [join] = inputJoins(one);
    return join ? toInput({ step: named(join.step), output: join.output }) : (one as Json);
  };
  const made = Object.entries(steps).map(([id, { kind, inputs }]) => {
    const given = Object.entries(inputs).filter(([, one]) => one !== null);
    return [named(id), { kind, inputs: Object.fromEntries(given.map(([name, one]) => [name, value(one)])) }] as const;
  });
  return { steps: Object.fromEntries(made), targets: targets.map(named).sort() };
}

/** A flat id after the steps `moved` of one board have other names there. */
function renaming(document: Document, path: Path, moved: ReadonlyMap<string, string>) {
  return (id: string): string => {
    let at = "";
    const parts = id.split("/").map((part) => {
      const board = at ? document.definitions[at] : document;
      const made = at === (path.at(-1) ?? "") ? (moved.get(part) ?? part) : part;
      at = subgraphId(own(board!.steps, part)?.kind ?? "") || "?";
      return made;
    });
    return parts.join("/");
  };
}

const codes = (document: Document): string[] =>
  validate(document, palette)
    .map((one) => one.code)
    .sort();

function somewhere(document: Document, numbers: readonly number[]): { path: string[]; selection: Selection } {
  const roll = diceOf(numbers);
  const all = boards(document);
  const { path, board } = all[roll() % all.length]!;
  return { path, selection: withContent(document, path, selectionOf(board, roll), palette) };
}

test(
  "putting any steps into a subgraph, and unpacking it again, does not change what runs",
  () => {
    let made = 0;
    fc.assert(
      fc.property(anyDocument, dice, (document, numbers) => {
        const { path, selection } = somewhere(document, numbers);
        if (!selection.steps.length) return;
        const store = new DocumentStore(document);
        const { definition, step } = store.run(makeSubgraph(path, selection, "Made", palette));
        made += 1;
        const packed = store.getState();
        const into = new Map(selection.steps.map((id) => [id, `${step}/${id}`]));
        expect(runs(packed)).toEqual(runs(document, renaming(document, path, into)));
        expect(codes(packed)).toEqual(codes(document));
        expect(usesOf(packed, definition)).toEqual([{ path, step }]);
        const out = store.run(unpack(path, step, palette));
        const back = new Map(Object.keys(packed.definitions[definition]!.steps).map((id, n) => [id, out.steps[n]!]));
        expect(runs(store.getState())).toEqual(runs(document, renaming(document, path, back)));
        expect(codes(store.getState())).toEqual(codes(document));
      }),
      { numRuns: 250 },
    );
    expect(made).toBeGreaterThan(100);
  },
  PATIENCE,
);

test("what is put into a subgraph and unpacked again is where it was, and its wires have the bends that they had", () => {
  const store = new DocumentStore(emptyDocument());
  for (const [id, kind, x] of [
    ["load", "pic/load", 0],
    ["soft", "pic/blur", 400],
    ["softer", "pic/blur", 800],
    ["total", "math/total", 400],
    ["a", "math/number", 0],
    ["b", "math/number", 400],
    ["save", "pic/save", 1200],
  ] as const) {
    store.run(addStep([], { kind, position: [x, id.length * 300], id }, palette));
  }
  const wires: [from: string, output: string, to: string, input: string][] = [
    ["load", "image", "soft", "image"], // one source, one port, two ends
    ["load", "image", "softer", "image"],
    ["soft", "image", "save", "image"], // out of it
    ["a", "float", "total", "values"], // a list: one from outside, one from inside, one from outside
    ["b", "float", "total", "values"],
    ["a", "float", "total", "values"],
    ["total", "float", "soft", "radius"], // within
  ];
  for (const [step, output, to, input] of wires) store.run(connect([], { step, output }, { step: to, input }, palette));
  const before = () => linksOf(store.getState()).map((link) => JSON.stringify(link));
  linksOf(store.getState()).forEach((link, n) => {
    store.run(addReroute([], link, 0, [100 * n, 50 + n]));
    store.run(addReroute([], link, 1, [100 * n + 9, 70 + n]));
  });
  const [links, { steps }] = [before(), store.getState()];
  const chosen = { steps: ["soft", "softer", "total", "b"], ...none };
  const { step } = store.run(makeSubgraph([], chosen, "Made", palette));
  const packed = store.getState().steps[step]!;
  expect(Object.values(packed.reroutes)).toContainEqual(steps.soft!.reroutes.image);
  expect(store.getState().steps.save!.reroutes).toEqual(steps.save!.reroutes);
  store.run(unpack([], step, palette));
  expect(before().sort()).toEqual([...links].sort());
  for (const [id, one] of Object.entries(store.getState().steps)) {
    expect([id, one.position, one.reroutes]).toEqual([id, steps[id]!.position, steps[id]!.reroutes]);
  }
});

test(
  "unpacking any subgraph that is on does not change what runs",
  () => {
    fc.assert(
      fc.property(anyDocument, dice, (document, numbers) => {
        const roll = diceOf(numbers);
        const uses = Object.keys(document.definitions).flatMap((id) => usesOf(document, id));
        const use = uses[roll() % Math.max(1, uses.length)];
        if (!use) return;
        const store = new DocumentStore(document);
        const before = store.getState();
        const board = boards(before).find((one) => one.path.join() === use.path.join())!.board;
        if (board.steps[use.step]!.mode !== "on") return;
        const inside = Object.keys(before.definitions[subgraphId(board.steps[use.step]!.kind)]!.steps);
        const { steps } = store.run(unpack(use.path, use.step, palette));
        const named = (id: string): string => {
          let at = "";
          const parts: string[] = [];
          let skip = false;
          for (const part of id.split("/")) {
            const here = at ? before.definitions[at]! : before;
            const isUse = at === (use.path.at(-1) ?? "") && part === use.step;
            if (skip) parts.push(steps[inside.indexOf(part)]!);
            else if (!isUse) parts.push(part);
            skip = isUse;
            at = subgraphId(own(here.steps, part)?.kind ?? "") || "?";
          }
          return parts.join("/");
        };
        expect(runs(store.getState())).toEqual(runs(before, named));
      }),
      { numRuns: 250 },
    );
  },
  PATIENCE,
);

test(
  "renaming, reordering and publishing ports and forking a subgraph do not change what runs",
  () => {
    fc.assert(
      fc.property(anyDocument, dice, (document, numbers) => {
        const roll = diceOf(numbers);
        const [definition] = Object.values(document.definitions);
        if (!definition) return;
        const store = new DocumentStore(document);
        const before = runs(store.getState());
        for (const side of ["inputs", "outputs"] as const) {
          for (const port of definition[side])
            store.run(renamePort(definition.id, side, port.name, `${port.name} (new)`));
          store.run(movePort(definition.id, side, 0, roll() % 3));
        }
        const id = Object.keys(definition.steps)[0]!;
        const [output] = kindShape(document, definition.steps[id]!.kind, palette)!.outputs;
        if (output) store.run(addPort(definition.id, "outputs", id, output.name, palette));
        const [use] = usesOf(store.getState(), definition.id);
        if (use) store.run(forkSubgraph(use.path, use.step));
        expect(runs(store.getState())).toEqual(before);
      }),
      { numRuns: 200 },
    );
  },
  PATIENCE,
);

function soft(): DocumentStore {
  const store = new DocumentStore(emptyDocument());
  const add = (kind: string, x: number): string => store.run(addStep([], { kind, position: [x, 0] }, palette));
  const ids = ["pic/load", "pic/blur", "pic/blur", "pic/save"].map((kind, n) => add(kind, n * 300));
  ids.slice(1).forEach((id, n) => {
    store.run(connect([], { step: ids[n]!, output: "image" }, { step: id, input: "image" }, palette));
  });
  return store;
}

test("a subgraph made of two steps has the ports that the wires across make, and knobs can be published", () => {
  const store = soft();
  const { definition, step } = store.run(
    makeSubgraph([], { steps: ["blur", "blur_2"], ...none }, "Soft look", palette),
  );
  const made = store.getState().definitions[definition]!;
  expect([definition, step, made.title]).toEqual(["soft_look", "soft_look", "Soft look"]);
  expect(made.inputs).toEqual([{ name: "image", type: "IMAGE|MASK", inner: [["blur", "image"]] }]);
  expect(made.outputs).toEqual([{ name: "image", type: "IMAGE", inner: [["blur_2", "image"]] }]);
  expect(linksOf(store.getState()).map((one) => [one.from.step, one.step])).toEqual([
    ["soft_look", "save"],
    ["load", "soft_look"],
  ]);
  store.run(setValue([definition], "blur", "radius", 7));
  const radius = store.run(addPort(definition, "inputs", "blur", "radius", palette));
  store.run(leadPort(definition, "inputs", radius, "blur_2", "radius"));
  const shape = kindShape(store.getState(), `subgraph/${definition}`, palette)!;
  expect(shape.knobs.map((one) => [one.name, one.default, one.max, one.slider])).toEqual([["radius", 7, 100.5, true]]);
  expect(shape.wires.map((one) => [one.name, one.type, one.optional])).toEqual([["image", "IMAGE|MASK", false]]);
  store.run(setValue([], step, "radius", 9));
  const flat = graphOf(store.getState(), palette).steps;
  expect([flat["soft_look/blur"]!.inputs.radius, flat["soft_look/blur_2"]!.inputs.radius]).toEqual([9, 9]);
  store.run(removePort(definition, "inputs", radius));
  expect(store.getState().steps[step]!.inputs).toEqual({ image: { join: ["load", "image"] } });
  expect(validate(store.getState(), palette)).toEqual([]);
});

test("a wire in a list keeps its place", () => {
  const store = new DocumentStore(emptyDocument());
  const add = (kind: string): string => store.run(addStep([], { kind, position: [0, 0] }, palette));
  for (const kind of ["pic/load", "pic/load", "pic/load", "pic/stack", "pic/save"]) add(kind);
  for (const from of ["load", "load_2", "load_3"])
    store.run(connect([], { step: from, output: "image" }, { step: "stack", input: "images" }, palette));
  store.run(makeSubgraph([], { steps: ["load_2", "stack"], ...none }, "Pile", palette));
  expect(store.getState().definitions.pile!.inputs.map((one) => one.inner)).toEqual([
    [["stack", "images#0"]],
    [["stack", "images#2"]],
  ]);
  expect(graphOf(store.getState(), palette).steps["pile/stack"]!.inputs.images).toEqual(
    ["load", "pile/load_2", "load_3"].map((step) => toInput({ step, output: "image" })),
  );
});

test("a subgraph cannot be put into itself, nor removed while it is used", () => {
  const store = soft();
  store.run(makeSubgraph([], { steps: ["blur", "blur_2"], ...none }, "Inner", palette));
  store.run(makeSubgraph([], { steps: ["inner"], ...none }, "Outer", palette));
  const document = store.getState();
  expect([isInside(document, ["inner"], "subgraph/outer"), isInside(document, ["outer"], "subgraph/outer")]).toEqual([
    true,
    true,
  ]);
  expect([isInside(document, ["outer"], "subgraph/inner"), isInside(document, [], "subgraph/outer")]).toEqual([
    false,
    false,
  ]);
  expect(() => store.run(removeSubgraph("inner"))).toThrow();
  expect(() => store.run(addStep(["inner"], { kind: "subgraph/outer", position: [0, 0] }, palette))).toThrow(Refused);
  expect(() => store.run(replaceKind(["outer"], "inner", "subgraph/outer", palette))).toThrow(Refused);
  store.run(unpack([], "outer", palette));
  store.run(removeSubgraph("outer"));
  expect(Object.keys(store.getState().definitions)).toEqual(["inner"]);
});
