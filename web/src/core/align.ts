/** Nodes on one line, with even gaps; and what has to be known of a board to lay it out (`layout.ts`, in a worker). */

import { boardAt } from "./document";
import { nodeRect } from "./geometry";
import { linksOf } from "./shape";
import type { Document, Palette, Path, Point, Rect } from "./types";

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
  /** Between layers, and between nodes of one layer. */
  gap: Point;
}

export const LAYOUT_GAP: Point = [96, 40];

/** All that lays out a board, or only some steps of it. */
export function layoutRequest(
  document: Document,
  path: Path,
  palette: Palette,
  only?: readonly string[],
): LayoutRequest {
  const board = boardAt(document, path);
  const ids = only ?? Object.keys(board.steps);
  const some = new Set(ids);
  const edges = new Map<string, [string, string]>();
  for (const { from, step } of linksOf(board)) {
    if (some.has(from.step) && some.has(step) && from.step !== step)
      edges.set(`${from.step}\n${step}`, [from.step, step]);
  }
  const boxes = ids.map((id) => ({ id, rect: nodeRect(document, path, id, palette) }));
  return { boxes, edges: [...edges.values()], gap: LAYOUT_GAP };
}
