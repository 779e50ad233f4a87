/**
 * A board as a tree of text: steps in the order of the work, their inputs and values, their outputs and where they go.
 *
 * Always complete, whatever the canvas shows: it is how the document is read with a screen reader and walked by keys.
 */

import { boardAt } from "./document";
import { inputJoins, knobValue, linksOf, shapeOf, titleOf } from "./shape";
import type { Document, Json, Link, Palette, Path } from "./types";

export interface OutlineItem {
  /** Stays the same while the thing is there. */
  key: string;
  what: "step" | "input" | "value" | "output";
  step: string;
  /** The input or output; "" of a step. */
  field: string;
  text: string;
  /** The steps at the other end of the wires. */
  joined: string[];
  children: OutlineItem[];
}

/** The sentences of the outline, to be translated. */
export interface OutlineWords {
  from: (input: string, sources: string) => string;
  open: (input: string) => string;
  value: (name: string, value: string) => string;
  to: (output: string, readers: string) => string;
  mode: (title: string, mode: "muted" | "bypassed") => string;
  unknown: (title: string) => string;
}

export const ENGLISH: OutlineWords = {
  from: (input, sources) => `${input}, from ${sources}`,
  open: (input) => `${input}, not joined`,
  value: (name, value) => `${name}: ${value}`,
  to: (output, readers) => (readers ? `${output}, to ${readers}` : `${output}, not used`),
  mode: (title, mode) => `${title}, ${mode}`,
  unknown: (title) => `${title}, unknown node`,
};

export function outline(
  document: Document,
  path: Path,
  palette: Palette,
  words: OutlineWords = ENGLISH,
): OutlineItem[] {
  const board = boardAt(document, path);
  const readers = new Map<string, Link[]>();
  for (const link of linksOf(board)) {
    const key = `${link.from.step}\n${link.from.output}`;
    const known = readers.get(key);
    if (known) known.push(link);
    else readers.set(key, [link]);
  }
  const title = (id: string): string => (Object.hasOwn(board.steps, id) ? titleOf(document, path, id, palette) : id);
  return inOrder(document, path).map((id): OutlineItem => {
    const step = board.steps[id]!;
    const shape = shapeOf(document, path, id, palette);
    const item = (what: OutlineItem["what"], field: string, text: string, joined: string[]): OutlineItem => ({
      key: `${id}\n${what}\n${field}`,
      what,
      step: id,
      field,
      text,
      joined,
      children: [],
    });
    const fed = (name: string): string[] => inputJoins(step.inputs[name]).map((one) => one.step);
    const inputs = shape.wires.map((one) => {
      const from = fed(one.name);
      const text = from.length
        ? words.from(spoken(one.name), from.map(title).join(", "))
        : words.open(spoken(one.name));
      return item("input", one.name, text, from);
    });
    const values = shape.knobs.map((one) => {
      const from = fed(one.name);
      const name = one.label || spoken(one.name);
      if (from.length) return item("input", one.name, words.from(name, from.map(title).join(", ")), from);
      return item("value", one.name, words.value(name, said(knobValue(step, one))), []);
    });
    const outputs = shape.outputs.map((one) => {
      const to = (readers.get(`${id}\n${one.name}`) ?? []).map((link) => link.step);
      return item("output", one.name, words.to(spoken(one.name), [...new Set(to)].map(title).join(", ")), to);
    });
    let text = shape.known ? title(id) : words.unknown(title(id));
    if (step.mode !== "on") text = words.mode(text, step.mode);
    return { ...item("step", "", text, []), children: [...inputs, ...values, ...outputs] };
  });
}

/** Steps in the order of the work: each after what feeds it, else from left to right and from top to bottom. */
export function inOrder(document: Document, path: Path): string[] {
  const { steps } = boardAt(document, path);
  const place = (id: string): readonly [number, number] => steps[id]!.position;
  const ids = Object.keys(steps).sort(
    (a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1] || (a < b ? -1 : 1),
  );
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  const feeding = (id: string): string[] =>
    Object.values(steps[id]!.inputs)
      .flatMap((value) => inputJoins(value).map((one) => one.step))
      .reverse();
  for (const start of ids) {
    const work = [start];
    for (let id = work.at(-1); id !== undefined; id = work.at(-1)) {
      if (state.has(id)) {
        work.pop();
        if (state.get(id) === "open") {
          state.set(id, "done");
          order.push(id);
        }
        continue;
      }
      state.set(id, "open");
      for (const one of feeding(id)) if (Object.hasOwn(steps, one) && !state.has(one)) work.push(one);
    }
  }
  return order;
}

/** The steps before and after a step along its wires, from top to bottom: where arrow keys lead. */
export function neighbours(document: Document, path: Path, id: string): { before: string[]; after: string[] } {
  const { steps } = boardAt(document, path);
  const links = linksOf({ steps });
  const sorted = (some: string[]): string[] =>
    [...new Set(some)]
      .filter((one) => Object.hasOwn(steps, one))
      .sort((a, b) => steps[a]!.position[1] - steps[b]!.position[1]);
  return {
    before: sorted(links.filter((link) => link.step === id).map((link) => link.from.step)),
    after: sorted(links.filter((link) => link.from.step === id).map((link) => link.step)),
  };
}

/** A name as it is read out: "text_encoder" is "text encoder". */
export const spoken = (name: string): string => name.replaceAll("_", " ");

function said(value: Json): string {
  if (typeof value === "string") return value.length > 200 ? `${value.slice(0, 199)}…` : value;
  return value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
}
