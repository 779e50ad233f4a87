/** One frame of the painted layer: ground, frames, wires, and the nodes that are no elements. */

import type { StepRun } from "../../app/stores";
import { HEADER } from "../../core/geometry";
import { FAR } from "../camera";
import type { Stage } from "../stage";
import { EDGE } from "../window";
import { paintBox } from "./boxes";
import { paintGrid } from "./grid";
import { paintGroup } from "./groups";
import { type LinkLook, paintBends, paintGhosts, paintLinks, paintStubs } from "./links";
import { Minimap } from "./minimap";
import { paintNote } from "./notes";
import { inked, onThemeChange, type Paints, readPaints, textScale } from "./palette";
import { Pictures } from "./pictures";

const NONE: ReadonlySet<string> = new Set();

export class Painter {
  readonly minimap: Minimap;
  readonly pictures: Pictures;
  private canvas: HTMLCanvasElement | null = null;
  private ctx: CanvasRenderingContext2D | null = null;
  paints: Paints | null = null;

  constructor(private readonly stage: Stage) {
    this.minimap = new Minimap(stage);
    this.pictures = new Pictures(() => stage.requestPaint());
  }

  /** Paint on this canvas. Returns what ends it. */
  attach(canvas: HTMLCanvasElement): () => void {
    this.canvas = canvas;
    this.ctx = canvas.getContext("2d", { alpha: false });
    const read = () => {
      this.paints = readPaints(canvas);
      this.minimap.changed();
      this.stage.requestPaint();
    };
    read();
    const end = onThemeChange(read);
    return () => {
      end();
      this.canvas = this.ctx = null;
    };
  }

  paint(): void {
    const { canvas, ctx, paints, stage } = this;
    if (!canvas || !ctx || !paints) return;
    const { camera, size, scene, counts } = stage;
    const dpr = window.devicePixelRatio || 1;
    fit(canvas, size, dpr);
    counts.paints += 1;
    paintGrid(ctx, camera, size, dpr, paints.canvas, paints.grid);
    ctx.setTransform(dpr * camera.zoom, 0, 0, dpr * camera.zoom, dpr * camera.x, dpr * camera.y);

    const seen = stage.seen(EDGE);
    const { selection } = stage;
    for (const group of scene.groups()) {
      paintGroup(ctx, group, scene.groupRect(group), camera.zoom, paints, selection.has(group.id));
    }
    const look = this.linkLook(paints);
    const all = scene.linksIn(seen);
    const links = all.filter((link) => stage.shows(link));
    if (links.length < all.length) {
      const hidden = all.filter((link) => !links.includes(link));
      paintStubs(ctx, hidden, look, { font: paints.font, text: paints.textQuiet, scale: textScale(paints) });
    }
    counts.linksDrawn = paintLinks(ctx, links, look);
    paintGhosts(ctx, scene.ghosts, camera.zoom, look.ink);
    paintBends(ctx, links, look);
    for (const note of scene.notesIn(seen)) {
      if (stage.window.committed.has(note.id)) continue;
      paintNote(ctx, note, scene.noteRect(note), camera.zoom, paints, selection.has(note.id));
    }
    this.boxes(ctx, paints);
    this.minimap.paint(paints, dpr);
  }

  private boxes(ctx: CanvasRenderingContext2D, paints: Paints): void {
    const { camera, scene, stores, window, ui, counts, selection, shownProblems } = this.stage;
    const { steps } = stores.run.getState();
    const quiet = ui.getState().pending !== null;
    counts.boxesDrawn = 0;
    for (const node of scene.nodesIn(this.stage.seen(EDGE))) {
      if (window.committed.has(node.id)) continue;
      counts.boxesDrawn += 1;
      const run = steps[this.stage.runKey(node.id)];
      paintBox(ctx, node, scene.rect(node), {
        zoom: camera.zoom,
        paints,
        selected: selection.has(node.id),
        dimmed: quiet && camera.zoom < FAR,
        run,
        wrong: shownProblems.getState().byStep.has(node.id),
        picture: this.pictures.get(this.picture(run)),
        head: HEADER,
      });
    }
  }

  /** The address of what a step shows: its preview, else the picture it has written. */
  private picture(run: StepRun | undefined): string {
    if (!run || run.preview) return run?.preview ?? "";
    const file = run.files.find((one) => one.media.startsWith("image/"));
    return file ? this.stage.thumbnailUrl(file.id, 256) : "";
  }

  private linkLook(paints: Paints): LinkLook {
    const { selectedLinks, hoveredLink, insertLink, knife, pending } = this.stage.ui.getState();
    return {
      zoom: this.stage.camera.zoom,
      selected: insertLink ? new Set([...selectedLinks, insertLink]) : selectedLinks,
      hovered: hoveredLink,
      cut: knife?.cut ?? NONE,
      quiet: pending !== null,
      style: this.stage.scene.style,
      canvas: paints.canvas,
      accent: paints.accent,
      ink: (color) => inked(color, paints),
    };
  }
}

function fit(canvas: HTMLCanvasElement, size: { width: number; height: number }, dpr: number): void {
  const width = Math.round(size.width * dpr);
  const height = Math.round(size.height * dpr);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
