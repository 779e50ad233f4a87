import { expect, it } from "vitest";
import { emptyDocument, newStep } from "../core/document";
import type { KnobDef } from "../core/types";
import { type Axis, gridOf, valuesOf, varied } from "./grid";

const float = { type: "FLOAT" } as const;

it("values are one a line, or separated by commas", () => {
  expect(valuesOf("1\n2, 3;4\n\n", float)).toEqual([1, 2, 3, 4]);
  expect(valuesOf("a, b\nc", { type: "STRING" })).toEqual(["a, b", "c"]);
  expect(valuesOf("euler, heun", { type: "CHOICE" })).toEqual(["euler", "heun"]);
  expect(valuesOf("yes\nno", { type: "BOOLEAN" })).toEqual([true, false]);
});

it("a range goes up or down, with its step, and its end is in it", () => {
  expect(valuesOf("1..4", float)).toEqual([1, 2, 3, 4]);
  expect(valuesOf("4..1 / 2", float)).toEqual([4, 2]);
  expect(valuesOf("0.1..0.5 / 0.1", float)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5]);
});

it("what is no number is no value of a number, and there is an end to how many there are", () => {
  expect(valuesOf("x\n1..\n2", float)).toEqual([2]);
  expect(valuesOf("0..1e9", float).length).toBeLessThanOrEqual(100);
  expect(valuesOf("1..5 / 0", float)).toEqual([]);
});

it("a varied document differs in those values only", () => {
  const document = emptyDocument();
  document.steps.a = newStep("p/a", [0, 0], { inputs: { k: 1, other: 2 } });
  const axis: Axis = { step: "a", knob: { name: "k", type: "INT" } as KnobDef, title: "" };
  expect(varied(document, [{ axis, value: 5 }]).steps.a?.inputs).toEqual({ k: 5, other: 2 });
  expect(document.steps.a.inputs.k).toBe(1);
});

it("a run that says nothing of a grid is in none", () => {
  expect(gridOf({ meta: {} })).toBeNull();
  expect(gridOf({ meta: { grid: { id: 1 } } })).toBeNull();
});
