import { expect, test } from "vitest";
import { bookmarkOf } from "../bookmarks";
import { effectiveLinks, notRunning } from "../bypass";
import { emptyDocument, readDocument, writeDocument } from "../document";
import { DocumentStore } from "../history";
import { linksOf } from "../shape";
import { palette } from "../testing/fixtures";
import { whyNot } from "../typing";
import {
  addReroute,
  addStep,
  applySeeds,
  connect,
  disconnect,
  exposeKnob,
  extractSteps,
  fitsOnLink,
  insertOnLink,
  moveEnd,
  moveReroute,
  moveSteps,
  randomSeed,
  removeReroute,
  removeSteps,
  replaceKind,
  replacePlan,
  resetValue,
  seedsAfterRun,
  setAfter,
  setBookmark,
  setHidden,
  setLocked,
  setMode,
  setValue,
  unexposeKnob,
} from "./index";

function chain(...kinds: string[]): { store: DocumentStore; ids: string[] } {
  const store = new DocumentStore(emptyDocument());
  const ids = kinds.map((kind, n) => store.run(addStep([], { kind, position: [n * 300, 0] }, palette)));
  ids.slice(1).forEach((id, n) => {
    const input = palette.nodes.get(kinds[n + 1]!)!.wires[0]?.name;
    if (!input) return;
    store.run(
      connect(
        [],
        { step: ids[n]!, output: palette.nodes.get(kinds[n]!)!.outputs[0]!.name },
        { step: id, input },
        palette,
      ),
    );
  });
  return { store, ids };
}
const wires = (store: DocumentStore) =>
  linksOf(store.getState()).map((one) => `${one.from.step}.${one.from.output} > ${one.step}.${one.input}`);

test("a new step has the usual values of its knobs and its kind's version written down", () => {
  const { store } = chain("pic/blur");
  expect(store.getState().steps.blur).toMatchObject({
    version: 1,
    inputs: { radius: 1, mode: "gauss", note: "", edges: false },
  });
});

test("an input takes one wire, or as many as it likes", () => {
  const { store } = chain("pic/load", "pic/load", "pic/stack", "pic/save");
  store.run(connect([], { step: "load", output: "image" }, { step: "save", input: "image" }, palette));
  expect(wires(store)).toContain("load.image > save.image");
  expect(wires(store)).not.toContain("stack.image > save.image");
  for (const from of ["load", "load_2", "load"])
    store.run(connect([], { step: from, output: "image" }, { step: "stack", input: "images" }, palette));
  const sources = () =>
    linksOf(store.getState())
      .filter((one) => one.input === "images")
      .map((one) => one.from.step);
  expect(sources()).toEqual(["load_2", "load", "load_2", "load"]);
  store.run(addReroute([], { step: "stack", input: "images", index: 3 }, 0, [7, 7]));
  store.run(
    disconnect(
      [],
      [
        { step: "stack", input: "images", index: 0 },
        { step: "stack", input: "images", index: 2 },
      ],
    ),
  );
  expect(sources()).toEqual(["load", "load"]);
  expect(store.getState().steps.stack!.reroutes).toEqual({ "images#1": [[7, 7]] });
  store.run(moveEnd([], { step: "stack", input: "images", index: 1 }, { step: "save", input: "image" }, palette));
  expect(wires(store)).toEqual(["load.image > stack.images", "load.image > save.image"]);
});

test("bends are added, moved and removed, and go with their wire", () => {
  const { store } = chain("pic/load", "pic/save");
  const wire = { step: "save", input: "image", index: 0 };
  store.run(addReroute([], wire, 0, [10, 10]));
  store.run(addReroute([], wire, 1, [20, 20]));
  store.run(addReroute([], wire, 1, [15, 15]));
  store.run(moveReroute([], wire, 0, [11, 11]));
  expect(store.getState().steps.save!.reroutes).toEqual({
    image: [
      [11, 11],
      [15, 15],
      [20, 20],
    ],
  });
  store.run(removeReroute([], wire, 1));
  expect(store.getState().steps.save!.reroutes).toEqual({
    image: [
      [11, 11],
      [20, 20],
    ],
  });
  store.run(disconnect([], [wire]));
  expect(store.getState().steps.save!.reroutes).toEqual({});
});

