/**
 * Where nodes go by themselves: layers from left to right (dagre, tight-tree). A frame is laid out by itself and is then one
 * box among the others, so that what lies in it stays together.
 *
 * A function of plain boxes, so that a worker can do it: `layoutRequest` (in `align.ts`) on this side, `layoutBoxes`
 * over there, the command `arrange` with the answer.
 */

import { Graph, layout } from "@dagrejs/dagre";
import type { LayoutRequest } from "./align";
import type { Point } from "./types";

export type { LayoutRequest } from "./align";

interface Size {
  width: number;
  height: number;
}

/** Upper left corners by id. The corner of the whole stays where it was. */
export function layoutBoxes({ boxes, edges, frames, margin, gap }: LayoutRequest): Record<string, Point> {
  if (!boxes.length) return {};
  const sizes = new Map<string, Size>(boxes.map(({ id, rect }) => [id, rect]));
  const parents = new Map(frames.flatMap(({ id, members }) => members.map((one) => [one, id] as const)));
  const inside = new Map<string, Map<string, Point>>();
  for (const { id, members } of frames) {
    const placed = placeLevel(members, id, sizes, parents, edges, gap);
    const { width, height } = extent(placed, sizes);
    inside.set(id, placed);
    sizes.set(id, { width: width + 2 * margin.side, height: height + 2 * margin.side + margin.head });
  }
  const top = [...sizes.keys()].filter((id) => !parents.has(id));
  const found = new Map<string, Point>();
  const put = (id: string, at: Point): void => {
    const content = inside.get(id);
    if (!content) found.set(id, at);
    else
      for (const [one, [x, y]] of content) put(one, [at[0] + margin.side + x, at[1] + margin.side + margin.head + y]);
  };
  for (const [id, at] of placeLevel(top, undefined, sizes, parents, edges, gap)) put(id, at);
  const [left, upper] = corner([...found.values()]);
  const [x0, y0] = corner(boxes.map(({ rect }): Point => [rect.x, rect.y]));
  return Object.fromEntries(
    [...found].map(([id, [x, y]]) => [id, [Math.round(x - left + x0), Math.round(y - upper + y0)]]),
  );
}

/** Corners of the boxes and frames directly in `level`, the least being (0, 0). Wires of what is deeper are the frame's. */
function placeLevel(
  members: readonly string[],
  level: string | undefined,
  sizes: ReadonlyMap<string, Size>,
  parents: ReadonlyMap<string, string>,
  edges: LayoutRequest["edges"],
  gap: Point,
): Map<string, Point> {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", ranksep: gap[0], nodesep: gap[1], ranker: "tight-tree" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of members) graph.setNode(id, { ...sizes.get(id)! });
  const here = (id: string): string | null => {
    let at: string | undefined = id;
    while (at !== undefined && parents.get(at) !== level) at = parents.get(at);
    return at ?? null;
  };
  for (const [from, to] of edges) {
    const [a, b] = [here(from), here(to)];
    if (a !== null && b !== null && a !== b) graph.setEdge(a, b);
  }
  layout(graph);
  const placed = members.map((id): [string, Point] => {
    const { x, y } = graph.node(id) as { x: number; y: number };
    const { width, height } = sizes.get(id)!;
    return [id, [x - width / 2, y - height / 2]];
  });
  const [left, upper] = corner(placed.map(([, at]) => at));
  return new Map(placed.map(([id, [x, y]]) => [id, [x - left, y - upper]]));
}

function extent(placed: ReadonlyMap<string, Point>, sizes: ReadonlyMap<string, Size>): Size {
  let [width, height] = [0, 0];
  for (const [id, [x, y]] of placed) {
    width = Math.max(width, x + sizes.get(id)!.width);
    height = Math.max(height, y + sizes.get(id)!.height);
  }
  return { width, height };
}

function corner(points: readonly Point[]): Point {
  let [x, y] = [Infinity, Infinity];
  for (const point of points) {
    x = Math.min(x, point[0]);
    y = Math.min(y, point[1]);
  }
  return points.length ? [x, y] : [0, 0];
}
