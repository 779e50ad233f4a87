/** Nodes on one line, with even gaps; and what has to be known of a board to lay it out (`layout.ts`, in a worker). */

import { boardAt } from "./document";
import { groupContent, heldSteps, hiddenItems, innermost } from "./frames";
import { GROUP_HEADER, GROUP_PADDING, groupRect, nodeRect } from "./geometry";
import { linksOf } from "./shape";
import type { Document, Palette, Path, Point, Rect, Selection } from "./types";

export type Alignment = "left" | "center" | "right" | "top" | "middle" | "bottom";

/** Corners that put all boxes on one line. */
export function aligned(rects: ReadonlyMap<string, Rect>, how: Alignment): Record<string, Point> {
  const all = [...rects.values()];
  const across = how === "left" || how === "center" || how === "right";
  const [at, size] = across ? (["x", "width"] as const) : (["y", "height"] as const);
  const low = Math.min(...all.map((one) => one[at]));
  const high = Math.max(...all.map((one) => one[at] + one[size]));
  const share = how === "left" || how === "top" ? 0 : how === "right" || how === "bottom" ? 1 : 0.5;
  const made = [...rects].map(([id, rect]): [string, Point] => {
    const to = low + (high - low - rect[size]) * share;
    return [id, across ? [to, rect.y] : [rect.x, to]];
  });
  return Object.fromEntries(made);
}

/** Corners with equal gaps between the boxes; the first and the last stay. */
export function distributed(rects: ReadonlyMap<string, Rect>, axis: "x" | "y"): Record<string, Point> {
  const size = axis === "x" ? "width" : "height";
  const order = [...rects].sort(([, a], [, b]) => a[axis] - b[axis]);
  if (order.length < 3) return Object.fromEntries(order.map(([id, rect]) => [id, [rect.x, rect.y]]));
  const first = order[0]![1];
  const last = order.at(-1)![1];
  const room = last[axis] - (first[axis] + first[size]);
  const inner = order.slice(1, -1).reduce((sum, [, rect]) => sum + rect[size], 0);
  const gap = (room - inner) / (order.length - 1);
  let at = first[axis];
  const made = order.map(([id, rect], n): [string, Point] => {
    const to = n === order.length - 1 ? rect[axis] : at;
    at += rect[size] + gap;
    return [id, axis === "x" ? [to, rect.y] : [rect.x, to]];
  });
  return Object.fromEntries(made);
}

// ── for the automatic layout ──

export interface LayoutRequest {
  boxes: { id: string; rect: Rect }[];
  edges: [from: string, to: string][];
  /** Boxes, and frames that came before, that stay together; innermost frames first. */
  frames: { id: string; members: string[] }[];
  /** What a frame needs around its members. */
  margin: { side: number; head: number };
  /** Between layers, and between nodes of one layer. */
  gap: Point;
}

export const LAYOUT_GAP: Point = [96, 40];

/** What groups and notes are called among the boxes of a layout; steps have their own ids. */
export const groupBox = (id: string): string => `group\n${id}`;
export const noteBox = (id: string): string => `note\n${id}`;

/**
 * All that lays out a board, or only some steps of it. Steps of a frame that is laid out as a whole stay together, notes in
 * it with them; a folded frame is one box.
 */
export function layoutRequest(
  document: Document,
  path: Path,
  palette: Palette,
  only?: readonly string[],
): LayoutRequest {
  const board = boardAt(document, path);
  // What is locked stays, with what lies in it, and has no part in it.
  const held = heldSteps(document, path, palette);
  const some = new Set((only ?? Object.keys(board.steps)).filter((id) => !board.steps[id]?.locked && !held.has(id)));
  const hidden = hiddenItems(document, path, palette);
  const frames = wholeFrames(document, path, palette, some);
  const boxOf = (step: string): string => {
    const group = hidden.steps.get(step);
    return group === undefined ? step : groupBox(group);
  };
  const edges = new Map<string, [string, string]>();
  for (const { from, step } of linksOf(board)) {
    if (!some.has(from.step) || !some.has(step)) continue;
    const [a, b] = [boxOf(from.step), boxOf(step)];
    if (a !== b) edges.set(`${a}\t${b}`, [a, b]);
  }
  const boxes = [...some].flatMap((id) =>
    hidden.steps.has(id) ? [] : [{ id, rect: nodeRect(document, path, id, palette) }],
  );
  for (const [id, content] of frames) {
    if (board.groups[id]!.collapsed) boxes.push({ id: groupBox(id), rect: groupRect(board.groups[id]!) });
    else for (const one of content.notes) boxes.push({ id: noteBox(one), rect: board.notes[one]!.rect });
  }
  return {
    boxes: [...new Map(boxes.map((one) => [one.id, one])).values()],
    edges: [...edges.values()],
    frames: nested(document, path, palette, new Set(frames.keys())),
    margin: { side: GROUP_PADDING, head: GROUP_HEADER },
    gap: LAYOUT_GAP,
  };
}

/** Frames that are seen and have steps, all of which are laid out, and nothing locked; with what lies in them. */
function wholeFrames(
  document: Document,
  path: Path,
  palette: Palette,
  some: ReadonlySet<string>,
): Map<string, Selection> {
  const hidden = hiddenItems(document, path, palette);
  const found = new Map<string, Selection>();
  const { groups } = boardAt(document, path);
  for (const id of Object.keys(groups)) {
    if (hidden.groups.has(id)) continue;
    const content = groupContent(document, path, id, palette);
    if (groups[id]!.locked || content.groups.some((one) => groups[one]!.locked)) continue;
    if (content.steps.length && content.steps.every((one) => some.has(one))) found.set(id, content);
  }
  return found;
}

/** The open ones of these frames with what lies directly in each, innermost first. */
function nested(
  document: Document,
  path: Path,
  palette: Palette,
  frames: ReadonlySet<string>,
): LayoutRequest["frames"] {
  const { groups } = boardAt(document, path);
  const within = innermost(document, path, palette, (id) => frames.has(id) && !groups[id]!.collapsed);
  const size = (id: string): number => groups[id]!.rect.width * groups[id]!.rect.height;
  const open = [...frames].filter((id) => !groups[id]!.collapsed).sort((a, b) => size(a) - size(b));
  const hidden = hiddenItems(document, path, palette);
  const inside = (what: "steps" | "groups" | "notes", id: string): string[] =>
    [...within[what]].flatMap(([one, by]) => (by === id && !hidden[what].has(one) ? [one] : []));
  return open.map((id) => ({
    id: groupBox(id),
    members: [
      ...inside("steps", id),
      ...inside("groups", id)
        .filter((one) => frames.has(one))
        .map(groupBox),
      ...inside("notes", id).map(noteBox),
    ],
  }));
}