test("removing a step cuts its wires, or leads them past it", () => {
  for (const reconnect of [false, true]) {
    const { store } = chain("pic/load", "pic/blur", "pic/invert", "pic/save");
    store.run(removeSteps([], ["blur", "invert"], palette, reconnect));
    expect(wires(store)).toEqual(reconnect ? ["load.image > save.image"] : []);
  }
});

test("a step dropped on a wire is put into it, if it fits", () => {
  const { store } = chain("pic/load", "pic/save");
  const [link] = linksOf(store.getState());
  for (const kind of ["pic/blur", "math/add"]) store.run(addStep([], { kind, position: [0, 0] }, palette));
  expect(fitsOnLink(store.getState(), [], link!, "math/add", palette)).toBe(null);
  expect(() => store.run(insertOnLink([], link!, "add", palette))).toThrow();
  const before = store.depth;
  store.run(insertOnLink([], link!, "blur", palette));
  expect(wires(store).sort()).toEqual(["blur.image > save.image", "load.image > blur.image"]);
  expect(store.depth).toBe(before + 1);
});

test("a wire that cannot be is refused with the reason", () => {
  const { store } = chain("pic/load", "pic/blur", "pic/invert", "pic/save");
  const why = (from: [string, string], to: [string, string]) =>
    whyNot(store.getState(), [], { step: from[0], output: from[1] }, { step: to[0], input: to[1] }, palette);
  expect(why(["load", "mask"], ["save", "image"])).toEqual({ key: "wrong-type", given: "MASK", wanted: "IMAGE" });
  expect(why(["invert", "image"], ["blur", "image"])).toEqual({ key: "cycle", steps: ["blur", "invert"] });
  expect(why(["blur", "image"], ["blur", "image"])).toEqual({ key: "same-step" });
  expect(why(["load", "image"], ["blur", "image"])).toEqual({ key: "already-joined" });
  expect(why(["load", "nothing"], ["blur", "image"])).toEqual({ key: "no-such-end" });
  expect(why(["load", "image"], ["save", "name"])).toEqual({ key: "wrong-type", given: "IMAGE", wanted: "STRING" });
  expect(why(["load", "mask"], ["blur", "image"])).toBe(null);
});

test("a wire past a bypassed step is told beside the wire that is there, and what a muted step stops", () => {
  const { store } = chain("pic/load", "pic/blur", "pic/invert", "pic/save");
  store.run(setMode([], ["blur", "invert"], "bypassed"));
  const [ghost, ...rest] = effectiveLinks(store.getState(), [], palette);
  expect([ghost!.link.step, ghost!.from, rest]).toEqual(["save", { step: "load", output: "image" }, []]);
  store.run(setMode([], ["blur"], "muted"));
  expect([...notRunning(store.getState())]).toEqual(["blur", "invert", "save"]);
});

test("a knob becomes an input and a value again", () => {
  const { store } = chain("math/whole", "pic/paint");
  store.run(exposeKnob([], "paint", "seed"));
  store.run(connect([], { step: "whole", output: "int" }, { step: "paint", input: "seed" }, palette));
  store.run(setValue([], "paint", "seed", 7));
  expect(store.getState().steps.paint).toMatchObject({ exposed: ["seed"], inputs: { seed: 7 } });
  store.run(connect([], { step: "whole", output: "int" }, { step: "paint", input: "seed" }, palette));
  store.run(unexposeKnob([], "paint", "seed"));
  expect(store.getState().steps.paint!.exposed).toEqual([]);
  expect("seed" in store.getState().steps.paint!.inputs).toBe(false);
});

test("replacing a kind keeps wires and values by name, then by type, and says before what it would lose", () => {
  const { store } = chain("pic/load", "pic/blur", "pic/save");
  store.run(setValue([], "blur", "radius", 5));
  store.run(addReroute([], { step: "blur", input: "image", index: 0 }, 0, [1, 2]));
  expect(replacePlan(store.getState(), [], "blur", "pic/stack", palette)).toEqual({
    inputs: { image: "images" },
    outputs: { image: "image" },
    lost: [{ what: "value", name: "radius" }],
  });
  store.run(replaceKind([], "blur", "pic/stack", palette));
  expect(wires(store)).toEqual(["load.image > blur.images", "blur.image > save.image"]);
  expect(store.getState().steps.blur!.inputs.images).toEqual([{ join: ["load", "image"] }]);
  expect(replacePlan(store.getState(), [], "load", "math/number", palette)!.lost).toEqual([
    { what: "output", name: "image" },
  ]);
  store.run(replaceKind([], "load", "math/number", palette));
  expect(wires(store)).toEqual(["blur.image > save.image"]);
  expect(replacePlan(store.getState(), [], "save", "no/such", palette)).toBe(null);
});

