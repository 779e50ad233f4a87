/**
 * Where nodes go by themselves: layers from left to right (dagre, tight-tree), alignment and even spacing.
 *
 * Everything here is a function of plain boxes, so that a worker can do it: `layoutRequest` on this side,
 * `layoutBoxes` over there, `moveSteps` with the answer.
 */

import { Graph, layout } from "@dagrejs/dagre";
import { boardAt } from "./document";
import { nodeRect } from "./geometry";
import { linksOf } from "./shape";
import type { Document, Palette, Path, Point, Rect } from "./types";

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

/** Upper left corners by id. The corner of the whole stays where it was. */
export function layoutBoxes({ boxes, edges, gap }: LayoutRequest): Record<string, Point> {
  if (!boxes.length) return {};
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", ranksep: gap[0], nodesep: gap[1], ranker: "tight-tree" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, rect } of boxes) graph.setNode(id, { width: rect.width, height: rect.height });
  for (const [from, to] of edges) graph.setEdge(from, to);
  layout(graph);
  const placed = boxes.map(({ id, rect }): [string, Point] => {
    const { x, y } = graph.node(id) as { x: number; y: number };
    return [id, [x - rect.width / 2, y - rect.height / 2]];
  });
  const least = (values: number[]): number => values.reduce((a, b) => Math.min(a, b));
  const dx = least(boxes.map((one) => one.rect.x)) - least(placed.map(([, [x]]) => x));
  const dy = least(boxes.map((one) => one.rect.y)) - least(placed.map(([, [, y]]) => y));
  return Object.fromEntries(placed.map(([id, [x, y]]) => [id, [Math.round(x + dx), Math.round(y + dy)]]));
}

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
