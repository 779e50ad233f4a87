/**
 * The canvas by keyboard. Arrow keys go along wires, else to what is nearest in that direction; Enter goes into a node,
 * Escape comes out; Enter at a socket begins a wire, up and down go through the ends that fit. Everything else is the
 * shell's, by its command table.
 */

import type { KeyboardEvent, MouseEvent } from "react";
import { disconnect, moveItems } from "../core/commands";
import { own } from "../core/document";
import { GRID } from "../core/snap";
import type { Point } from "../core/types";
import { t } from "../ui/text";
import { newGesture } from "../widgets";
import { FAR } from "./camera";
import { canEnd } from "./fitting";
import { cancelWire, join, pressSocket, socketOf } from "./gestures/connect";
import { edit } from "./gestures/double_click";
import { dragged } from "./gestures/drag";
import { isField } from "./gestures/driver";
import { enter } from "./gestures/enter";
import { neighbour } from "./neighbour";
import type { SceneSocket } from "./scene_types";
import type { Stage } from "./stage";
import { withKeyboard } from "./window";
import { readable } from "./words";

const ARROWS: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function pressedKey(stage: Stage, event: KeyboardEvent): void {
  if (event.defaultPrevented) return;
  const target = event.target as Element;
  const step = target.closest<HTMLElement>("[data-step]");
  const done = stage.ui.getState().pending ? wireKey(stage, event) : ownKey(stage, event, target, step);
  if (!done) return;
  event.preventDefault();
  event.stopPropagation();
  event.nativeEvent.stopPropagation();
}

/** A button pressed by keyboard says so: a click without a pointer. */
export function keyClicked(stage: Stage, event: MouseEvent): void {
  if (event.detail !== 0) return;
  const target = event.target as Element;
  const socket = socketOf(stage, target);
  const { pending } = stage.ui.getState();
  if (socket && pending && canEnd(stage, pending, socket)) {
    stage.ui.setState({ pending: null });
    join(stage, pending, socket);
  } else if (socket) pressSocket(stage, socket);
  else if (target.closest("[data-enter]")) {
    const step = target.closest<HTMLElement>("[data-step]")?.dataset.step;
    if (step !== undefined) enter(stage, step);
  }
}

function ownKey(stage: Stage, event: KeyboardEvent, target: Element, step: HTMLElement | null): boolean {
  const inside = step !== null && target !== step;
  if (event.key === "Escape") return leave(stage, inside ? step : null);
  if (isField(target) || inside) return false;
  if (event.key === "Tab") return tab(stage, event, step !== null);
  const arrow = ARROWS[event.key];
  if (arrow && !event.ctrlKey && !event.metaKey && !event.altKey) {
    return event.shiftKey ? nudge(stage, arrow) : go(stage, arrow);
  }
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.shiftKey) return into(stage, step);
  if (event.key === "F2") return rename(stage);
  if (event.key === "Delete" || event.key === "Backspace") return cutLinks(stage);
  return false;
}

function leave(stage: Stage, step: HTMLElement | null): boolean {
  if (step) {
    step.focus({ preventScroll: true });
    return true;
  }
  const { selectedLinks } = stage.ui.getState();
  if (stage.selection.size === 0 && selectedLinks.size === 0) return false;
  stage.select([]);
  return true;
}

/** Out of the canvas: between its ends there are more stops than anybody wants to pass. */
function tab(stage: Stage, event: KeyboardEvent, onStep: boolean): boolean {
  if (event.shiftKey) {
    if (onStep) stage.container?.focus({ preventScroll: true });
    return onStep;
  }
  stage.container?.querySelector<HTMLElement>("[data-edge]")?.focus({ preventScroll: true });
  return false; // the browser goes on from there
}

function go(stage: Stage, [dx, dy]: Point): boolean {
  const { focused } = stage.ui.getState();
  const from = [withKeyboard(), firstSelected(stage), focused].find((id) => id !== null && stage.scene.nodes.has(id));
  const next = neighbour(stage.scene, from ?? null, dx, dy, stage.handle.center());
  if (next === null) return true;
  goTo(stage, next);
  return true;
}

function firstSelected(stage: Stage): string | null {
  return [...stage.selection].find((id) => stage.scene.nodes.has(id)) ?? null;
}

