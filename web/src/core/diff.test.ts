import fc from "fast-check";
import { expect, it } from "vitest";
import { difference, isSame } from "./diff";
import { emptyDocument, newStep, readDocument, writeDocument } from "./document";
import type { Document, NodeDef, Palette } from "./types";

const PAINT = { kind: "paint", title: "Paint it", knobs: [{ name: "seed", default: 1 }], wires: [] };
const palette: Palette = { nodes: new Map([["paint", PAINT as unknown as NodeDef]]), sockets: new Map() };
const base: Document = {
  ...emptyDocument("Cats"),
  steps: {
    words: newStep("text", [0, 0], { title: "Prompt", inputs: { prompt: "a cat" } }),
    paint: newStep("paint", [9, 0], { inputs: { text: { join: ["words", "out"] } } }),
  },
};
const changed = (steps: Document["steps"], more: Partial<Document> = {}): Document => ({ ...base, ...more, steps });

it("the same is no difference, also when an input says its usual value", () => {
  expect(isSame(difference(base, base, palette))).toBe(true);
  expect(isSame(difference(base, readDocument(writeDocument(base)), palette))).toBe(true);
  const { paint, words } = base.steps as never as Record<string, ReturnType<typeof newStep>>;
  if (!paint || !words) throw new Error("they are there");
  const said = changed({ words, paint: { ...paint, inputs: { ...paint.inputs, seed: 1 } } });
  expect(isSame(difference(base, said, palette))).toBe(true);
});

it("values and wires are told as a person reads them", () => {
  const paint = newStep("paint", [9, 0], { inputs: { seed: 5 } });
  const words = newStep("text", [0, 0], { title: "Prompt", inputs: { prompt: "a dog" } });
  expect(difference(base, changed({ words, paint }), palette).steps).toEqual([
    { ...at("words", "Prompt"), values: [{ input: "prompt", before: "a cat", after: "a dog" }] },
    {
      ...at("paint", "Paint it"),
      values: [
        { input: "text", before: "Prompt · out", after: "" },
        { input: "seed", before: "1", after: "5" },
      ],
    },
  ]);
});

const at = (step: string, title: string) => ({ what: "changed", inside: "", step, title });

it("what was added, removed or put elsewhere is told apart; another kind is another node", () => {
  const { words } = base.steps;
  const steps = {
    words: { ...words, position: [50, 0] },
    paint: newStep("text", [9, 0]),
    more: newStep("paint", [0, 9]),
  };
  const found = difference(base, changed(steps as never), palette);
  expect(found.moved).toBe(1);
  expect(found.steps.map(({ what, step }) => `${what} ${step}`)).toEqual([
    "removed paint",
    "added paint",
    "added more",
  ]);
});

it("what is inside subgraphs is told with their name; notes, groups and the title are counted", () => {
  const inner = { id: "d", title: "Half", groups: {}, notes: {}, inputs: [], outputs: [], extra: {} };
  const [one, other] = [1, 2].map((seed) => ({
    ...base,
    title: `Cats ${seed}`,
    definitions: { d: { ...inner, steps: { paint: newStep("paint", [0, 0], { inputs: { seed } }) } } },
    notes: { n: { id: "n", text: `try ${seed}`, color: "", rect: { x: 0, y: 0, width: 1, height: 1 }, extra: {} } },
  })) as unknown as [Document, Document];
  const found = difference(one, other, palette);
  expect(found.steps).toMatchObject([{ inside: "Half", step: "paint", values: [{ before: "1", after: "2" }] }]);
  expect(found.others).toBe(1);
  expect(found.title).toEqual({ input: "title", before: "Cats 1", after: "Cats 2" });
});

it("looked at from the other side, before and after change places", () => {
  const value = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer()), fc.constant(undefined));
  const step = fc.record({ seed: value, other: value, kind: fc.constantFrom("paint", "text") });
  const steps = fc.dictionary(fc.constantFrom("a", "b", "c"), step);
  const made = (said: Record<string, { kind: string }>): Document =>
    changed(
      Object.fromEntries(
        Object.entries(said).map(([id, { kind, ...rest }]) => {
          const inputs = Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== undefined));
          return [id, newStep(kind, [0, 0], { inputs: inputs as never })];
        }),
      ),
    );
  const turned = { added: "removed", removed: "added", changed: "changed" } as const;
  const key = (one: { step: string; what: string }) => `${one.step} ${one.what}`;
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const there = difference(made(before), made(after), palette).steps;
      const back = difference(made(after), made(before), palette).steps;
      const sorted = (all: typeof there) => all.map(key).sort();
      expect(sorted(back)).toEqual(sorted(there.map((one) => ({ ...one, what: turned[one.what] }))));
    }),
    { numRuns: 100 },
  );
});
