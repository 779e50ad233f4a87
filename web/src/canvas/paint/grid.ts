/** The dotted ground. One tile is drawn when the spacing changes; a frame only fills with it. */

import type { Camera, Size } from "../camera";

export const GRID = 20;
/** Dots are never nearer to each other than this, in pixels. */
const NEAREST = 14;

let kept: { key: string; tile: HTMLCanvasElement | OffscreenCanvas } | null = null;

export function paintGrid(ctx: CanvasRenderingContext2D, camera: Camera, size: Size, dpr: number, color: string): void {
  let spacing = GRID * camera.zoom;
  while (spacing < NEAREST) spacing *= 4;
  const side = Math.max(1, Math.round(spacing * dpr));
  const key = `${side} ${dpr} ${color}`;
  if (kept?.key !== key) kept = { key, tile: makeTile(side, dpr, color) };
  const pattern = ctx.createPattern(kept.tile, "repeat");
  if (!pattern) return;
  ctx.save();
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  // A tile has a whole number of pixels; the stretch makes up for what that rounds off.
  const stretch = (spacing * dpr) / side;
  const offset = (at: number) => ((at * dpr) % (spacing * dpr)) - (spacing * dpr) / 2;
  pattern.setTransform(new DOMMatrix([stretch, 0, 0, stretch, offset(camera.x), offset(camera.y)]));
  ctx.fillStyle = pattern;
  ctx.fillRect(0, 0, size.width * dpr, size.height * dpr);
  ctx.restore();
}

function makeTile(side: number, dpr: number, color: string): OffscreenCanvas {
  const tile = new OffscreenCanvas(side, side);
  const ctx = tile.getContext("2d");
  if (ctx) {
    ctx.fillStyle = color;
    ctx.beginPath();
    ctx.arc(side / 2, side / 2, 0.9 * dpr, 0, 2 * Math.PI);
    ctx.fill();
  }
  return tile;
}
