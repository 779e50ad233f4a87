/** Frames behind nodes: a tinted ground, a line, and a title that stays readable from afar. */

import type { Group, Rect } from "../../core/types";
import { type Paints, safeColor, textScale, withAlpha } from "./palette";

export const GROUP_HEAD = 32;
/** From its left edge. */
export const FOLD_WIDTH = 30;
const LOCK_WIDTH = 32;

export function paintGroup(
  ctx: CanvasRenderingContext2D,
  group: Group,
  rect: Rect,
  zoom: number,
  paints: Paints,
  chosen: boolean,
): void {
  const color = safeColor(group.color, paints.group);
  ctx.beginPath();
  ctx.roundRect(rect.x, rect.y, rect.width, rect.height, 10);
  ctx.fillStyle = withAlpha(color, group.collapsed ? 0.3 : 0.1);
  ctx.fill();
  ctx.lineWidth = (chosen ? 2 : 1.25) / Math.min(1, zoom);
  ctx.strokeStyle = chosen ? paints.accent : withAlpha(color, 0.55);
  ctx.stroke();
  const scale = textScale(paints);
  const size = Math.round(scale * Math.max(14, Math.min(11 / zoom, (rect.height * 0.5) / scale, 160)));
  ctx.font = `600 ${size}px ${paints.font}`;
  ctx.fillStyle = paints.text;
  ctx.textBaseline = "middle";
  const inset = zoom > 0.3 ? FOLD_WIDTH : 14;
  if (zoom > 0.3) chevron(ctx, rect, group.collapsed, paints.textQuiet);
  const held = group.locked && zoom > 0.3;
  const title = fitText(ctx, group.title, rect.width - inset - (held ? LOCK_WIDTH : 14), size);
  ctx.fillStyle = paints.text;
  ctx.fillText(title, rect.x + inset, rect.y + Math.max(GROUP_HEAD, size * 1.5) / 2);
  if (held) padlock(ctx, rect, paints.textQuiet);
  else if (rect.width > 60 && zoom > 0.3 && !group.collapsed) corner(ctx, rect, withAlpha(color, 0.8));
}

/** Where it is folded: pressed, its content is hidden or shown. */
function chevron(ctx: CanvasRenderingContext2D, rect: Rect, folded: boolean, color: string): void {
  const [x, y] = [rect.x + 17, rect.y + GROUP_HEAD / 2];
  ctx.beginPath();
  if (folded) {
    ctx.moveTo(x - 2.5, y - 5);
    ctx.lineTo(x + 2.5, y);
    ctx.lineTo(x - 2.5, y + 5);
  } else {
    ctx.moveTo(x - 5, y - 2.5);
    ctx.lineTo(x, y + 2.5);
    ctx.lineTo(x + 5, y - 2.5);
  }
  ctx.lineWidth = 1.75;
  ctx.strokeStyle = color;
  ctx.stroke();
}

/** At the end of the bar of a frame that stays where it is. */
function padlock(ctx: CanvasRenderingContext2D, rect: Rect, color: string): void {
  const [x, y] = [rect.x + rect.width - 17, rect.y + GROUP_HEAD / 2];
  ctx.beginPath();
  ctx.roundRect(x - 5, y - 1, 10, 7, 1.5);
  ctx.moveTo(x - 3, y - 1);
  ctx.lineTo(x - 3, y - 3);
  ctx.arc(x, y - 3, 3, Math.PI, 0);
  ctx.lineTo(x + 3, y - 1);
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = color;
  ctx.stroke();
}

/** Where it is resized. */
function corner(ctx: CanvasRenderingContext2D, rect: Rect, color: string): void {
  const x = rect.x + rect.width - 5;
  const y = rect.y + rect.height - 5;
  ctx.beginPath();
  ctx.moveTo(x - 9, y);
  ctx.lineTo(x, y - 9);
  ctx.moveTo(x - 4, y);
  ctx.lineTo(x, y - 4);
  ctx.lineWidth = 1.25;
  ctx.strokeStyle = color;
  ctx.stroke();
}

const fitted = new Map<string, string>();

/** `text` as far as it fits into `width` at the font that is set, whose size is told; kept, as measuring is dear. */
export function fitText(ctx: CanvasRenderingContext2D, text: string, width: number, size: number): string {
  const key = `${size} ${Math.round(width)} ${text}`;
  let made = fitted.get(key);
  if (made !== undefined) return made;
  made = text;
  if (ctx.measureText(text).width > width) {
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (ctx.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
      else high = middle - 1;
    }
    made = low > 0 ? `${text.slice(0, low)}…` : "";
  }
  if (fitted.size > 5000) fitted.clear();
  fitted.set(key, made);
  return made;
}
