/**
 * The whole board on a small canvas of its own. Boxes are painted anew only when the board has changed; a pan moves one
 * rectangle over them, which costs the same for any number of nodes.
 */

import { around, groupRect } from "../../core/geometry";
import type { Point, Rect } from "../../core/types";
import type { Stage } from "../stage";
import { type Paints, safeColor, withAlpha } from "./palette";

export const MAP: { width: number; height: number } = { width: 200, height: 132 };
const MARGIN = 8;

export class Minimap {
  private canvas: HTMLCanvasElement | null = null;
  private frame: HTMLElement | null = null;
  private drawn = "";
  private stale = true;
  private rect: Rect = { x: 0, y: 0, width: 1, height: 1 };
  private scale = 1;
  /** How often the boxes were painted, for tests. */
  paints = 0;

  constructor(private readonly stage: Stage) {}

  attach(canvas: HTMLCanvasElement, frame: HTMLElement): () => void {
    this.canvas = canvas;
    this.frame = frame;
    this.changed();
    this.stage.requestPaint();
    return () => {
      this.canvas = this.frame = null;
    };
  }

  changed(): void {
    this.stale = true;
  }

  paint(paints: Paints, dpr: number): void {
    const { canvas, frame, stage } = this;
    if (!canvas || !frame) return;
    const key = `${stage.changes.getState().scene} ${dpr}`;
    if (this.stale || key !== this.drawn) {
      this.drawn = key;
      this.stale = false;
      this.boxes(canvas, paints, dpr);
    }
    const seen = stage.seen();
    const [x, y] = this.toMap([seen.x, seen.y]);
    frame.style.transform = `translate(${x}px, ${y}px)`;
    frame.style.width = `${seen.width * this.scale}px`;
    frame.style.height = `${seen.height * this.scale}px`;
  }

  /** Pixels from the map's corner → canvas units. */
  toCanvas([x, y]: Point): Point {
    return [(x - MARGIN) / this.scale + this.rect.x, (y - MARGIN) / this.scale + this.rect.y];
  }

  private toMap([x, y]: Point): Point {
    return [(x - this.rect.x) * this.scale + MARGIN, (y - this.rect.y) * this.scale + MARGIN];
  }

  private boxes(canvas: HTMLCanvasElement, paints: Paints, dpr: number): void {
    const ctx = canvas.getContext("2d");
    if (!ctx) return;
    this.paints += 1;
    const { scene } = this.stage;
    const nodes = [...scene.nodes.values()];
    const groups = scene.groups();
    const rects = [...nodes.map((node) => node.rect), ...groups.map((group) => groupRect(group))];
    const all = around(rects) ?? { x: -500, y: -330, width: 1000, height: 660 };
    const width = MAP.width - 2 * MARGIN;
    const height = MAP.height - 2 * MARGIN;
    this.scale = Math.min(width / Math.max(all.width, 1), height / Math.max(all.height, 1), 0.15);
    // What is smaller than the map lies in its middle.
    this.rect = {
      x: all.x - (width / this.scale - all.width) / 2,
      y: all.y - (height / this.scale - all.height) / 2,
      width: width / this.scale,
      height: height / this.scale,
    };
    canvas.width = Math.round(MAP.width * dpr);
    canvas.height = Math.round(MAP.height * dpr);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    for (const group of groups) {
      const rect = groupRect(group);
      const [x, y] = this.toMap([rect.x, rect.y]);
      ctx.fillStyle = withAlpha(safeColor(group.color, paints.group), 0.25);
      ctx.fillRect(x, y, rect.width * this.scale, Math.max(1.5, rect.height * this.scale));
    }
    for (const node of nodes) {
      const [x, y] = this.toMap([node.rect.x, node.rect.y]);
      ctx.fillStyle = withAlpha(safeColor(node.color, paints.textQuiet), 0.75);
      ctx.fillRect(x, y, Math.max(1.5, node.rect.width * this.scale), Math.max(1.5, node.rect.height * this.scale));
    }
  }
}
