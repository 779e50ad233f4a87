/**
 * Commands on groups and notes. A group is a frame; what belongs to it is said in `frames.ts`.
 *
 * A drag that takes the content along asks `takenAlong` once, when it begins, and then runs `moveItems`: on the way
 * nothing else is picked up.
 */

import { boardAt, freshId } from "../document";
import { forgetMembers, groupContent, hiddenItems, takenAlong } from "../frames";
import { around, GROUP_HEADER, GROUP_PADDING, groupRect, holds, nodeRect } from "../geometry";
import type { Board, Document, Group, Palette, Path, Point, Rect, Selection } from "../types";
import { type Command, onBoard, plain } from "./board";
import { removeSteps } from "./steps";

const NOTE_SIZE = { width: 240, height: 120 };
const GROUP_LEAST = { width: 120, height: 80 };

export { groupContent, hiddenItems, takenAlong, withContent } from "../frames";

export const addGroup = (path: Path, rect: Rect, title = "", color = ""): Command<string> =>
  onBoard("add-group", path, (board) => {
    const id = freshId(board.groups, "group");
    board.groups[id] = {
      id,
      title,
      color,
      rect: { ...rect },
      collapsed: false,
      locked: false,
      members: null,
      extra: {},
    };
    return id;
  });

/** Put a frame around what is selected; gives its id, "" when nothing is. */
export function groupSelection(path: Path, selection: Selection, palette: Palette, title = ""): Command<string> {
  return {
    label: "add-group",
    path,
    change: (draft) => {
      const rect = frameAround(plain(draft), path, selection, palette);
      return rect ? addGroup(path, rect, title).change(draft) : "";
    },
  };
}

/** The frame around some items, with room for its bar; null around nothing. */
export function frameAround(document: Document, path: Path, selection: Selection, palette: Palette): Rect | null {
  const board = boardAt(document, path);
  const rect = around([
    ...selection.steps.map((id) => nodeRect(document, path, id, palette)),
    ...selection.groups.flatMap((id) => (board.groups[id] ? [groupRect(board.groups[id])] : [])),
    ...selection.notes.flatMap((id) => (board.notes[id] ? [board.notes[id].rect] : [])),
  ]);
  if (!rect) return null;
  const pad = GROUP_PADDING;
  const { x, y, width, height } = rect;
  return { x: x - pad, y: y - pad - GROUP_HEADER, width: width + 2 * pad, height: height + 2 * pad + GROUP_HEADER };
}

/** Make a frame as large as what lies in it. */
export const fitGroup = (path: Path, id: string, palette: Palette): Command =>
  onBoard("resize", path, (board, draft) => {
    const now = plain(draft);
    const rect = frameAround(now, path, groupContent(now, path, id, palette), palette);
    if (rect && !groupOn(board, id).locked) groupOn(board, id).rect = rect;
  });

/** Move a group by so much, with what lies in it or the frame alone; a locked one stays, and all in it. */
export function moveGroup(path: Path, id: string, by: Point, palette: Palette, withContent = true): Command {
  return onBoard("move", path, (board, draft) => {
    const group = groupOn(board, id);
    if (group.locked) return;
    const content = withContent ? takenAlong(plain(draft), path, id, palette) : { steps: [], groups: [], notes: [] };
    const shift = (rect: Rect): Rect => ({ ...rect, x: rect.x + by[0], y: rect.y + by[1] });
    for (const one of content.steps) {
      const step = board.steps[one]!;
      step.position = [step.position[0] + by[0], step.position[1] + by[1]];
    }
    for (const one of content.groups) board.groups[one]!.rect = shift(board.groups[one]!.rect);
    for (const one of content.notes) board.notes[one]!.rect = shift(board.notes[one]!.rect);
    group.rect = shift(group.rect);
  });
}

export const resizeGroup = (path: Path, id: string, rect: Rect): Command =>
  onBoard("resize", path, (board) => {
    const group = groupOn(board, id);
    if (!group.locked) group.rect = atLeast(rect);
  });

export const setGroupTitle = (path: Path, id: string, title: string): Command =>
  onBoard("set-title", path, (board) => {
    groupOn(board, id).title = title;
  });

