/** Commands that put nodes in order. */

import { type Alignment, aligned, distributed, groupBox, noteBox } from "../align";
import { boardAt } from "../document";
import { groupContent, hiddenItems } from "../frames";
import { groupRect, inputPlace, nodeRect, outputPlace } from "../geometry";
import type { Command } from "../history";
import { inOrder } from "../outline";
import { linksOf } from "../shape";
import type { Document, Palette, Path, Point, Rect, Selection } from "../types";
import { onBoard, plain, stepOn } from "./board";
import { frameAround, moveGroup } from "./groups";
import { moveItems } from "./steps";

/** Put steps, notes and groups with what lies in them on one line. */
export const alignItems = (path: Path, selection: Selection, how: Alignment, palette: Palette): Command =>
  place("align", path, selection, palette, (rects) => (rects.size > 1 ? aligned(rects, how) : {}));

/** The same gaps between steps, notes and groups; the first and the last stay. */
export const distributeItems = (path: Path, selection: Selection, axis: "x" | "y", palette: Palette): Command =>
  place("distribute", path, selection, palette, (rects) => (rects.size > 2 ? distributed(rects, axis) : {}));

function place(
  label: string,
  path: Path,
  selection: Selection,
  palette: Palette,
  to: (rects: ReadonlyMap<string, Rect>) => Record<string, Point>,
): Command {
  return {
    label,
    path,
    change: (draft) => {
      const now = plain(draft);
      const rects = itemRects(now, path, selection, palette);
      const made = to(rects);
      const of = (ids: readonly string[], box: (id: string) => string): Record<string, Point> =>
        Object.fromEntries(ids.flatMap((id) => (made[box(id)] ? [[id, made[box(id)]!]] : [])));
      for (const [id, [x, y]] of Object.entries(of(selection.groups, groupBox))) {
        const from = rects.get(groupBox(id))!;
        moveGroup(path, id, [x - from.x, y - from.y], palette).change(draft);
      }
      moveItems(path, { steps: of(selection.steps, (id) => id), notes: of(selection.notes, noteBox) }).change(draft);
    },
  };
}

/** What is selected by itself: what lies in a selected group goes with it. */
function itemRects(now: Document, path: Path, selection: Selection, palette: Palette): Map<string, Rect> {
  const board = boardAt(now, path);
  const inside = { steps: new Set<string>(), groups: new Set<string>(), notes: new Set<string>() };
  for (const id of selection.groups) {
    const content = groupContent(now, path, id, palette);
    for (const what of ["steps", "groups", "notes"] as const) for (const one of content[what]) inside[what].add(one);
  }
  const free = (what: keyof Selection): string[] => selection[what].filter((id) => !inside[what].has(id));
  return new Map([
    ...free("steps").map((id) => [id, nodeRect(now, path, id, palette)] as const),
    ...free("groups").map((id) => [groupBox(id), groupRect(board.groups[id]!)] as const),
    ...free("notes").map((id) => [noteBox(id), board.notes[id]!.rect] as const),
  ]);
}

/** Move steps up or down so that the wires among them lie level: each follows the first that feeds it. */
export const straighten = (path: Path, ids: readonly string[], palette: Palette): Command =>
  onBoard("straighten", path, (board, draft) => {
    const some = new Set(ids);
    const now = plain(draft);
    const links = linksOf(boardAt(now, path)).filter((one) => some.has(one.step) && some.has(one.from.step));
    const shifts = new Map<string, number>();
    for (const id of inOrder(now, path).filter((one) => some.has(one))) {
      const link = links.find((one) => one.step === id && one.from.step !== id);
      if (!link) continue;
      const [, from] = outputPlace(now, path, link.from.step, link.from.output, palette);
      const [, to] = inputPlace(now, path, id, link.input, link.index, palette);
      shifts.set(id, Math.round(from + (shifts.get(link.from.step) ?? 0) - to));
    }
    for (const [id, by] of shifts) {
      const { position } = stepOn(board, id);
      if (by && !stepOn(board, id).locked) stepOn(board, id).position = [position[0], position[1] + by];
    }
  });

/**
 * Take over what `layoutBoxes` found. Bends of wires whose steps were moved go; a folded frame takes what it hides along, an
 * open one is fitted to what lay in it.
 */
export const arrange = (path: Path, to: Record<string, Point>, palette: Palette): Command => ({
  label: "arrange",
  path,
  change: (draft) => {
    const board = boardAt(draft, path);
    const now = plain(draft);
    const frames = framesInside(now, path, to, palette);
    const taken = (record: Record<string, unknown>, box: (id: string) => string): Record<string, Point> =>
      Object.fromEntries(Object.keys(record).flatMap((id) => (to[box(id)] ? [[id, to[box(id)]!]] : [])));
    const steps = taken(board.steps, (id) => id);
    for (const [id, at] of Object.entries(taken(board.groups, groupBox))) {
      const { x, y } = board.groups[id]!.rect;
      if (board.groups[id]!.collapsed) moveGroup(path, id, [at[0] - x, at[1] - y], palette).change(draft);
    }
    moveItems(path, { steps, notes: taken(board.notes, noteBox) }).change(draft);
    for (const id of Object.keys(steps))
      if (!board.steps[id]!.locked && Object.keys(board.steps[id]!.reroutes).length) board.steps[id]!.reroutes = {};
    for (const [id, content] of frames) {
      const frame = frameAround(plain(draft), path, content, palette);
      if (frame && !board.groups[id]!.locked) board.groups[id]!.rect = frame;
    }
  },
});

/** Open frames all of whose steps are moved, the innermost first, with what is seen in them. */
function framesInside(
  now: Document,
  path: Path,
  to: Record<string, Point>,
  palette: Palette,
): [id: string, content: Selection][] {
  const { groups } = boardAt(now, path);
  const hidden = hiddenItems(now, path, palette);
  const moves = (step: string): boolean => {
    const by = hidden.steps.get(step);
    return Object.hasOwn(to, by === undefined ? step : groupBox(by));
  };
  const seen = (what: keyof Selection, ids: readonly string[]): string[] => ids.filter((one) => !hidden[what].has(one));
  const size = (id: string): number => groups[id]!.rect.width * groups[id]!.rect.height;
  return Object.keys(groups)
    .filter((id) => !groups[id]!.collapsed && !hidden.groups.has(id))
    .sort((a, b) => size(a) - size(b))
    .flatMap((id): [string, Selection][] => {
      const { steps, groups: frames, notes } = groupContent(now, path, id, palette);
      if (!steps.length || !steps.every(moves)) return [];
      return [[id, { steps: seen("steps", steps), groups: seen("groups", frames), notes: seen("notes", notes) }]];
    });
}
