/**
 * Turns the pointers on the canvas into gestures: one press at a time, two fingers pinch, a long press opens the menu,
 * near the edge the camera moves along, Escape calls off.
 */

import type { Point } from "../../core/types";
import { zoomedAt } from "../camera";
import type { Stage } from "../stage";
import { WheelReader } from "../wheel";
import { edgePan } from "./edge_pan";
import type { Gesture, Intent, Pointer } from "./gesture";
import { hover } from "./hover";
import { intentOf } from "./intent";
import { openMenu } from "./menu";
import { pan } from "./pan";

const SLACK = 4;
const TOUCH_SLACK = 9;
const LONG_PRESS = 550;

interface Press {
  id: number;
  from: Pointer;
  last: Pointer;
  target: Element;
  intent: Intent;
  timer: number;
}

export class GestureDriver {
  private press: Press | null = null;
  private gesture: Gesture | null = null;
  private readonly touches = new Map<number, Point>();
  private readonly wheel = new WheelReader();
  private panning = 0;

  constructor(
    private readonly stage: Stage,
    private readonly container: HTMLElement,
  ) {}

  attach(): () => void {
    const stop = new AbortController();
    const { signal } = stop;
    const { container } = this;
    container.addEventListener("pointerdown", (event) => this.down(event), { signal });
    window.addEventListener("pointermove", (event) => this.moved(event), { signal });
    window.addEventListener("pointerup", (event) => this.up(event), { signal });
    window.addEventListener("pointercancel", (event) => this.lost(event), { signal });
    container.addEventListener("wheel", (event) => this.wheeled(event), { signal, passive: false, capture: true });
    container.addEventListener("contextmenu", (event) => this.menu(event), { signal });
    window.addEventListener("keydown", (event) => this.key(event), { signal, capture: true });
    window.addEventListener("blur", () => this.cancel(), { signal });
    return () => {
      this.cancel();
      stop.abort();
    };
  }

