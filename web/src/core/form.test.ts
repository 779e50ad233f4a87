import { expect, it } from "vitest";
import { movePinned, pinKnob, showForm, unpinKnob } from "./commands/form";
import { emptyDocument, newStep, readDocument, writeDocument } from "./document";
import { formFields, formIn } from "./form";
import { DocumentStore } from "./history";
import type { Document, KnobDef, NodeDef, Palette } from "./types";

const knob = (name: string, more: Partial<KnobDef> = {}): KnobDef =>
  ({ name, type: "INT", default: 0, multiline: false, seed: false, advanced: false, ...more }) as KnobDef;
const node = (kind: string, ...knobs: KnobDef[]) => ({ kind, title: kind, knobs, wires: [] }) as unknown as NodeDef;
const TEXT = node("text", knob("prompt", { type: "STRING", multiline: true }), knob("second", { type: "STRING" }));
const PAINT = node("paint", knob("seed", { seed: true }), knob("steps"), knob("strength"));
const palette: Palette = { nodes: new Map([TEXT, PAINT].map((one) => [one.kind, one])), sockets: new Map() };

const document = (): Document => ({
  ...emptyDocument(),
  steps: { words: newStep("text", [0, 0], { title: "Prompt" }), paint: newStep("paint", [0, 0]) },
});
const shown = (state: Document) => formFields(state, palette).map(({ step, knob: { name } }) => `${step}.${name}`);

it("without a list it shows texts, seeds, sizes and numbers of steps", () => {
  expect(shown(document())).toEqual(["words.prompt", "paint.seed", "paint.steps"]);
});

it("a knob that a wire feeds, or of a node that does not run, is not in it", () => {
  const fed = newStep("paint", [0, 0], { inputs: { steps: { join: ["words", "x"] } } });
  const muted = newStep("text", [0, 0], { mode: "muted" });
  expect(shown({ ...document(), steps: { fed, muted } })).toEqual(["fed.seed"]);
});

it("pinning, taking out and moving change the list, one step of undo each", () => {
  const store = new DocumentStore(document());
  store.run(pinKnob(["paint", "strength"], palette));
  expect(shown(store.getState()).at(-1)).toBe("paint.strength");
  store.run(pinKnob(["paint", "strength"], palette)); // it is there already
  store.run(unpinKnob(["paint", "seed"], palette));
  store.run(movePinned(["paint", "strength"], -1, palette));
  store.run(movePinned(["paint", "strength"], 9, palette)); // nowhere
  expect(shown(store.getState())).toEqual(["words.prompt", "paint.strength", "paint.steps"]);
  expect(store.depth).toBe(3);
  for (let count = 0; count < 3; count += 1) store.undo();
  expect(store.getState()).toEqual(document());
});

it("it is in the document, and stays in it when it is saved; a list of what is gone shows nothing", () => {
  const store = new DocumentStore(document());
  store.run(showForm(true));
  store.run(showForm(true));
  expect(store.depth).toBe(1);
  store.run(pinKnob(["gone", "x"], palette));
  const again = readDocument(writeDocument(store.getState()));
  expect(formIn(again)).toEqual(formIn(store.getState()));
  expect(formIn(again).shown).toBe(true);
  expect(shown(again)).not.toContain("gone.x");
});

it("an odd form in a document is none", () => {
  for (const form of [3, [], { knobs: "all" }, { shown: 1, knobs: [["a"]] }] as never[])
    expect(formIn({ ...document(), extra: { form } })).toEqual({ shown: false, knobs: null });
});
