/** How near one looks at a picture: `zoom` 1 shows all of it; (x, y) is where its middle is, in pixels from the pane's. */
import type { Point } from "../../core/types";

export interface Look {
  zoom: number;
  x: number;
  y: number;
}

export interface Pane {
  width: number;
  height: number;
}

export const WHOLE: Look = { zoom: 1, x: 0, y: 0 };
/** The nearest: 64 times as large as the whole picture is shown. */
export const NEAREST = 64;

/** So many times nearer; what is at a point of the pane, from its middle, stays there. */
export function nearer(look: Look, factor: number, at: Point, pane: Pane): Look {
  const zoom = Math.max(1, Math.min(NEAREST, look.zoom * factor));
  const by = zoom / look.zoom;
  return kept({ zoom, x: at[0] - (at[0] - look.x) * by, y: at[1] - (at[1] - look.y) * by }, pane);
}

export const moved = (look: Look, by: Point, pane: Pane): Look =>
  kept({ ...look, x: look.x + by[0], y: look.y + by[1] }, pane);

/** The picture's pane never leaves the pane that it is seen in. */
function kept({ zoom, x, y }: Look, pane: Pane): Look {
  const most = (length: number) => ((zoom - 1) * length) / 2;
  const within = (value: number, far: number) => Math.max(-far, Math.min(far, value)) || 0;
  return { zoom, x: within(x, most(pane.width)), y: within(y, most(pane.height)) };
}
