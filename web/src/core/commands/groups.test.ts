import { expect, test } from "vitest";
import { layoutRequest } from "../align";
import { emptyDocument, readDocument, writeDocument } from "../document";
import { contains, nodeRect } from "../geometry";
import { DocumentStore } from "../history";
import { palette } from "../testing/fixtures";
import {
  addGroup,
  addNote,
  addStep,
  alignItems,
  arrange,
  besideBy,
  duplicate,
  fitGroup,
  groupContent,
  groupSelection,
  hiddenItems,
  makeSubgraph,
  moveGroup,
  moveItems,
  moveSteps,
  removeGroup,
  removeItems,
  removeSteps,
  resizeGroup,
  resizeNote,
  setGroupCollapsed,
  setLocked,
  setNoteText,
  takenAlong,
  unpack,
} from "./index";

function two(): DocumentStore {
  const store = new DocumentStore(emptyDocument());
  store.run(addStep([], { kind: "pic/load", position: [0, 0] }, palette));
  store.run(addStep([], { kind: "pic/blur", position: [400, 0] }, palette));
  store.run(addStep([], { kind: "pic/save", position: [3000, 0] }, palette));
  return store;
}

test("a group made of a selection holds it; groups in groups move with them, the frame alone without", () => {
  const store = two();
  const inner = store.run(groupSelection([], { steps: ["load"], groups: [], notes: [] }, palette, "Inner"));
  const outer = store.run(groupSelection([], { steps: ["blur"], groups: [inner], notes: [] }, palette, "Outer"));
  const note = store.run(addNote([], [450, 40], "hi"));
  expect(groupContent(store.getState(), [], outer, palette)).toEqual({
    steps: ["load", "blur"],
    groups: [inner],
    notes: [note],
  });
  expect(groupContent(store.getState(), [], inner, palette)).toEqual({ steps: ["load"], groups: [], notes: [] });
  const before = store.getState();
  store.run(moveGroup([], outer, [100, 50], palette));
  const after = store.getState();
  expect(after.steps.load!.position).toEqual([100, 50]);
  expect(after.steps.save).toBe(before.steps.save);
  expect(after.groups[inner]!.rect.x).toBe(before.groups[inner]!.rect.x + 100);
  expect(after.notes[note]!.rect.y).toBe(90);
  store.run(moveGroup([], outer, [5000, 0], palette, false));
  expect(store.getState().steps.load).toBe(after.steps.load);
  expect(groupContent(store.getState(), [], outer, palette).steps).toEqual([]);
});

test("a collapsed group hides what lies in it, and takes it along when it is removed; a frame alone leaves it", () => {
  const store = two();
  const group = store.run(groupSelection([], { steps: ["load", "blur"], groups: [], notes: [] }, palette));
  store.run(setGroupCollapsed([], group, true, palette));
  expect([...hiddenItems(store.getState(), [], palette).steps]).toEqual([
    ["load", group],
    ["blur", group],
  ]);
  store.run(removeGroup([], group));
  expect(Object.keys(store.getState().steps)).toEqual(["load", "blur", "save"]);
  store.undo();
  store.run(removeItems([], { steps: [], groups: [group], notes: [] }, palette));
  expect([Object.keys(store.getState().steps), store.getState().groups]).toEqual([["save"], {}]);
});

test("a frame is fitted to what lies in it, and neither it nor a note gets too small to be taken", () => {
  const store = two();
  const group = store.run(addGroup([], { x: -500, y: -500, width: 2000, height: 2000 }, "Wide"));
  store.run(fitGroup([], group, palette));
  const { rect } = store.getState().groups[group]!;
  expect(rect.width).toBeLessThan(1000);
  for (const id of ["load", "blur"]) expect(contains(rect, nodeRect(store.getState(), [], id, palette))).toBe(true);
  store.run(resizeGroup([], group, { ...rect, width: 1, height: -5 }));
  const note = store.run(addNote([], [0, 0]));
  store.run(setNoteText([], note, "**bold**"));
  store.run(resizeNote([], note, { x: 0, y: 0, width: 2, height: 2 }));
  for (const one of [store.getState().groups[group]!, store.getState().notes[note]!]) {
    expect([one.rect.width, one.rect.height]).toEqual([120, 80]);
  }
});

