import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyDocument, Refused } from "../document";
import { graphOf } from "../flatten";
import { DocumentStore } from "../history";
import { inputJoins, linksOf } from "../shape";
import { anyDocument, dice, diceOf, selectionOf } from "../testing/arbitrary";
import { palette } from "../testing/fixtures";
import { validate } from "../validate";
import {
  addStep,
  boards,
  connect,
  copy,
  duplicate,
  isCopied,
  makeSubgraph,
  paste,
  setValue,
  withContent,
} from "./index";

const PATIENCE = 120_000;

test(
  "what is copied whole into an empty document is the same document",
  () => {
    fc.assert(
      fc.property(anyDocument, (document) => {
        const all = {
          steps: Object.keys(document.steps),
          groups: Object.keys(document.groups),
          notes: Object.keys(document.notes),
        };
        const text = copy(document, [], all, palette);
        const store = new DocumentStore(emptyDocument());
        const made = store.run(paste([], text));
        expect(Object.values(store.getState().steps)).toEqual(Object.values(document.steps));
        expect(made.steps).toEqual(all.steps);
        const unused = Object.keys(document.definitions).filter((id) => !(id in store.getState().definitions));
        const kept = { ...document.definitions };
        for (const id of unused) delete kept[id];
        expect(store.getState().definitions).toEqual(kept);
        expect(graphOf(store.getState(), palette).steps).toEqual(graphOf(document, palette).steps);
        expect(Object.values(store.getState().groups).map((one) => one.rect)).toEqual(
          Object.values(document.groups).map((one) => one.rect),
        );
      }),
      { numRuns: 200 },
    );
  },
  PATIENCE,
);

test(
  "a copy has the wires within, those from outside only when asked, and nothing that was there changes",
  () => {
    fc.assert(
      fc.property(anyDocument, dice, fc.boolean(), (document, numbers, outer) => {
        const roll = diceOf(numbers);
        const all = boards(document);
        const { path, board } = all[roll() % all.length]!;
        const chosen = selectionOf(board, roll);
        const selection = withContent(document, path, chosen, palette);
        const store = new DocumentStore(document);
        const made = store.run(duplicate(path, chosen, [30, 40], palette, outer));
        const now = boards(store.getState()).find((one) => one.path.join() === path.join())!.board;
        for (const id of Object.keys(board.steps)) expect(now.steps[id]).toBe(board.steps[id]);
        const copies = new Map(selection.steps.map((id, n) => [id, made.steps[n]!]));
        const wanted = selection.steps.flatMap((id) =>
          linksOf(board)
            .filter((link) => link.step === id && (outer || copies.has(link.from.step)))
            .map((link) => [
              copies.get(link.from.step) ?? link.from.step,
              link.from.output,
              copies.get(id),
              link.input,
            ]),
        );
        const given = linksOf(now).filter((link) => made.steps.includes(link.step));
        expect(given.map((link) => [link.from.step, link.from.output, link.step, link.input])).toEqual(wanted);
        for (const [id, copied] of copies) {
          expect(now.steps[copied]!.position).toEqual([
            board.steps[id]!.position[0] + 30,
            board.steps[id]!.position[1] + 40,
          ]);
        }
        expect(Object.keys(store.getState().definitions)).toEqual(Object.keys(document.definitions));
      }),
      { numRuns: 200 },
    );
  },
  PATIENCE,
);

function chain(): DocumentStore {
  const store = new DocumentStore(emptyDocument());
  for (const [n, kind] of ["pic/load", "pic/blur", "pic/save"].entries())
    store.run(addStep([], { kind, position: [n * 300, 50] }, palette));
  store.run(connect([], { step: "load", output: "image" }, { step: "blur", input: "image" }, palette));
  store.run(connect([], { step: "blur", output: "image" }, { step: "save", input: "image" }, palette));
  return store;
}
const steps = (...ids: string[]) => ({ steps: ids, groups: [], notes: [] });

test("pasting elsewhere joins wires from outside only where the step is of the same kind", () => {
  const text = copy(chain().getState(), [], steps("blur"), palette);
  const other = chain();
  const { steps: made } = other.run(paste([], text, { at: [1000, 0], outer: true }));
  expect(other.getState().steps[made[0]!]).toMatchObject({
    position: [1000, 0],
    inputs: { image: { join: ["load", "image"] } },
  });
  const stranger = new DocumentStore(emptyDocument());
  stranger.run(addStep([], { kind: "math/number", position: [0, 0], id: "load" }, palette));
  stranger.run(paste([], text, { outer: true }));
  expect(inputJoins(stranger.getState().steps.blur!.inputs.image)).toEqual([]);
});

test("a subgraph that is pasted comes along; of the same name but another inside, it gets another name", () => {
  const source = chain();
  source.run(makeSubgraph([], steps("blur"), "Soft", palette));
  const text = copy(source.getState(), [], steps("soft"), palette);
  const same = chain();
  same.run(makeSubgraph([], steps("blur"), "Soft", palette));
  same.run(paste([], text));
  expect(Object.keys(same.getState().definitions)).toEqual(["soft"]);
  same.run(setValue(["soft"], "blur", "radius", 50));
  const { steps: made } = same.run(paste([], text));
  expect(Object.keys(same.getState().definitions)).toEqual(["soft", "soft_2"]);
  expect(same.getState().steps[made[0]!]!.kind).toBe("subgraph/soft_2");
  expect(validate(same.getState(), palette).map((one) => one.code)).toEqual(["missing-wire", "missing-wire"]);
});

test("what would nest in itself, and what is no copy, is refused", () => {
  const store = chain();
  store.run(makeSubgraph([], steps("blur"), "Soft", palette));
  const text = copy(store.getState(), [], steps("soft"), palette);
  expect(() => store.run(paste(["soft"], text))).toThrow(Refused);
  for (const odd of [
    "",
    "hello",
    "{}",
    "[]",
    '{"format":"latentloom-clipboard"}',
    '{"format":"latentloom-clipboard","steps":{"a":1}}',
  ]) {
    expect(isCopied(odd)).toBe(false);
    expect(() => store.run(paste([], odd))).toThrow(Refused);
  }
  expect(isCopied(text)).toBe(true);
});
