/** Which values a knob takes: the rules of `KnobDef.refuses` and `knob_problem` on the server. */

import { closeMatches } from "./close";
import type { Json, KnobDef, Problem } from "./types";
import { quoted, short, shortened, spelled } from "./wording";

const FIX: Record<KnobDef["type"], string> = {
  INT: "Give a whole number.",
  FLOAT: "Give a finite number.",
  STRING: "Give a text.",
  BOOLEAN: "Give true or false.",
  CHOICE: "Choose one of them.",
  FILE: "Give the name of a file.",
  FLOATS: "Give a list of finite numbers.",
};

/** Why `value` cannot be this knob's, as the rest of a sentence; "" if it can. */
export function refusal(knob: KnobDef, value: Json): string {
  switch (knob.type) {
    case "INT":
      if (typeof value !== "number" || !Number.isInteger(value)) return `is ${spelled(value)}, not a whole number`;
      return outOfRange(knob, value);
    case "FLOAT":
      if (typeof value !== "number") return `is ${spelled(value)}, not a number`;
      return Number.isFinite(value) ? outOfRange(knob, value) : `is ${spelled(value)}, not finite`;
    case "BOOLEAN":
      return typeof value === "boolean" ? "" : `is ${spelled(value)}, neither true nor false`;
    case "CHOICE":
      return knob.choices.includes(value)
        ? ""
        : `is ${spelled(value)}, not one of ${knob.choices.map(spelled).join(", ")}`;
    case "FLOATS": {
      if (!Array.isArray(value)) return `is ${spelled(value)}, not a list of numbers`;
      const bad = value.find((one) => typeof one !== "number" || !Number.isFinite(one));
      return bad === undefined ? "" : `has ${spelled(bad)} in it, which is not a finite number`;
    }
    default:
      return typeof value === "string" ? "" : `is ${spelled(value)}, not text`;
  }
}

function outOfRange(knob: KnobDef, value: number): string {
  if (knob.min !== null && value < knob.min) return `is ${short(value)}, less than ${short(knob.min)}`;
  if (knob.max !== null && value > knob.max) return `is ${short(value)}, more than ${short(knob.max)}`;
  return "";
}

/** The Problem with a knob's value, or null. */
export function knobProblem(step: string, knob: KnobDef, value: Json): Problem | null {
  const huge =
    typeof value === "number" && Number.isInteger(value) && Math.abs(value) > 2 ** 64 && Math.abs(value) < 1e21;
  const why = huge ? "is an integer beyond all bounds" : refusal(knob, value);
  if (!why) return null;
  let code = "wrong-value";
  let fix = FIX[knob.type];
  if (typeof value === "number" && !Number.isFinite(value)) code = "not-finite";
  else if (knob.type === "CHOICE") {
    code = "unknown-choice";
    const near = closeMatches(Array.from(asText(value)).slice(0, 100).join(""), knob.choices.map(asText));
    if (near.length) fix = `Did you mean ${near.map(quoted).join(" or ")}?`;
  } else if (typeof value === "number" && (knob.type === "INT" || knob.type === "FLOAT")) {
    const outside = (knob.min !== null && value < knob.min) || (knob.max !== null && value > knob.max);
    if (outside) {
      code = "out-of-range";
      fix = range(knob);
    }
  }
  return { code, place: `${step}.${knob.name}`, what: `${shortened(why)}.`, fix, step, field: knob.name };
}

const asText = (value: Json): string => (typeof value === "string" ? value : spelled(value));

function range(knob: KnobDef): string {
  if (knob.min === null) return `Give at most ${short(knob.max!)}.`;
  if (knob.max === null) return `Give at least ${short(knob.min)}.`;
  return `Give a number from ${short(knob.min)} to ${short(knob.max)}.`;
}
