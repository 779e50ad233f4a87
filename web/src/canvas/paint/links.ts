/** Wires, their bends, and the ghosts of what a bypass leads past. Canvas units; the caller has set the transform. */

import { bendOffset, type Curve, type LinkStyle } from "../../core/links";
import type { SceneGhost, SceneLink } from "../scene_types";
import { fitText } from "./groups";
import { withAlpha } from "./palette";

export interface LinkLook {
  zoom: number;
  selected: ReadonlySet<string>;
  hovered: string | null;
  /** A stroke has crossed these: they are nearly gone. */
  cut: ReadonlySet<string>;
  /** While a wire is drawn the others step back. */
  quiet: boolean;
  style: LinkStyle;
  canvas: string;
  accent: string;
  /** A wire's colour as it is drawn in this theme. */
  ink(color: string): string;
}

const WIDTH = 2.25;

/** Draws in as few strokes as there are colours, chosen ones last. Returns how many wires were drawn. */
export function paintLinks(ctx: CanvasRenderingContext2D, links: readonly SceneLink[], look: LinkLook): number {
  const width = Math.max(WIDTH, 1.1 / look.zoom);
  const usual = new Map<string, SceneLink[]>();
  const chosen: SceneLink[] = [];
  for (const link of links) {
    if (look.selected.has(link.id) || look.hovered === link.id) {
      chosen.push(link);
      continue;
    }
    const own = look.ink(link.color);
    const gone = look.cut.has(link.id);
    const color = gone ? withAlpha(own, 0.18) : link.idle || look.quiet ? withAlpha(own, 0.35) : own;
    const same = usual.get(color);
    if (same) same.push(link);
    else usual.set(color, [link]);
  }
  ctx.lineWidth = width;
  ctx.lineCap = "round";
  ctx.lineJoin = "round";
  const lines = look.style !== "spline";
  const straight = lines || look.zoom < 0.12;
  for (const [color, some] of usual) {
    ctx.beginPath();
    for (const link of some) trace(ctx, link.curve, straight);
    ctx.strokeStyle = color;
    ctx.stroke();
  }
  for (const link of chosen) {
    ctx.beginPath();
    trace(ctx, link.curve, lines);
    ctx.lineWidth = width + 3.5 / Math.min(1, look.zoom);
    ctx.strokeStyle = withAlpha(look.accent, look.selected.has(link.id) ? 0.9 : 0.35);
    ctx.stroke();
    ctx.lineWidth = width + 0.5;
    ctx.strokeStyle = look.ink(link.color);
    ctx.stroke();
  }
  return links.length;
}

const STUB = 16;

/** Hidden wires: a short end at each socket, and before the input the name of the node that it comes from. */
export function paintStubs(
  ctx: CanvasRenderingContext2D,
  links: readonly SceneLink[],
  look: LinkLook,
  { font, text, scale }: { font: string; text: string; scale: number },
): void {
  ctx.save();
  ctx.lineWidth = Math.max(WIDTH, 1.1 / look.zoom);
  ctx.lineCap = "round";
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  ctx.font = `${11 * scale}px ${font}`;
  for (const { curve, color, from } of links) {
    const [x, y] = [curve.at(-2)!, curve.at(-1)!];
    ctx.beginPath();
    ctx.moveTo(curve[0]!, curve[1]!);
    ctx.lineTo(curve[0]! + STUB, curve[1]!);
    ctx.moveTo(x, y);
    ctx.lineTo(x - STUB, y);
    ctx.strokeStyle = look.ink(color);
    ctx.stroke();
    if (look.zoom < 0.3) continue;
    ctx.fillStyle = text;
    ctx.fillText(fitText(ctx, from.title, 120 * scale, 11 * scale), x - STUB - 6, y);
  }
  ctx.restore();
}

/** The dots of bends: shown near, larger under the pointer. */
export function paintBends(ctx: CanvasRenderingContext2D, links: readonly SceneLink[], look: LinkLook): void {
  if (look.zoom < 0.3) return;
  for (const link of links) {
    if (link.bends.length === 0) continue;
    const loud = look.hovered === link.id || look.selected.has(link.id);
    for (let index = 0; index < link.bends.length; index += 1) {
      const at = bendOffset(link.curve, link.bends.length, index);
      const [x, y] = [link.curve[at]!, link.curve[at + 1]!];
      ctx.beginPath();
      ctx.arc(x, y, loud ? 6.5 : 5, 0, 2 * Math.PI);
      ctx.fillStyle = look.ink(link.color);
      ctx.fill();
      ctx.lineWidth = 2;
      ctx.strokeStyle = loud ? look.accent : look.canvas;
      ctx.stroke();
    }
  }
}

/** Dashed: what feeds an input in truth while what is between is bypassed. */
export function paintGhosts(
  ctx: CanvasRenderingContext2D,
  ghosts: readonly SceneGhost[],
  zoom: number,
  ink: LinkLook["ink"],
): void {
  if (ghosts.length === 0) return;
  ctx.save();
  ctx.setLineDash([8, 6]);
  ctx.lineWidth = Math.max(WIDTH, 1.1 / zoom);
  for (const ghost of ghosts) {
    ctx.beginPath();
    trace(ctx, ghost.curve, false);
    ctx.strokeStyle = ink(ghost.color);
    ctx.stroke();
  }
  ctx.restore();
}

function trace(ctx: CanvasRenderingContext2D, curve: Curve, straight: boolean): void {
  ctx.moveTo(curve[0]!, curve[1]!);
  for (let at = 2; at < curve.length; at += 6) {
    if (straight) ctx.lineTo(curve[at + 4]!, curve[at + 5]!);
    else ctx.bezierCurveTo(curve[at]!, curve[at + 1]!, curve[at + 2]!, curve[at + 3]!, curve[at + 4]!, curve[at + 5]!);
  }
}
