/** Moving the camera over some frames: fit, zoom steps, going to a node. At once for people who want less motion. */

import { around } from "../core/geometry";
import type { Rect } from "../core/types";
import { wantsLessMotion } from "../ui/motion";
import { between, type Camera, fitted } from "./camera";
import type { Stage } from "./stage";

const MILLISECONDS = 220;

export class Flight {
  private frame = 0;

  constructor(private readonly stage: Stage) {}

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  to(target: Camera, animate = true): void {
    this.stop();
    if (!animate || document.hidden || wantsLessMotion()) {
      this.stage.applyCamera(target);
      return;
    }
    const from = this.stage.camera;
    const began = performance.now();
    const tick = (now: number) => {
      const part = Math.min(1, Math.max(0, (now - began) / MILLISECONDS));
      this.stage.applyCamera(part < 1 ? between(from, target, 1 - (1 - part) ** 3) : target);
      this.frame = part < 1 ? requestAnimationFrame(tick) : 0;
    };
    this.frame = requestAnimationFrame(tick);
  }

  /** Show these things, or everything. */
  fit(ids: Iterable<string> | undefined, animate: boolean): void {
    const rects = ids ? [...ids].flatMap((id) => this.stage.scene.rectOf(id) ?? []) : this.everything();
    const rect = around(rects);
    if (rect) this.to(fitted(rect, this.stage.size), animate);
    else this.to({ x: this.stage.size.width / 2, y: this.stage.size.height / 2, zoom: 1 }, animate);
  }

  /** Bring a step into view, readable, and give it the keyboard. */
  focus(step: string, field?: string): void {
    const { stage } = this;
    const node = stage.scene.nodes.get(step);
    if (!node) return;
    stage.select([step]);
    stage.ui.setState({ focused: step });
    if (!this.isReadable(stage.scene.rect(node))) {
      const near = fitted(stage.scene.rect(node), stage.size, 80, 1);
      const zoom = stage.camera.zoom >= 0.6 ? Math.min(stage.camera.zoom, near.zoom) : Math.min(1, near.zoom);
      const { x, y, width, height } = stage.scene.rect(node);
      this.to({
        x: stage.size.width / 2 - (x + width / 2) * zoom,
        y: stage.size.height / 2 - (y + height / 2) * zoom,
        zoom,
      });
    }
    focusWhenThere(stage, step, field);
  }

  /** As far as is needed to see `rect`, at the same zoom; its upper left part if it is larger than the canvas. */
  reveal(rect: Rect): void {
    const { camera, size } = this.stage;
    const margin = 24;
    const along = (at: number, length: number, offset: number, room: number): number => {
      const low = at * camera.zoom + offset;
      const high = low + length * camera.zoom;
      if (low >= margin && high <= room - margin) return offset;
      const back = Math.min(0, room - margin - high);
      return low + back < margin ? offset + margin - low : offset + back;
    };
    const x = along(rect.x, rect.width, camera.x, size.width);
    const y = along(rect.y, rect.height, camera.y, size.height);
    if (x !== camera.x || y !== camera.y) this.to({ x, y, zoom: camera.zoom });
  }

  private isReadable(rect: Rect): boolean {
    const seen = this.stage.seen(-8);
    const within = rect.x >= seen.x && rect.y >= seen.y && rect.x + rect.width <= seen.x + seen.width;
    return within && rect.y + rect.height <= seen.y + seen.height && this.stage.camera.zoom >= 0.6;
  }

  private everything(): Rect[] {
    const { scene } = this.stage;
    return [
      ...[...scene.nodes.values()].map((node) => scene.rect(node)),
      ...scene.groups().map((group) => scene.groupRect(group)),
      ...scene.notes().map((note) => scene.noteRect(note)),
    ];
  }
}

/** A node far away is mounted only after the camera has come near: wait for its element, some frames at most. */
export function focusWhenThere(stage: Stage, step: string, field: string | undefined, frames = 60): void {
  const root = stage.container?.querySelector<HTMLElement>(`[data-step="${CSS.escape(step)}"]`);
  const wanted =
    root && field
      ? root.querySelector<HTMLElement>(`[data-field="${CSS.escape(field)}"] :is(input, textarea, select, button)`)
      : root;
  if (wanted) wanted.focus({ preventScroll: true });
  else if (root && frames < 30) root.focus({ preventScroll: true });
  else if (frames > 0) {
    stage.requestPaint();
    requestAnimationFrame(() => focusWhenThere(stage, step, field, frames - 1));
  }
}
