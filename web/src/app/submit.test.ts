import { expect, it } from "vitest";
import { emptyDocument, newStep } from "../core/document";
import type { KnobDef, NodeDef, Palette } from "../core/types";
import { openDocument } from "./open_document";
import { nextSeed, seedsOf, turnSeeds } from "./submit";

const seed = { name: "seed", type: "INT", default: 0, seed: true } as KnobDef;
const paint = { kind: "p/paint", title: "", knobs: [seed], wires: [], outputs: [] } as unknown as NodeDef;
const palette: Palette = { nodes: new Map([["p/paint", paint]]), sockets: new Map() };

it("a seed that was not used yet is used as it is, whatever comes after", () => {
  for (const after of ["fixed", "random", "increment"] as const) {
    expect(nextSeed(7, undefined, after, Math.random)).toBe(7);
    expect(nextSeed(7, 6, after, Math.random)).toBe(7);
  }
});

it("a used one stays, grows or is drawn anew", () => {
  expect(nextSeed(7, 7, "fixed", Math.random)).toBe(7);
  expect(nextSeed(7, 7, "increment", Math.random)).toBe(8);
  expect(nextSeed(4294967295, 4294967295, "increment", Math.random)).toBe(0);
  expect(nextSeed(7, 7, "random", () => 0.5)).toBe(2147483648);
  expect(nextSeed("wired", 7, "random", () => 0.5)).toBe("wired");
});

it("the seeds shown after turning are those that the run is said to have used", () => {
  const document = emptyDocument();
  document.steps.a = newStep("p/paint", [0, 0], { inputs: { seed: 1 }, after: { seed: "increment" } });
  document.steps["b.c"] = newStep("p/paint", [0, 0]);
  const open = openDocument("d", document);
  expect(seedsOf(open.document.getState(), palette)).toEqual({ "a.seed": 1, "b.c.seed": 0 });
  open.lastSeeds = { "a.seed": 1, "b.c.seed": 0 };
  turnSeeds(open, palette);
  expect(seedsOf(open.document.getState(), palette)).toEqual({ "a.seed": 2, "b.c.seed": 0 });
  turnSeeds(open, palette);
  expect(open.document.getState().steps.a?.inputs.seed).toBe(2);
});
