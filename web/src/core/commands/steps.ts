/** Commands that make, remove and change steps. */

import type { Bookmark } from "../bookmarks";
import { bypassSource } from "../bypass";
import { freshId, isObject, newStep, own } from "../document";
import { inputJoins, kindShape, shapeOf } from "../shape";
import type { Document, Input, Join, Json, Mode, Palette, Path, Point, Step } from "../types";
import {
  type Command,
  forgetSteps,
  leadReaders,
  mapStepJoins,
  onBoard,
  plain,
  renumberReroutes,
  setOrDelete,
  stepOn,
} from "./board";
import { refuseInside } from "./nesting";

export interface NewStep {
  kind: string;
  position: Point;
  inputs?: Record<string, Input>;
  title?: string;
  id?: string;
}

/** Add a step with the usual values of its knobs written down; gives its id. A subgraph is refused inside itself. */
export function addStep(path: Path, made: NewStep, palette: Palette): Command<string> {
  return onBoard("add-step", path, (board, draft) => {
    refuseInside(draft, path, made.kind);
    const id = made.id ?? freshId(board.steps, idFor(draft, made.kind, palette));
    board.steps[id] = freshStep(draft, made, palette);
    return id;
  });
}

/** A step as it is when it is new. Knobs of a subgraph stay unset: what is set inside counts. */
export function freshStep(document: Document, made: Omit<NewStep, "id">, palette: Palette): Step {
  const shape = kindShape(document, made.kind, palette);
  const inputs: Record<string, Input> = {};
  if (shape && !shape.subgraph) {
    for (const knob of shape.knobs) if (knob.default !== null) inputs[knob.name] = knob.default;
  }
  return newStep(made.kind, made.position, {
    version: shape && !shape.subgraph ? shape.version : 0,
    inputs: { ...inputs, ...made.inputs },
    title: made.title ?? "",
  });
}

/** A readable stem for a step's id. */
export function idFor(document: Document, kind: string, palette: Palette): string {
  const shape = kindShape(document, kind, palette);
  const name = shape?.subgraph ? shape.title : (kind.split("/").at(-1) ?? "");
  return slug(name) || "step";
}

/** A title as part of an id: small letters, digits and underscores. */
export function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "");
}

/** Remove steps and the wires at them. With `reconnect`, what they fed is fed by what fed them, where types fit. */
export function removeSteps(path: Path, ids: readonly string[], palette: Palette, reconnect = false): Command {
  return onBoard("remove", path, (board, draft) => {
    const gone = new Set(ids);
    const now = reconnect ? plain(draft) : draft;
    const past = (step: string, output: string): Join | null =>
      gone.has(step) ? (reconnect ? bypassSource(now, path, { step, output }, gone, palette) : null) : { step, output };
    leadReaders(board, gone, past, gone);
    for (const id of gone) delete board.steps[id];
    forgetSteps(draft, path, gone);
  });
}

/** Take steps out of the flow: what they fed is fed by what fed them, where types fit. Wires among them stay. */
export const extractSteps = (path: Path, ids: readonly string[], palette: Palette): Command =>
  onBoard("extract", path, (board, draft) => {
    const some = new Set(ids);
    const now = plain(draft);
    const past = (step: string, output: string): Join | null =>
      some.has(step) ? bypassSource(now, path, { step, output }, some, palette) : { step, output };
    leadReaders(board, some, past, some);
    for (const id of some)
      mapStepJoins(stepOn(board, id), (step, output) => (some.has(step) ? { step, output } : null));
  });

/** Put steps, groups and notes somewhere else, but for what is locked; a drag runs this over and over with one gesture id. */
export function moveItems(
  path: Path,
  to: { steps?: Record<string, Point>; groups?: Record<string, Point>; notes?: Record<string, Point> },
  label = "move",
): Command {
  return onBoard(label, path, (board) => {
    for (const [id, point] of Object.entries(to.steps ?? {})) {
      const step = stepOn(board, id);
      if (step.locked) continue;
      if (step.position[0] !== point[0] || step.position[1] !== point[1]) step.position = [point[0], point[1]];
    }
    for (const name of ["groups", "notes"] as const) {
      for (const [id, [x, y]] of Object.entries(to[name] ?? {})) {
        const one = board[name][id];
        if (name === "groups" && board.groups[id]?.locked) continue;
        if (one && (one.rect.x !== x || one.rect.y !== y)) one.rect = { ...one.rect, x, y };
      }
    }
  });
}

export const moveSteps = (path: Path, to: Record<string, Point>): Command => moveItems(path, { steps: to });

/** Give a step a size of its own, or (null) the one its widgets need. */
export const resizeStep = (path: Path, id: string, size: Point | null): Command =>
  onBoard("resize", path, (board) => {
    stepOn(board, id).size = size;
  });

