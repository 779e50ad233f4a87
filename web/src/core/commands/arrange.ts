/** Commands that put nodes in order. */

import { type Alignment, aligned, distributed } from "../align";
import { boardAt } from "../document";
import { nodeRect } from "../geometry";
import type { Command } from "../history";
import type { Palette, Path, Point, Rect } from "../types";
import { plain } from "./board";
import { frameAround, groupContent } from "./groups";
import { moveItems } from "./steps";

export const alignSteps = (path: Path, ids: readonly string[], how: Alignment, palette: Palette): Command => ({
  label: "align",
  path,
  change: (draft) => {
    if (ids.length > 1) moveItems(path, { steps: aligned(rects(draft, path, ids, palette), how) }).change(draft);
  },
});

export const distributeSteps = (path: Path, ids: readonly string[], axis: "x" | "y", palette: Palette): Command => ({
  label: "distribute",
  path,
  change: (draft) => {
    if (ids.length > 2) moveItems(path, { steps: distributed(rects(draft, path, ids, palette), axis) }).change(draft);
  },
});

function rects(
  draft: Parameters<Command["change"]>[0],
  path: Path,
  ids: readonly string[],
  palette: Palette,
): Map<string, Rect> {
  const now = plain(draft);
  return new Map(ids.map((id) => [id, nodeRect(now, path, id, palette)]));
}

/** Take over what `layoutBoxes` found. Bends of wires whose steps were moved go; frames follow what lay in them. */
export const arrange = (path: Path, to: Record<string, Point>, palette: Palette): Command => ({
  label: "arrange",
  path,
  change: (draft) => {
    const board = boardAt(draft, path);
    const there = Object.fromEntries(Object.entries(to).filter(([id]) => Object.hasOwn(board.steps, id)));
    const now = plain(draft);
    const members = Object.keys(board.groups).map((id) => [id, groupContent(now, path, id, palette)] as const);
    moveItems(path, { steps: there }).change(draft);
    for (const id of Object.keys(there))
      if (Object.keys(board.steps[id]!.reroutes).length) board.steps[id]!.reroutes = {};
    for (const [id, content] of members) {
      if (!content.steps.length || !content.steps.every((one) => Object.hasOwn(there, one))) continue;
      const frame = frameAround(plain(draft), path, { steps: content.steps, groups: [], notes: [] }, palette);
      if (frame) board.groups[id]!.rect = frame;
    }
  },
});
