/**
 * Copy and paste as JSON text: between tabs, browsers and machines, or by mail. What is copied brings the subgraphs it
 * uses. Wires among what is copied stay; those from outside are in the text, and are joined again when that is asked for
 * and the step they come from is still there.
 */

import {
  boardAt,
  freshId,
  isObject,
  own,
  Refused,
  readDefinition,
  readGroup,
  readNote,
  readStep,
  SUBGRAPH,
  subgraphId,
  writeDefinition,
  writeGroup,
  writeNote,
  writeStep,
} from "../document";
import { renamedMembers, withContent } from "../frames";
import { around, groupRect, nodeRect } from "../geometry";
import { linksOf } from "../shape";
import type { Board, Definition, Document, Group, Json, Note, Palette, Path, Point, Selection, Step } from "../types";
import { type Command, mapStepJoins, onBoard, plain } from "./board";
import { frameAround } from "./groups";
import { refuseInside } from "./nesting";

const FORMAT = "latentloom-clipboard";

interface Copied {
  steps: Record<string, Step>;
  groups: Group[];
  notes: Note[];
  definitions: Record<string, Definition>;
  /** Kinds of the steps outside that wires come from. */
  outside: Record<string, string>;
  origin: Point;
}

/** What is selected, as text. Groups bring what lies in them. */
export function copy(document: Document, path: Path, chosen: Selection, palette: Palette): string {
  const board = boardAt(document, path);
  const selection = withContent(document, path, chosen, palette);
  const ids = selection.steps.filter((id) => Object.hasOwn(board.steps, id));
  const groups = selection.groups.flatMap((id) => own(board.groups, id) ?? []);
  const notes = selection.notes.flatMap((id) => own(board.notes, id) ?? []);
  const rects = [
    ...ids.map((id) => nodeRect(document, path, id, palette)),
    ...groups.map(groupRect),
    ...notes.map((one) => one.rect),
  ];
  const corner = around(rects);
  const inside = new Set(ids);
  const outside: Record<string, string> = {};
  for (const { from, step } of linksOf(board)) {
    const source = own(board.steps, from.step);
    if (inside.has(step) && !inside.has(from.step) && source) outside[from.step] = source.kind;
  }
  const used = usedBy(
    document,
    ids.map((id) => board.steps[id]!),
  );
  return JSON.stringify({
    format: FORMAT,
    version: 1,
    origin: corner ? [corner.x, corner.y] : [0, 0],
    steps: Object.fromEntries(ids.map((id) => [id, writeStep(board.steps[id]!)])),
    groups: groups.map(writeGroup),
    notes: notes.map(writeNote),
    definitions: Object.fromEntries([...used].map((id) => [id, writeDefinition(document.definitions[id]!)])),
    outside,
  });
}

/** The ids of the definitions that steps use, and those use, and so on. */
export function usedBy(document: Pick<Document, "definitions">, steps: readonly Step[]): Set<string> {
  const used = new Set<string>();
  const work = [...steps];
  for (let step = work.pop(); step; step = work.pop()) {
    const id = subgraphId(step.kind);
    const definition = own(document.definitions, id);
    if (!definition || used.has(id)) continue;
    used.add(id);
    work.push(...Object.values(definition.steps));
  }
  return used;
}

/** Whether a text is something that was copied here: what a paste asks before it takes it for anything else. */
export function isCopied(text: string): boolean {
  return text.includes(FORMAT) && parse(text) !== null;
}

export interface PasteOptions {
  /** Where the upper left corner comes to lie; null: where it was. */
  at?: Point | null;
  /** Join wires from outside again. */
  outer?: boolean;
}

/** Paste; gives what was made, to be selected. Throws Refused when the text is none of ours or would nest in itself. */
export function paste(path: Path, text: string, options: PasteOptions = {}): Command<Selection> {
  return onBoard("paste", path, (board, draft) => {
    const copied = parse(text);
    if (!copied) throw refused("not-copied", "this text was not copied here.", "Copy some nodes first.");
    const renamed = bringDefinitions(draft, copied.definitions);
    for (const step of Object.values(copied.steps)) renameKind(step, renamed);
    for (const step of Object.values(copied.steps)) refuseInside(draft, path, step.kind);
    const by: Point = options.at ? [options.at[0] - copied.origin[0], options.at[1] - copied.origin[1]] : [0, 0];
    return put(board, copied, by, options.outer ?? false);
  });
}

const ASIDE: Point = [40, 40];

