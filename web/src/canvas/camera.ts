/** Where one looks: canvas units × zoom + (x, y) = pixels from the canvas' upper left corner. */

import type { Point, Rect } from "../core/types";

export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export const MIN_ZOOM = 0.05;
export const MAX_ZOOM = 4;
/** Below this nodes are painted boxes, above it they are elements of the page. */
export const FAR = 0.45;

export const clampZoom = (zoom: number): number => Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));

export const toCanvas = (camera: Camera, [x, y]: Point): Point => [
  (x - camera.x) / camera.zoom,
  (y - camera.y) / camera.zoom,
];

export const toScreen = (camera: Camera, [x, y]: Point): Point => [
  x * camera.zoom + camera.x,
  y * camera.zoom + camera.y,
];

/** The camera with another zoom, the canvas point under `anchor` (in pixels) staying where it is. */
export function zoomedAt(camera: Camera, anchor: Point, zoom: number): Camera {
  const next = clampZoom(zoom);
  const ratio = next / camera.zoom;
  return { x: anchor[0] - (anchor[0] - camera.x) * ratio, y: anchor[1] - (anchor[1] - camera.y) * ratio, zoom: next };
}

/** What a window of `size` shows, in canvas units, with `margin` pixels around it. */
export function seen(camera: Camera, size: Size, margin = 0): Rect {
  const [x, y] = toCanvas(camera, [-margin, -margin]);
  return { x, y, width: (size.width + 2 * margin) / camera.zoom, height: (size.height + 2 * margin) / camera.zoom };
}

/** The camera that shows all of `rect` in the middle, never nearer than `nearest`. */
export function fitted(rect: Rect, size: Size, padding = 48, nearest = 1): Camera {
  const wide = Math.max(1, size.width - 2 * padding) / Math.max(1, rect.width);
  const high = Math.max(1, size.height - 2 * padding) / Math.max(1, rect.height);
  const zoom = clampZoom(Math.min(wide, high, nearest));
  return {
    x: size.width / 2 - (rect.x + rect.width / 2) * zoom,
    y: size.height / 2 - (rect.y + rect.height / 2) * zoom,
    zoom,
  };
}

/** Between two cameras, `part` from 0 to 1; zoom changes by equal ratios. */
export function between(from: Camera, to: Camera, part: number): Camera {
  const zoom = from.zoom * (to.zoom / from.zoom) ** part;
  // The canvas point in the middle moves so that the picture grows or shrinks towards it.
  const along =
    Math.abs(to.zoom - from.zoom) < 1e-9 ? part : (1 / from.zoom - 1 / zoom) / (1 / from.zoom - 1 / to.zoom);
  const fx = -from.x / from.zoom;
  const fy = -from.y / from.zoom;
  return {
    x: -(fx + (-to.x / to.zoom - fx) * along) * zoom,
    y: -(fy + (-to.y / to.zoom - fy) * along) * zoom,
    zoom,
  };
}
