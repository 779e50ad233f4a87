import fc from "fast-check";
import { applyPatches } from "immer";
import { expect, test } from "vitest";
import { readDocument, writeDocument } from "../document";
import { DocumentStore } from "../history";
import { linksOf } from "../shape";
import { anyDocument, commandOf, dice, diceOf } from "../testing/arbitrary";
import { palette } from "../testing/fixtures";
import type { Document } from "../types";
import { validate } from "../validate";
import { boards } from "./index";

const PATIENCE = 120_000; // on a busy machine

const text = (document: Document): string => JSON.stringify(writeDocument(document));

test(
  "any sequence of commands can be taken back and done again, state by state",
  () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(anyDocument, dice, fc.integer({ min: 1, max: 25 }), (document, numbers, count) => {
        const store = new DocumentStore(document);
        const roll = diceOf(numbers);
        const states = [store.getState()];
        store.subscribe((now, before, { patches }) => expect(applyPatches(before, [...patches])).toEqual(now));
        for (let n = 0; n < count; n += 1) {
          const command = commandOf(store.getState(), roll);
          const before = store.getState();
          const { depth } = store;
          try {
            store.run(command, roll() % 3 ? "" : "gesture");
          } catch {
            expect(store.getState()).toBe(before);
          }
          if (store.getState() !== before) {
            if (store.depth === depth) states.pop();
            states.push(store.getState());
            seen.set(command.label, (seen.get(command.label) ?? 0) + 1);
          }
        }
        const undone = [store.getState()];
        while (store.undo()) undone.push(store.getState());
        expect(undone.reverse().map(text)).toEqual(states.map(text));
        expect(undone).toEqual(states);
        for (const state of states.slice(1)) {
          expect(store.redo()).toBe(true);
          expect(store.getState()).toEqual(state);
        }
        expect(store.redo()).toBe(false);
      }),
      { numRuns: 250 },
    );
    expect([...seen.keys()].length).toBeGreaterThan(25);
  },
  PATIENCE,
);

test(
  "whatever commands do, the document can be written, read and judged, and no wire leads to a removed step",
  () => {
    fc.assert(
      fc.property(anyDocument, dice, (document, numbers) => {
        const store = new DocumentStore(document);
        const roll = diceOf(numbers);
        for (let n = 0; n < 12; n += 1) {
          try {
            store.run(commandOf(store.getState(), roll));
          } catch {
            // Some cannot be run on what is there.
          }
        }
        const made = store.getState();
        expect(readDocument(JSON.parse(JSON.stringify(writeDocument(made))))).toEqual(made);
        validate(made, palette);
        for (const { board } of boards(made)) {
          for (const link of linksOf(board)) expect(Object.hasOwn(board.steps, link.from.step)).toBe(true);
          for (const step of Object.values(board.steps)) {
            for (const key of Object.keys(step.reroutes)) expect(step.inputs[key.replace(/#\d+$/, "")]).toBeDefined();
          }
        }
      }),
      { numRuns: 200 },
    );
  },
  PATIENCE,
);