export const setGroupColor = (path: Path, ids: readonly string[], color: string): Command =>
  onBoard("set-color", path, (board) => {
    for (const id of ids) groupOn(board, id).color = color;
  });

/** Fold a frame to its bar, or open it. Folded, it keeps what lies in it now, and takes nothing new. */
export const setGroupCollapsed = (path: Path, id: string, collapsed: boolean, palette: Palette): Command =>
  onBoard(collapsed ? "collapse" : "expand", path, (board, draft) => {
    const group = groupOn(board, id);
    if (group.collapsed === collapsed) return;
    group.members = collapsed ? groupContent(plain(draft), path, id, palette) : null;
    group.collapsed = collapsed;
  });

/** Remove a frame; what lies in it stays. */
export const removeGroup = (path: Path, id: string): Command =>
  onBoard("remove-group", path, (board) => {
    delete board.groups[id];
    forgetMembers(board, { groups: new Set([id]) });
  });

/** Remove all that is selected, but for locked groups. What a collapsed group hides goes with it. */
export function removeItems(path: Path, selection: Selection, palette: Palette, reconnect = false): Command {
  return onBoard("remove", path, (board, draft) => {
    const hidden = hiddenItems(plain(draft), path, palette);
    const free = (ids: readonly string[]): string[] => ids.filter((id) => !board.groups[id]?.locked);
    const chosen = new Set(free(selection.groups));
    const within = (what: "steps" | "groups" | "notes"): string[] =>
      [...hidden[what]].filter(([, group]) => chosen.has(group)).map(([id]) => id);
    removeSteps(path, [...selection.steps, ...within("steps")], palette, reconnect).change(draft);
    const groups = new Set([...chosen, ...free(within("groups"))]);
    const notes = new Set([...selection.notes, ...within("notes")]);
    for (const id of groups) delete board.groups[id];
    for (const id of notes) delete board.notes[id];
    forgetMembers(board, { groups, notes });
  });
}

// ── notes ──

export const addNote = (path: Path, at: Point, text = ""): Command<string> =>
  onBoard("add-note", path, (board) => {
    const id = freshId(board.notes, "note");
    board.notes[id] = { id, text, color: "", rect: { x: at[0], y: at[1], ...NOTE_SIZE }, extra: {} };
    return id;
  });

export const setNoteText = (path: Path, id: string, text: string): Command =>
  onBoard("set-note", path, (board) => {
    noteOn(board, id).text = text;
  });

export const resizeNote = (path: Path, id: string, rect: Rect): Command =>
  onBoard("resize", path, (board) => {
    noteOn(board, id).rect = atLeast(rect);
  });

export const setNoteColor = (path: Path, ids: readonly string[], color: string): Command =>
  onBoard("set-color", path, (board) => {
    for (const id of ids) noteOn(board, id).color = color;
  });

export const removeNote = (path: Path, id: string): Command =>
  onBoard("remove", path, (board) => {
    delete board.notes[id];
    forgetMembers(board, { notes: new Set([id]) });
  });

const atLeast = (rect: Rect): Rect => ({
  x: rect.x,
  y: rect.y,
  width: Math.max(rect.width, GROUP_LEAST.width),
  height: Math.max(rect.height, GROUP_LEAST.height),
});

function groupOn(board: Board, id: string): Group {
  const group = board.groups[id];
  if (!group) throw new Error(`there is no group ${JSON.stringify(id)}`);
  return group;
}

function noteOn(board: Board, id: string): Board["notes"][string] {
  const note = board.notes[id];
  if (!note) throw new Error(`there is no note ${JSON.stringify(id)}`);
  return note;
}

/** The smallest group, as it is drawn, that holds a point; "" if none does. */
export function groupAt(board: Board, point: Point): string {
  let best = "";
  let least = Infinity;
  for (const group of Object.values(board.groups)) {
    const rect = groupRect(group);
    if (rect.width * rect.height < least && holds(rect, point)) {
      best = group.id;
      least = rect.width * rect.height;
    }
  }
  return best;
}
