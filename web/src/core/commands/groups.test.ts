import { expect, test } from "vitest";
import { emptyDocument } from "../document";
import { contains, nodeRect } from "../geometry";
import { DocumentStore } from "../history";
import { palette } from "../testing/fixtures";
import {
  addGroup,
  addNote,
  addStep,
  fitGroup,
  groupContent,
  groupSelection,
  hiddenItems,
  moveGroup,
  removeGroup,
  removeItems,
  resizeGroup,
  resizeNote,
  setGroupCollapsed,
  setNoteText,
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
  store.run(setGroupCollapsed([], group, true));
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
