/** Snapping to the grid, and to the edges and middles of what is near, with the guides to draw. */

import type { Point, Rect } from "./types";

export const GRID = 20;

export const snapped = (at: number, grid = GRID): number => Math.round(at / grid) * grid + 0;
export const snapPoint = ([x, y]: Point, grid = GRID): Point => [snapped(x, grid), snapped(y, grid)];

/** A line to draw while something is snapped to it: x = `at` from y = `from` to `to`, or the other way round. */
export interface Guide {
  axis: "x" | "y";
  at: number;
  from: number;
  to: number;
}

export interface Snap {
  /** What to add to the moving rectangle's place. */
  by: Point;
  guides: Guide[];
}

/** Where a rectangle wants to be beside others: at most `reach` away; each axis is judged by itself. */
export function snapToRects(moving: Rect, others: readonly Rect[], reach: number): Snap {
  const x = closest(lines(moving.x, moving.width), others, (one) => lines(one.x, one.width), reach);
  const y = closest(lines(moving.y, moving.height), others, (one) => lines(one.y, one.height), reach);
  const to = { ...moving, x: moving.x + (x ?? 0), y: moving.y + (y ?? 0) };
  return {
    by: [x ?? 0, y ?? 0],
    guides: [...(x === null ? [] : guides("x", to, others)), ...(y === null ? [] : guides("y", to, others))],
  };
}

/** Beside others if that is near, else to the grid. `grid` 0 is none. */
export function snapRect(moving: Rect, others: readonly Rect[], reach: number, grid = 0): Snap {
  const found = snapToRects(moving, others, reach);
  if (!grid) return found;
  const along = (axis: "x" | "y"): boolean => found.guides.some((one) => one.axis === axis);
  const dx = along("x") ? found.by[0] : snapped(moving.x, grid) - moving.x;
  const dy = along("y") ? found.by[1] : snapped(moving.y, grid) - moving.y;
  return { by: [dx, dy], guides: found.guides };
}

const lines = (at: number, size: number): number[] => [at, at + size / 2, at + size];

function closest(mine: number[], others: readonly Rect[], of: (one: Rect) => number[], reach: number): number | null {
  let best: number | null = null;
  for (const other of others) {
    for (const line of of(other)) {
      for (const one of mine) {
        const by = line - one;
        if (Math.abs(by) <= reach && (best === null || Math.abs(by) < Math.abs(best))) best = by;
      }
    }
  }
  return best;
}

function guides(axis: "x" | "y", moved: Rect, others: readonly Rect[]): Guide[] {
  const [at, size, across, height] =
    axis === "x" ? (["x", "width", "y", "height"] as const) : (["y", "height", "x", "width"] as const);
  const found = new Map<number, Guide>();
  for (const line of lines(moved[at], moved[size])) {
    for (const other of others) {
      if (!lines(other[at], other[size]).some((one) => Math.abs(one - line) < 0.01)) continue;
      const guide = found.get(line) ?? { axis, at: line, from: moved[across], to: moved[across] + moved[height] };
      guide.from = Math.min(guide.from, other[across]);
      guide.to = Math.max(guide.to, other[across] + other[height]);
      found.set(line, guide);
    }
  }
  return [...found.values()];
}