/** A folded group that hides load and blur; where blur is, below the bar. */
function folded(): { store: DocumentStore; group: string } {
  const store = two();
  const group = store.run(groupSelection([], { steps: ["load", "blur"], groups: [], notes: [] }, palette));
  store.run(setGroupCollapsed([], group, true, palette));
  return { store, group };
}
const hides = (store: DocumentStore, path: string[] = []) =>
  [...hiddenItems(store.getState(), path, palette).steps].map(([id, by]) => `${id} by ${by}`);

test("a node put where a folded group has its content is not hidden by it, and does not move with it", () => {
  const { store, group } = folded();
  store.run(moveSteps([], { save: [400, 10] }));
  expect(hides(store)).toEqual([`load by ${group}`, `blur by ${group}`]);
  store.run(moveGroup([], group, [0, 700], palette));
  expect(store.getState().steps.save!.position).toEqual([400, 10]);
  expect(store.getState().steps.blur!.position).toEqual([400, 700]);
  store.run(setGroupCollapsed([], group, false, palette));
  expect([hides(store), store.getState().groups[group]!.members]).toEqual([[], null]);
  expect(groupContent(store.getState(), [], group, palette).steps).toEqual(["load", "blur"]);
});

test("another frame over the room under a folded bar gets hold of nothing; one around the bar takes all of it", () => {
  const { store, group } = folded();
  const over = store.run(addGroup([], { x: -50, y: 0, width: 900, height: 400 }, "Over"));
  expect(groupContent(store.getState(), [], over, palette)).toEqual({ steps: [], groups: [], notes: [] });
  const round = store.run(groupSelection([], { steps: [], groups: [group], notes: [] }, palette, "Round"));
  expect(groupContent(store.getState(), [], round, palette)).toEqual({
    steps: ["load", "blur"],
    groups: [group],
    notes: [],
  });
  store.run(setGroupCollapsed([], round, true, palette));
  expect(hides(store)).toEqual([`load by ${round}`, `blur by ${round}`]);
  store.run(moveGroup([], round, [10, 20], palette));
  expect(store.getState().steps.load!.position).toEqual([10, 20]);
  store.run(setGroupCollapsed([], round, false, palette));
  expect(hides(store)).toEqual([`load by ${group}`, `blur by ${group}`]);
});

test("a group is copied with what lies in it; a folded copy hides the copies", () => {
  const { store, group } = folded();
  const made = store.run(duplicate([], { steps: [], groups: [group], notes: [] }, [0, 900], palette));
  expect([made.steps.length, made.groups.length]).toEqual([2, 1]);
  for (const id of made.steps) expect(hides(store)).toContain(`${id} by ${made.groups[0]}`);
  store.run(moveGroup([], made.groups[0]!, [7, 0], palette));
  expect(store.getState().steps.load!.position).toEqual([0, 0]);
  expect(store.getState().steps[made.steps[0]!]!.position).toEqual([7, 900]);
});

test("what is duplicated beside an open frame lies in the copy's frame alone, and the original in its own", () => {
  const store = two();
  const group = store.run(groupSelection([], { steps: ["load", "blur"], groups: [], notes: [] }, palette));
  const chosen = { steps: [], groups: [group], notes: [] };
  const made = store.run(duplicate([], chosen, besideBy(store.getState(), [], chosen, palette), palette));
  expect(groupContent(store.getState(), [], made.groups[0]!, palette).steps).toEqual(made.steps);
  expect(groupContent(store.getState(), [], group, palette).steps).toEqual(["load", "blur"]);
});

test("a new node with the id of one that a folded group had is not hidden", () => {
  const { store, group } = folded();
  store.run(removeSteps([], ["blur"], palette));
  expect(store.run(addStep([], { kind: "pic/blur", position: [400, 0] }, palette))).toBe("blur");
  expect(hides(store)).toEqual([`load by ${group}`]);
});

test("what is hidden is written down and read again, and goes into a subgraph and out of it", () => {
  const { store, group } = folded();
  expect(readDocument(JSON.parse(JSON.stringify(writeDocument(store.getState()))))).toEqual(store.getState());
  const made = store.run(makeSubgraph([], { steps: [], groups: [group], notes: [] }, "Both", palette));
  expect(hides(store, [made.definition])).toEqual([`load by ${group}`, `blur by ${group}`]);
  store.run(addStep([], { kind: "pic/load", position: [0, 0] }, palette)); // the old id is taken
  const out = store.run(unpack([], made.step, palette));
  expect(hides(store)).toEqual(out.steps.map((id) => `${id} by ${out.groups[0]}`));
  expect(out.steps).toContain("load_2");
});

