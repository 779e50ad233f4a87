/**
 * Where nodes go by themselves: layers from left to right (dagre, tight-tree).
 *
 * A function of plain boxes, so that a worker can do it: `layoutRequest` (in `align.ts`) on this side, `layoutBoxes`
 * over there, the command `arrange` with the answer.
 */

import { Graph, layout } from "@dagrejs/dagre";
import type { LayoutRequest } from "./align";
import type { Point } from "./types";

export type { LayoutRequest } from "./align";

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
