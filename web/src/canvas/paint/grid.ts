/**
 * The dotted ground. One opaque tile is drawn when the spacing changes; a frame lays copies of it at whole pixels, which
 * is a plain copy of memory: a pattern that is stretched to broken pixels costs ten times as much without a GPU.
 */

import type { Camera, Size } from "../camera";

export const GRID = 20;
/** Dots are never nearer to each other than this, in pixels. */
const NEAREST = 14;
/** A tile is at least so large, in device pixels. */
const TILE = 320;

interface Tile {
  key: string;
  image: OffscreenCanvas;
  /** How many dots it has along a side. */
  dots: number;
}

let kept: Tile | null = null;

/** Fill everything; the transform is left as one device pixel a unit. */
export function paintGrid(
  ctx: CanvasRenderingContext2D,
  camera: Camera,
  size: Size,
  dpr: number,
  ground: string,
  dot: string,
): void {
  let spacing = GRID * camera.zoom;
  while (spacing < NEAREST) spacing *= 4;
  spacing *= dpr;
  const key = `${spacing} ${dpr} ${ground} ${dot}`;
  if (kept?.key !== key) kept = { key, ...makeTile(spacing, dpr, ground, dot) };
  const { image, dots } = kept;
  const side = spacing * dots;
  const [width, height] = [size.width * dpr, size.height * dpr];
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  const first = (at: number) => ((((at * dpr - spacing / 2) % side) + side) % side) - side;
  for (let x = first(camera.x); x < width; x += side) {
    for (let y = first(camera.y); y < height; y += side) ctx.drawImage(image, Math.round(x), Math.round(y));
  }
}

function makeTile(spacing: number, dpr: number, ground: string, dot: string): Omit<Tile, "key"> {
  const dots = Math.max(1, Math.ceil(TILE / spacing));
  // One pixel more than it covers: neighbours laid at rounded places leave no gap.
  const side = Math.ceil(spacing * dots) + 1;
  const image = new OffscreenCanvas(side, side);
  const ctx = image.getContext("2d", { alpha: false });
  if (!ctx) return { image, dots };
  ctx.fillStyle = ground;
  ctx.fillRect(0, 0, side, side);
  ctx.fillStyle = dot;
  ctx.beginPath();
  for (let i = 0; i < dots; i++) {
    for (let j = 0; j < dots; j++) {
      const [x, y] = [(i + 0.5) * spacing, (j + 0.5) * spacing];
      ctx.moveTo(x + 0.9 * dpr, y);
      ctx.arc(x, y, 0.9 * dpr, 0, 2 * Math.PI);
    }
  }
  ctx.fill();
  return { image, dots };
}