/** Two frames in each other around load, and load beside blur in the outer one; the inner one is locked. */
function held() {
  const store = two();
  const inner = store.run(groupSelection([], { steps: ["load"], groups: [], notes: [] }, palette, "Inner"));
  const outer = store.run(groupSelection([], { steps: ["blur"], groups: [inner], notes: [] }, palette, "Outer"));
  store.run(setLocked([], [inner], true));
  return { store, inner, outer, before: store.getState() };
}

test("a locked frame is not moved, resized, fitted or removed, and does not take along what lies in it", () => {
  const { store, inner, before } = held();
  const chosen = { steps: [], groups: [inner], notes: [] };
  store.run(moveGroup([], inner, [50, 50], palette));
  store.run(moveGroup([], inner, [50, 50], palette, false));
  store.run(moveItems([], { groups: { [inner]: [9, 9] } }));
  store.run(resizeGroup([], inner, { x: 0, y: 0, width: 900, height: 900 }));
  store.run(fitGroup([], inner, palette));
  store.run(alignItems([], { ...chosen, steps: ["save"] }, "left", palette));
  store.run(removeItems([], chosen, palette));
  const now = store.getState();
  expect([now.groups, now.steps.load]).toEqual([before.groups, before.steps.load]);
  expect(takenAlong(now, [], inner, palette)).toEqual({ steps: [], groups: [], notes: [] });
  store.run(moveSteps([], { load: [5, 5] })); // what lies in it has locks of its own
  expect(store.getState().steps.load!.position).toEqual([5, 5]);
});

test("a frame around a locked one moves without it and what lies in it, and without locked steps", () => {
  const { store, inner, outer, before } = held();
  store.run(moveGroup([], outer, [7, 0], palette));
  const now = store.getState();
  expect([now.groups[inner], now.steps.load]).toEqual([before.groups[inner], before.steps.load]);
  expect(now.steps.blur!.position).toEqual([407, 0]);
  store.undo();
  store.run(setLocked([], ["blur"], true));
  expect(takenAlong(store.getState(), [], outer, palette)).toEqual({ steps: [], groups: [], notes: [] });
  store.run(setLocked([], [inner], false));
  expect(takenAlong(store.getState(), [], outer, palette)).toEqual({ steps: ["load"], groups: [inner], notes: [] });
});

test("a folded locked frame keeps what it hides when it is to be removed; one that hides it does not take it away", () => {
  const { store, inner, outer } = held();
  store.run(setGroupCollapsed([], inner, true, palette));
  store.run(removeItems([], { steps: [], groups: [inner], notes: [] }, palette));
  expect(Object.keys(store.getState().steps)).toEqual(["load", "blur", "save"]);
  store.run(setGroupCollapsed([], outer, true, palette));
  store.run(removeItems([], { steps: [], groups: [outer], notes: [] }, palette));
  expect(Object.keys(store.getState().groups)).toEqual([inner]);
  store.run(setLocked([], [inner], false));
  store.run(removeItems([], { steps: [], groups: [inner], notes: [] }, palette));
  expect(store.getState().groups).toEqual({});
});

test("an automatic layout leaves locked frames and what lies in them", () => {
  const { store, inner, outer, before } = held();
  const { boxes, frames } = layoutRequest(before, [], palette);
  expect([boxes.map((one) => one.id), frames]).toEqual([["blur", "save"], []]);
  store.run(arrange([], { load: [900, 900] }, palette));
  expect(store.getState().groups[inner]).toEqual(before.groups[inner]);
  store.undo();
  store.run(setLocked([], [inner], false));
  expect(layoutRequest(store.getState(), [], palette).frames.map((one) => one.id)).toEqual([
    `group\n${inner}`,
    `group\n${outer}`,
  ]);
});

test("a frame's lock is one step back, is written down and read, and copies have it", () => {
  const { store, inner, before } = held();
  const json = writeDocument(before);
  expect((json.groups as { locked?: boolean }[]).map((one) => one.locked)).toEqual([true, undefined]);
  expect(readDocument(JSON.parse(JSON.stringify(json)))).toEqual(before);
  const made = store.run(duplicate([], { steps: [], groups: [inner], notes: [] }, [0, 900], palette));
  expect(store.getState().groups[made.groups[0]!]!.locked).toBe(true);
  store.undo();
  store.undo();
  expect(store.getState().groups[inner]!.locked).toBe(false);
});
