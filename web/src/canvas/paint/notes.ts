/** Notes as they are seen from afar: a tinted sheet with its first words. */

import type { Note, Rect } from "../../core/types";
import { fitText } from "./groups";
import { type Paints, safeColor, textScale, withAlpha } from "./palette";

export function paintNote(
  ctx: CanvasRenderingContext2D,
  note: Note,
  rect: Rect,
  zoom: number,
  paints: Paints,
  chosen: boolean,
): void {
  ctx.beginPath();
  ctx.rect(rect.x, rect.y, rect.width, rect.height);
  ctx.fillStyle = withAlpha(safeColor(note.color, paints.note), 0.35);
  ctx.fill();
  if (chosen) {
    ctx.lineWidth = 2 / zoom;
    ctx.strokeStyle = paints.accent;
    ctx.stroke();
  }
  const scale = textScale(paints);
  const size = Math.round(Math.min((10.5 / zoom) * scale, rect.height * 0.4, 40 * scale));
  if (size * zoom < 6) return;
  ctx.font = `500 ${size}px ${paints.font}`;
  ctx.fillStyle = paints.text;
  ctx.textBaseline = "top";
  const first =
    note.text
      .replace(/[#*_`>]/g, "")
      .trim()
      .split("\n")[0] ?? "";
  ctx.fillText(fitText(ctx, first, rect.width - 20, size), rect.x + 10, rect.y + 10);
}