  private down(event: PointerEvent): void {
    const target = event.target as Element;
    if (event.pointerType === "touch") this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.touches.size === 2) {
      this.cancel();
      return;
    }
    if (this.press || this.gesture) return;
    const from = this.pointer(event);
    const pans = event.button === 1;
    const intent = pans
      ? { drag: (at: Pointer) => pan(this.stage, at) }
      : event.button === 0
        ? intentOf(this.stage, target, from)
        : null;
    if (!intent) return;
    if (pans || !isField(target)) this.takeFocus(target, event);
    const timer = from.touch ? window.setTimeout(() => this.longPress(), LONG_PRESS) : 0;
    this.press = { id: event.pointerId, from, last: from, target, intent, timer };
  }

  /** A press on the canvas ends typing; it must not begin a selection of text. */
  private takeFocus(target: Element, event: PointerEvent): void {
    if (event.pointerType !== "touch") event.preventDefault();
    const step = target.closest<HTMLElement>("[data-step]");
    const wanted = step ?? this.container;
    if (!target.closest("button")) wanted.focus({ preventScroll: true });
  }

  private moved(event: PointerEvent): void {
    if (this.touches.has(event.pointerId) && this.touches.size === 2) {
      this.pinch(event);
      return;
    }
    const { press } = this;
    if (!press) {
      if (event.buttons === 0) hover(this.stage, event.target as Element, this.pointer(event));
      return;
    }
    if (event.pointerId !== press.id) return;
    const now = this.pointer(event);
    press.last = now;
    if (!this.gesture) {
      const far = Math.hypot(now.screen[0] - press.from.screen[0], now.screen[1] - press.from.screen[1]);
      if (far < (now.touch ? TOUCH_SLACK : SLACK)) return;
      clearTimeout(press.timer);
      this.gesture = press.intent.drag?.(press.from) ?? null;
      if (!this.gesture) {
        this.press = null;
        return;
      }
      this.container.setPointerCapture?.(press.id);
      if (this.gesture.cursor) this.container.style.cursor = this.gesture.cursor;
    }
    this.gesture.move(now);
    if (this.gesture?.pans) this.edge();
  }

  private up(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    const { press, gesture } = this;
    if (!press || event.pointerId !== press.id) return;
    const now = this.pointer(event);
    this.clear();
    if (gesture) gesture.end(now);
    else press.intent.click?.(now);
  }

  private lost(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    if (event.pointerId === this.press?.id) this.cancel();
  }

  private cancel(): void {
    const { gesture } = this;
    this.clear();
    gesture?.cancel();
  }

  private clear(): void {
    clearTimeout(this.press?.timer);
    cancelAnimationFrame(this.panning);
    this.panning = 0;
    this.press = null;
    this.gesture = null;
    this.container.style.cursor = "";
  }

  private pinch(event: PointerEvent): void {
    const before = [...this.touches.values()];
    this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    const after = [...this.touches.values()];
    const [a, b] = before.map((point) => this.stage.local(point)) as [Point, Point];
    const [c, d] = after.map((point) => this.stage.local(point)) as [Point, Point];
    const ratio = Math.hypot(c[0] - d[0], c[1] - d[1]) / Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const { camera } = this.stage;
    const dx = (c[0] + d[0] - a[0] - b[0]) / 2;
    const dy = (c[1] + d[1] - a[1] - b[1]) / 2;
    const moved = { ...camera, x: camera.x + dx, y: camera.y + dy };
    this.stage.moveCamera(zoomedAt(moved, [(c[0] + d[0]) / 2, (c[1] + d[1]) / 2], camera.zoom * ratio));
  }

  private longPress(): void {
    const { press } = this;
    if (!press || this.gesture) return;
    this.clear();
    openMenu(this.stage, press.target, press.last);
  }

  private menu(event: MouseEvent): void {
    const target = event.target as Element;
    if (isField(target) && target.matches("input:not([type=range]):not([type=checkbox]), textarea")) return;
    event.preventDefault();
    this.cancel();
    // The Menu key says no place: the middle of what has the keyboard is meant.
    const rect = target.getBoundingClientRect();
    const byKey = event.clientX === 0 && event.clientY === 0;
    const place: Point = byKey
      ? [rect.x + rect.width / 2, rect.y + Math.min(rect.height / 2, 40)]
      : [event.clientX, event.clientY];
    openMenu(this.stage, target, this.pointerAt(place));
  }

  private wheeled(event: WheelEvent): void {
    const intent = this.wheel.read(event, this.stage.stores.view.getState().wheel);
    if (!event.ctrlKey && !event.metaKey && scrolls(event.target as Element, event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (intent.does === "zoom") this.stage.zoomAt(this.stage.local([event.clientX, event.clientY]), intent.factor);
    else this.stage.panBy(intent.dx, intent.dy);
    if (this.press && this.gesture) this.gesture.move(this.pointerAt(this.press.last.screen, this.press.last));
  }

  private key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !(this.press || this.gesture)) return;
    event.preventDefault();
    event.stopPropagation();
    this.cancel();
  }

  /** While the pointer stays near the edge the camera goes on moving, and the gesture with it. */
  private edge(): void {
    if (this.panning) return;
    const tick = () => {
      this.panning = 0;
      const { press, gesture, stage } = this;
      if (!press || !gesture) return;
      const [dx, dy] = edgePan(press.last.local, stage.size);
      if (dx === 0 && dy === 0) return;
      stage.panBy(dx, dy);
      press.last = this.pointerAt(press.last.screen, press.last);
      gesture.move(press.last);
      this.panning = requestAnimationFrame(tick);
    };
    this.panning = requestAnimationFrame(tick);
  }

  private pointer(event: PointerEvent): Pointer {
    return this.pointerAt([event.clientX, event.clientY], {
      shift: event.shiftKey,
      alt: event.altKey,
      ctrl: event.ctrlKey || event.metaKey,
      touch: event.pointerType === "touch",
    });
  }

  private pointerAt(screen: Point, keys: Partial<Pointer> = {}): Pointer {
    const none = { shift: false, alt: false, ctrl: false, touch: false };
    return { ...none, ...keys, screen, local: this.stage.local(screen), at: this.stage.toCanvas(screen) };
  }
}

/** Whether an element takes text, presses or drags itself. */
export function isField(target: Element): boolean {
  return target.closest("input, textarea, select, [contenteditable], .ll-foreign") !== null;
}

/** Whether the wheel belongs to a box under it: one that has more than it shows. */
function scrolls(target: Element, event: WheelEvent): boolean {
  const box = target.closest<HTMLElement>("[data-scrolls]");
  if (!box) return false;
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  return sideways ? box.scrollWidth > box.clientWidth : box.scrollHeight > box.clientHeight + 1;
}