/** Choose a node and give it the keyboard, moving the camera no more than is needed. */
export function goTo(stage: Stage, id: string): void {
  const node = stage.scene.nodes.get(id);
  if (!node) return;
  stage.select([id]);
  stage.ui.setState({ focused: id });
  stage.reveal(stage.scene.rect(node));
  if (stage.camera.zoom >= FAR) stage.focusElement(id);
  else {
    stage.container?.focus({ preventScroll: true });
    stage.say(node.title);
  }
}

function into(stage: Stage, step: HTMLElement | null): boolean {
  const id = step?.dataset.step ?? stage.ui.getState().focused ?? firstSelected(stage);
  if (id === null || id === undefined) return go(stage, [1, 0]);
  if (!step) {
    stage.handle.focusStep(id);
    return true;
  }
  const inner = (selector: string) => step.querySelector<HTMLElement>(selector);
  const control = inner("[data-field] :is(input, textarea, select, button)") ?? inner(".ll-socket") ?? inner("button");
  control?.focus({ preventScroll: true });
  if (control instanceof HTMLInputElement) control.select();
  return true;
}

function rename(stage: Stage): boolean {
  const [id, ...more] = stage.selection;
  if (id === undefined || more.length > 0) return false;
  edit(stage, id);
  return true;
}

function cutLinks(stage: Stage): boolean {
  const { selectedLinks } = stage.ui.getState();
  const links = [...selectedLinks].flatMap((id) => stage.scene.links.get(id)?.link ?? []);
  if (links.length === 0) return false;
  stage.run(disconnect(stage.path, links));
  stage.select(stage.selection, []);
  return stage.selection.size === 0;
}

let nudging = "";
let nudged: ReadonlySet<string> | null = null;

/** Move what is chosen by one square; holding the key is one step back. */
function nudge(stage: Stage, [dx, dy]: Point): boolean {
  const { selection, scene } = stage;
  if (selection.size === 0) return false;
  if (nudged !== selection) {
    nudged = selection;
    nudging = newGesture("nudge");
  }
  const to = {
    steps: {} as Record<string, Point>,
    groups: {} as Record<string, Point>,
    notes: {} as Record<string, Point>,
  };
  for (const id of dragged(stage, false)) {
    const rect = scene.rectOf(id);
    if (!rect) continue;
    const kind = own(scene.board.steps, id) ? "steps" : own(scene.board.groups, id) ? "groups" : "notes";
    to[kind][id] = [rect.x + dx * GRID, rect.y + dy * GRID];
  }
  stage.run(moveItems(stage.path, to), nudging);
  return true;
}

// ── a wire by keyboard ──

function wireKey(stage: Stage, event: KeyboardEvent): boolean {
  const { pending } = stage.ui.getState();
  if (!pending) return false;
  if (event.key === "Escape") {
    cancelWire(stage);
    stage.say(t("wire.none"));
    return true;
  }
  if (event.key === "Enter" && pending.target) {
    stage.ui.setState({ pending: null });
    join(stage, pending, pending.target);
    stage.focusElement(pending.from.step);
    return true;
  }
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (by === undefined) return false;
  const ends = endsByDistance(stage);
  if (ends.length === 0) {
    stage.say(t("wire.nothing-fits"));
    return true;
  }
  const at = ends.findIndex((one) => pending.target && sameEnd(one, pending.target));
  const next = ends[(at < 0 ? (by > 0 ? 0 : ends.length - 1) : at + by + ends.length) % ends.length]!;
  stage.ui.setState({ pending: { ...pending, target: next, at: stage.scene.socketPoint(next), why: null } });
  const node = stage.scene.nodes.get(next.step);
  if (node) stage.reveal(stage.scene.rect(node));
  stage.say(t("wire.end", { name: readable(next.name), node: node?.title ?? next.step }));
  return true;
}

/** The ends that fit, nearest first. */
function endsByDistance(stage: Stage): SceneSocket[] {
  const { pending } = stage.ui.getState();
  if (!pending) return [];
  const [x, y] = stage.scene.socketPoint(pending.from);
  const found: { socket: SceneSocket; away: number }[] = [];
  for (const node of stage.scene.nodes.values()) {
    for (const socket of [...node.sockets, ...node.unused]) {
      if (socket.side === pending.from.side || !canEnd(stage, pending, socket)) continue;
      const [sx, sy] = stage.scene.socketPoint(socket);
      found.push({ socket, away: Math.hypot(sx - x, sy - y) });
    }
  }
  return found.sort((a, b) => a.away - b.away).map((one) => one.socket);
}

const sameEnd = (a: SceneSocket, b: SceneSocket) =>
  a.step === b.step && a.name === b.name && a.index === b.index && a.side === b.side;
