/**
 * The simple form of a workflow: a few knobs of its own steps, one under the other. Which, the document says:
 *
 *     "form": {"shown": true, "knobs": [["prompt", "prompt"], ["paint", "seed"]]}
 *
 * Without a list it is what nearly everybody changes: texts, seeds, sizes, numbers of steps.
 */
import { isObject } from "./document";
import { asJoin } from "./shape";
import type { Document, Json, KnobDef, Palette, Step } from "./types";

export type KnobPlace = readonly [step: string, knob: string];

export interface FormField {
  step: string;
  knob: KnobDef;
  /** What its node is called. */
  title: string;
}

const USUAL_NAMES = new Set(["width", "height", "steps"]);

/** What the document says of its form. */
export function formIn(document: Document): { shown: boolean; knobs: readonly KnobPlace[] | null } {
  const said = document.extra.form;
  if (!isObject(said)) return { shown: false, knobs: null };
  const knobs = Array.isArray(said.knobs) && said.knobs.every(isPlace) ? (said.knobs as unknown as KnobPlace[]) : null;
  return { shown: said.shown === true, knobs };
}

const isPlace = (one: Json): boolean =>
  Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === "string");

/** The knobs that the form shows, in its order; those of steps that are gone, or that a wire feeds, are left out. */
export function formFields(document: Document, palette: Palette): FormField[] {
  const { knobs } = formIn(document);
  const all = allFields(document, palette);
  if (!knobs) return all.filter(({ knob }) => isUsual(knob));
  return knobs.flatMap(([step, name]) => all.find((one) => one.step === step && one.knob.name === name) ?? []);
}

/** Every knob of the document's own steps that a person could set. */
export function allFields(document: Document, palette: Palette): FormField[] {
  return Object.entries(document.steps).flatMap(([step, one]) => {
    const def = palette.nodes.get(one.kind);
    if (!def || one.mode !== "on") return [];
    return def.knobs
      .filter((knob) => !isFed(one, knob.name))
      .map((knob) => ({ step, knob, title: one.title || def.title }));
  });
}

function isFed(step: Step, name: string): boolean {
  const value = step.inputs[name];
  return Array.isArray(value) ? value.some((part) => asJoin(part)) : asJoin(value as Json) !== null;
}

const isUsual = (knob: KnobDef): boolean =>
  !knob.advanced && (knob.seed || (knob.type === "STRING" && knob.multiline) || USUAL_NAMES.has(knob.name));