/** How far from what is selected its copies lie: a step aside, but below it if it has frames, which would hold both. */
export function besideBy(document: Document, path: Path, selection: Selection, palette: Palette): Point {
  const { groups } = boardAt(document, path);
  const frames = selection.groups.flatMap((id) => own(groups, id) ?? []);
  const all = withContent(document, path, selection, palette);
  const rect = frames.length ? frameAround(document, path, all, palette) : null;
  return rect ? [0, Math.ceil(rect.height) + ASIDE[1]] : ASIDE;
}

/** Copies of what is selected beside it. */
export function duplicate(
  path: Path,
  selection: Selection,
  by: Point,
  palette: Palette,
  outer = false,
): Command<Selection> {
  return onBoard("duplicate", path, (board, draft) => {
    const copied = parse(copy(plain(draft), path, selection, palette));
    return put(board, copied!, by, outer);
  });
}

function put(board: Board, copied: Copied, by: Point, outer: boolean): Selection {
  const ids = new Map<string, string>();
  const taken: Record<string, unknown> = { ...plain(board.steps) };
  for (const id of Object.keys(copied.steps)) {
    const made = freshId(taken, id.replaceAll("/", "_"));
    taken[made] = true;
    ids.set(id, made);
  }
  for (const [id, step] of Object.entries(copied.steps)) {
    mapStepJoins(step, (from, output) => {
      const made = ids.get(from);
      if (made !== undefined) return { step: made, output };
      const source = own(board.steps, from);
      return outer && source && own(copied.outside, from) === source.kind ? { step: from, output } : null;
    });
    step.position = [step.position[0] + by[0], step.position[1] + by[1]];
    step.reroutes = Object.fromEntries(
      Object.entries(step.reroutes).map(([key, points]) => [
        key,
        points.map(([x, y]): Point => [x + by[0], y + by[1]]),
      ]),
    );
    board.steps[ids.get(id)!] = step;
  }
  const place = <T extends Group | Note>(items: Record<string, T>, base: string, some: T[]): Map<string, string> =>
    new Map(
      some.map((one) => {
        const id = freshId(items, base);
        items[id] = { ...one, id, rect: { ...one.rect, x: one.rect.x + by[0], y: one.rect.y + by[1] } };
        return [one.id, id];
      }),
    );
  const groups = place(board.groups, "group", copied.groups);
  const notes = place(board.notes, "note", copied.notes);
  for (const one of copied.groups) {
    const made = board.groups[groups.get(one.id)!]!;
    made.members = renamedMembers(one, { steps: ids, groups, notes });
  }
  return { steps: [...ids.values()], groups: [...groups.values()], notes: [...notes.values()] };
}

/** Add the definitions that are not there yet; of another one with the same id, the new name. */
function bringDefinitions(draft: Document, brought: Record<string, Definition>): Map<string, string> {
  const renamed = new Map<string, string>();
  const text = (one: Definition): string => JSON.stringify(sorted(writeDefinition(one)));
  const fresh: Definition[] = [];
  for (const [id, one] of Object.entries(brought)) {
    const there = own(draft.definitions, id);
    if (there && text(there) === text(one)) continue;
    const made = freshId(draft.definitions, id);
    if (made !== id) renamed.set(id, made);
    draft.definitions[made] = { ...one, id: made };
    fresh.push(draft.definitions[made]!);
  }
  for (const one of fresh) for (const step of Object.values(one.steps)) renameKind(step, renamed);
  return renamed;
}

function renameKind(step: Step, renamed: ReadonlyMap<string, string>): void {
  const made = renamed.get(subgraphId(step.kind));
  if (made !== undefined) step.kind = SUBGRAPH + made;
}

function parse(text: string): Copied | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(json) || json.format !== FORMAT || !isObject(json.steps)) return null;
  const list = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isObject) : []);
  const object = (value: Json | undefined) => (isObject(value) ? value : {});
  const nameOf = (id: Json | undefined, n: number) => (typeof id === "string" && id ? id : `${n}`);
  const [x, y] = Array.isArray(json.origin) ? json.origin : [];
  try {
    return {
      steps: Object.fromEntries(Object.entries(json.steps).map(([id, one]) => [id, readStep(one, id)])),
      groups: list(json.groups).map(({ id, ...one }, n) => readGroup(one, nameOf(id, n))),
      notes: list(json.notes).map(({ id, ...one }, n) => readNote(one, nameOf(id, n))),
      definitions: Object.fromEntries(
        Object.entries(object(json.definitions)).map(([id, one]) => [id, readDefinition(id, one)]),
      ),
      outside: object(json.outside) as Record<string, string>,
      origin: typeof x === "number" && typeof y === "number" ? [x, y] : [0, 0],
    };
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, one]) => [name, sorted(one)]),
  );
}

const refused = (code: string, what: string, fix: string): Refused =>
  new Refused([{ code, place: "clipboard", what, fix, step: "", field: "" }]);