/** Set a knob. A wire that fed it is cut. */
export const setValue = (path: Path, id: string, input: string, value: Json): Command =>
  onBoard("set-value", path, (board) => {
    const step = stepOn(board, id);
    unbend(step, input);
    step.inputs[input] = value;
  });

/** Take a knob back to its usual value. */
export const resetValue = (path: Path, id: string, input: string, palette: Palette): Command =>
  onBoard("set-value", path, (board, draft) => {
    const shape = shapeOf(draft, path, id, palette);
    const usual = shape.subgraph ? undefined : shape.knobs.find((one) => one.name === input)?.default;
    unbend(stepOn(board, id), input);
    setOrDelete(stepOn(board, id).inputs, input, usual);
  });

/** The wires into an input go, and their bends with them. */
function unbend(step: Step, input: string): void {
  if (inputJoins(step.inputs[input]).length) renumberReroutes(step, input, []);
}

export const setTitle = (path: Path, id: string, title: string): Command =>
  onBoard("set-title", path, (board) => {
    stepOn(board, id).title = title;
  });

export const setStepNote = (path: Path, id: string, note: string): Command =>
  onBoard("set-note", path, (board) => {
    stepOn(board, id).note = note;
  });

export const setColor = (path: Path, ids: readonly string[], color: string): Command =>
  onBoard("set-color", path, (board) => {
    for (const id of ids) stepOn(board, id).color = color;
  });

export const setMode = (path: Path, ids: readonly string[], mode: Mode): Command =>
  onBoard(mode === "on" ? "turn-on" : mode === "muted" ? "mute" : "bypass", path, (board) => {
    for (const id of ids) stepOn(board, id).mode = mode;
  });

/** Give all of them this mode, or turn them on if all have it already. */
export const toggleMode = (path: Path, ids: readonly string[], mode: "muted" | "bypassed"): Command =>
  onBoard(mode === "muted" ? "mute" : "bypass", path, (board) => {
    const steps = ids.map((id) => stepOn(board, id));
    const made: Mode = steps.every((step) => step.mode === mode) ? "on" : mode;
    for (const step of steps) step.mode = made;
  });

/** Let steps and frames stay where they are, or let them be moved again. */
export const setLocked = (path: Path, ids: readonly string[], locked: boolean): Command =>
  onBoard(locked ? "lock" : "unlock", path, (board) => {
    for (const id of ids) (own(board.groups, id) ?? stepOn(board, id)).locked = locked;
  });

/** Draw only the sockets that are joined, or all of them again. */
export const setCompact = (path: Path, ids: readonly string[], compact: boolean): Command =>
  onBoard(compact ? "hide-unused" : "show-unused", path, (board) => {
    for (const id of ids) stepOn(board, id).compact = compact;
  });

export const setCollapsed = (path: Path, ids: readonly string[], collapsed: boolean): Command =>
  onBoard(collapsed ? "collapse" : "expand", path, (board) => {
    for (const id of ids) stepOn(board, id).collapsed = collapsed;
  });

/** Show or fold away the advanced knobs. */
export const setAdvanced = (path: Path, id: string, shown: boolean): Command =>
  onBoard(shown ? "show-advanced" : "hide-advanced", path, (board) => {
    stepOn(board, id).advanced = shown;
  });

/** Draw a knob as a wire input, although nothing feeds it. */
export const exposeKnob = (path: Path, id: string, knob: string): Command =>
  onBoard("expose", path, (board) => {
    const step = stepOn(board, id);
    if (!step.exposed.includes(knob)) step.exposed.push(knob);
  });

/** Draw it as a widget again; a wire that feeds it is cut. */
export const unexposeKnob = (path: Path, id: string, knob: string): Command =>
  onBoard("unexpose", path, (board) => {
    const step = stepOn(board, id);
    if (step.exposed.includes(knob)) step.exposed = step.exposed.filter((one) => one !== knob);
    if (inputJoins(step.inputs[knob]).length) {
      unbend(step, knob);
      delete step.inputs[knob];
    }
  });

/** What a seed does after a run was submitted. */
export const setAfter = (path: Path, id: string, knob: string, after: Step["after"][string]): Command =>
  onBoard("set-after", path, (board) => {
    setOrDelete(stepOn(board, id).after, knob, after === "fixed" ? null : after);
  });

/** Which steps a run without further words is for; none means all outputs. */
export const setTargets = (ids: readonly string[]): Command => ({
  label: "set-targets",
  change: (draft) => {
    draft.targets = [...ids];
  },
});

/** Remember a place of the document under a name. */
export const setBookmark = (name: string, to: Bookmark): Command => ({
  label: "bookmark",
  change: (draft) => {
    const known = isObject(draft.extra.bookmarks) ? draft.extra.bookmarks : {};
    draft.extra.bookmarks = { ...known, [name]: JSON.parse(JSON.stringify(to)) as Json };
  },
});

export const setDocumentTitle = (title: string): Command => ({
  label: "set-title",
  change: (draft) => {
    draft.title = title;
  },
});
