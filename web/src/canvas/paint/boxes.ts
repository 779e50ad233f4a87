/** Nodes as they are seen from afar, and for the moment before their elements are there. */

import type { StepRun } from "../../app/stores";
import { mixed } from "../../core/color";
import type { Rect } from "../../core/types";
import { FAR } from "../camera";
import type { SceneNode } from "../scene_types";
import { fitText } from "./groups";
import { inked, type Paints, safeColor, textScale, withAlpha } from "./palette";
import { traceSocket } from "./shapes";

export interface BoxLook {
  zoom: number;
  paints: Paints;
  selected: boolean;
  dimmed: boolean;
  run: StepRun | undefined;
  /** Something is wrong with it. */
  wrong: boolean;
  /** A picture to show at its foot, if it is there already. */
  picture: CanvasImageSource | null;
  head: number;
}

/** Titles are not drawn when they would be smaller than this on the screen. */
const LEAST_TITLE = 6;

/** Smaller than this a box is one filled rectangle: at a thousand of them each further call is felt. */
const PLAIN = 0.2;

export function paintBox(ctx: CanvasRenderingContext2D, node: SceneNode, rect: Rect, look: BoxLook): void {
  const { paints, zoom } = look;
  if (isPlain(node, look)) {
    ctx.fillStyle = mixed(safeColor(node.step.color, node.color), paints.node, 0.45);
    ctx.fillRect(rect.x, rect.y, rect.width, rect.height);
    const size = titleSize(rect, zoom, textScale(paints));
    if (size * zoom >= LEAST_TITLE) title(ctx, node, rect, size, rect.height, look);
    return;
  }
  const radius = zoom < 0.15 ? 0 : 8;
  const tint = node.shape.known ? safeColor(node.step.color, node.color) : paints.unknown;
  const off = node.step.mode !== "on";
  ctx.globalAlpha = look.dimmed ? 0.35 : off ? 0.5 : 1;
  ctx.fillStyle = paints.node;
  shape(ctx, rect, radius);
  ctx.fill();
  // The head's tint fills the whole box when it is too small to have parts.
  const size = titleSize(rect, zoom, textScale(paints));
  const head = zoom < PLAIN ? rect.height : Math.min(Math.max(look.head, size * 1.6), rect.height);
  ctx.fillStyle = withAlpha(tint, zoom < PLAIN ? 0.45 : 0.28);
  ctx.fillRect(rect.x, rect.y, rect.width, head);
  if (look.picture && rect.height > look.head + 40) picture(ctx, look.picture, rect, head);
  if (size * zoom >= LEAST_TITLE) title(ctx, node, rect, size, head, look);
  if (zoom >= 0.3) sockets(ctx, node, rect, zoom, paints);
  state(ctx, rect, look, radius);
  ctx.globalAlpha = 1;
}

function isPlain(node: SceneNode, { zoom, selected, wrong, dimmed, picture, run }: BoxLook): boolean {
  if (zoom >= PLAIN || selected || wrong || dimmed || picture) return false;
  return run?.state !== "running" && run?.state !== "failed" && node.step.mode === "on" && node.shape.known;
}

function shape(ctx: CanvasRenderingContext2D, rect: Rect, radius: number): void {
  ctx.beginPath();
  if (radius === 0) ctx.rect(rect.x, rect.y, rect.width, rect.height);
  else ctx.roundRect(rect.x, rect.y, rect.width, rect.height, radius);
}

/** In the element's head (node.css). */
const TITLE = 13;
/** Before it come the head's padding and its button. */
const TITLE_INSET = 32;

/**
 * A title's size in canvas units. Near, it is the element's, which will be there in a moment; from afar it is as large as
 * is readable, growing against the zoom until the box is full.
 */
export function titleSize(rect: Rect, zoom: number, scale: number): number {
  if (zoom >= FAR) return TITLE * scale;
  return Math.round(Math.min(Math.max(TITLE, 9.5 / zoom) * scale, rect.height * 0.4, 44 * scale));
}

function title(
  ctx: CanvasRenderingContext2D,
  node: SceneNode,
  rect: Rect,
  size: number,
  head: number,
  { zoom, paints }: BoxLook,
): void {
  ctx.font = `600 ${size}px ${paints.font}`;
  ctx.fillStyle = paints.text;
  ctx.textBaseline = "middle";
  const inset = zoom >= FAR ? TITLE_INSET : Math.max(10, size * 0.5);
  ctx.fillText(
    fitText(ctx, node.title, rect.width - inset - Math.min(inset, 14), size),
    rect.x + inset,
    rect.y + Math.min(head, rect.height) / 2,
  );
}

function sockets(ctx: CanvasRenderingContext2D, node: SceneNode, rect: Rect, zoom: number, paints: Paints): void {
  const r = zoom < 0.45 ? 6.5 : 5.5;
  for (const socket of node.sockets) {
    ctx.beginPath();
    traceSocket(ctx, socket.shape, rect.x + socket.x, rect.y + socket.y, r);
    ctx.fillStyle = inked(socket.color, paints);
    ctx.fill();
  }
}

function picture(ctx: CanvasRenderingContext2D, image: CanvasImageSource, rect: Rect, head: number): void {
  const { width, height } = image as { width: number; height: number };
  if (!(width > 0 && height > 0)) return;
  const room = { width: rect.width - 12, height: rect.height - head - 12 };
  const scale = Math.min(room.width / width, room.height / height);
  const w = width * scale;
  const h = height * scale;
  ctx.drawImage(image, rect.x + (rect.width - w) / 2, rect.y + rect.height - 6 - h, w, h);
}

function state(ctx: CanvasRenderingContext2D, rect: Rect, look: BoxLook, radius: number): void {
  const { paints, run, zoom } = look;
  const line = 1 / Math.min(1, zoom);
  const color = look.wrong ? paints.failed : stateColor(run, paints);
  const loud = look.wrong || run?.state === "running" || run?.state === "failed";
  shape(ctx, rect, radius);
  ctx.lineWidth = look.selected ? 2.5 * line : loud ? 2 * line : line;
  ctx.strokeStyle = look.selected ? paints.accent : loud && color ? color : paints.nodeLine;
  ctx.stroke();
  if (color && !loud && zoom >= PLAIN) {
    // What has gone well needs no more than a dot.
    const r = Math.max(4, 3 / zoom);
    ctx.beginPath();
    ctx.arc(rect.x + rect.width - 1.8 * r, rect.y + Math.max(look.head / 2, 2 * r), r, 0, 2 * Math.PI);
    ctx.fillStyle = color;
    ctx.fill();
  }
  if (run?.state === "running" && run.total > 0) {
    const height = Math.max(4, 3 / zoom);
    ctx.fillStyle = paints.running;
    ctx.fillRect(rect.x, rect.y + rect.height - height, rect.width * Math.min(1, run.done / run.total), height);
  }
}

export function stateColor(run: StepRun | undefined, paints: Paints): string | null {
  switch (run?.state) {
    case "running":
      return paints.running;
    case "failed":
      return paints.failed;
    case "done":
      return paints.done;
    case "reused":
      return paints.reused;
    default:
      return null;
  }
}
