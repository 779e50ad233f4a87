/** Commands on the simple form of a document: which knobs it shows, in what order, and whether it is what one sees. */
import { formFields, formIn, type KnobPlace } from "../form";
import type { Command } from "../history";
import type { Document, Json, Palette } from "../types";

function changed(draft: Document, shown: boolean, knobs: readonly KnobPlace[] | null): void {
  const form: Record<string, Json> = { shown };
  if (knobs) form.knobs = knobs.map((one) => [...one]);
  draft.extra.form = form;
}

/** Show the form, or the canvas. */
export function showForm(shown: boolean): Command {
  return {
    label: "form",
    change: (draft) => {
      const { shown: before, knobs } = formIn(draft);
      if (shown !== before) changed(draft, shown, knobs);
    },
  };
}

/** What is listed; when nothing is yet, what the form shows without a list. */
const listed = (draft: Document, palette: Palette): readonly KnobPlace[] =>
  formIn(draft).knobs ?? formFields(draft, palette).map(({ step, knob }) => [step, knob.name] as const);

const same = ([step, knob]: KnobPlace, [other, name]: KnobPlace): boolean => step === other && knob === name;

/** Put a knob at the end of the form. */
export function pinKnob(place: KnobPlace, palette: Palette): Command {
  return {
    label: "form",
    change: (draft) => {
      const knobs = listed(draft, palette);
      if (!knobs.some((one) => same(one, place))) changed(draft, formIn(draft).shown, [...knobs, place]);
    },
  };
}

export function unpinKnob(place: KnobPlace, palette: Palette): Command {
  return {
    label: "form",
    change: (draft) => {
      const rest = listed(draft, palette).filter((one) => !same(one, place));
      changed(draft, formIn(draft).shown, rest);
    },
  };
}

/** Move a knob of the form up (-1) or down (1). */
export function movePinned(place: KnobPlace, by: number, palette: Palette): Command {
  return {
    label: "form",
    change: (draft) => {
      const knobs = [...listed(draft, palette)];
      const from = knobs.findIndex((one) => same(one, place));
      const to = from + by;
      if (from < 0 || to < 0 || to >= knobs.length) return;
      knobs.splice(to, 0, ...knobs.splice(from, 1));
      changed(draft, formIn(draft).shown, knobs);
    },
  };
}