test("after a run, seeds that are not fixed change within their bounds, and one step takes that back", () => {
  const { store } = chain("pic/paint", "pic/paint", "pic/paint", "pic/paint");
  const most = 2 ** 48;
  store.run(setAfter([], "paint", "seed", "random"));
  store.run(setAfter([], "paint_2", "seed", "increment"));
  store.run(setAfter([], "paint_3", "seed", "increment"));
  store.run(setValue([], "paint_3", "seed", most));
  const before = store.getState();
  store.run(applySeeds(seedsAfterRun(before, palette, () => 0.5)));
  const seeds = () => Object.values(store.getState().steps).map((one) => one.inputs.seed);
  expect(seeds().slice(1)).toEqual([1, 0, 0]);
  expect(seeds()[0]).toBeGreaterThan(0);
  store.undo();
  expect(store.getState()).toBe(before);
  const drawn = Array.from({ length: 2000 }, () => randomSeed({ min: 3, max: 6 }));
  expect([...new Set(drawn)].sort()).toEqual([3, 4, 5, 6]);
});

test("steps taken out of the flow keep the wires among them, and what they fed is fed by what fed them", () => {
  const { store, ids } = chain("pic/load", "pic/blur", "pic/blur", "pic/save");
  store.run(addReroute([], { step: "save", input: "image", index: 0 }, 0, [5, 5]));
  store.run(extractSteps([], [ids[1]!, ids[2]!], palette));
  expect(wires(store)).toEqual(["blur.image > blur_2.image", "load.image > save.image"]);
  expect(store.getState().steps.save!.reroutes).toEqual({ image: [[5, 5]] });
  store.run(extractSteps([], ["blur_2"], palette));
  expect(wires(store)).toEqual(["load.image > save.image"]);
});

test("a locked step stays whatever moves; locks, hidden wires and bookmarks are saved with the document", () => {
  const { store } = chain("pic/load", "pic/save");
  store.run(setLocked([], ["load"], true));
  store.run(moveSteps([], { load: [9, 9], save: [99, 99] }));
  expect([store.getState().steps.load!.position, store.getState().steps.save!.position]).toEqual([
    [0, 0],
    [99, 99],
  ]);
  store.run(setHidden([], [{ step: "save", input: "image" }], true));
  const place = { path: ["inner"], scope: ["step"], center: [12, -7] as const, zoom: 0.5 };
  store.run(setBookmark("8", place));
  const again = readDocument(JSON.parse(JSON.stringify(writeDocument(store.getState()))));
  expect(again).toEqual(store.getState());
  expect([again.steps.load!.locked, again.steps.save!.hidden]).toEqual([true, ["image"]]);
  expect([bookmarkOf(again, "8"), bookmarkOf(again, "7")]).toEqual([place, null]);
  for (const odd of [1, [], { "8": 4 }, { "8": { ...place, zoom: -1 } }, { "8": { ...place, scope: [] } }]) {
    expect(bookmarkOf({ extra: { bookmarks: JSON.parse(JSON.stringify(odd)) } }, "8")).toBeNull();
  }
  store.run(setHidden([], [{ step: "save", input: "image" }], false));
  expect(store.getState().steps.save!.hidden).toEqual([]);
});

test("what is set, reset or made a widget in the place of wires leaves no bends of theirs behind", () => {
  for (const instead of [
    setValue([], "stack", "images", 1),
    resetValue([], "stack", "images", palette),
    unexposeKnob([], "stack", "images"),
  ]) {
    const { store } = chain("pic/load", "pic/stack");
    store.run(connect([], { step: "load", output: "image" }, { step: "stack", input: "images" }, palette));
    store.run(addReroute([], { step: "stack", input: "images", index: 1 }, 0, [5, 5]));
    expect(store.getState().steps.stack!.reroutes).toEqual({ "images#1": [[5, 5]] });
    store.run(instead);
    expect(store.getState().steps.stack!.reroutes).toEqual({});
  }
});
