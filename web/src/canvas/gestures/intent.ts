/** What a press on the canvas could become, by what is under it and which keys are held. */

import { removeReroute, setGroupCollapsed } from "../../core/commands";
import { hitTest } from "../hit";
import type { Stage } from "../stage";
import { moveBend } from "./bend";
import { boxSelect } from "./box_select";
import { drawWire, endWire, pressSocket, socketOf } from "./connect";
import { drag, isLocked } from "./drag";
import { isField } from "./driver";
import { enter } from "./enter";
import type { Intent, Pointer } from "./gesture";
import { knife } from "./knife";
import { lasso } from "./lasso";
import { pan } from "./pan";
import { resizeGroup, resizeNode, resizeNote } from "./resize";

export function intentOf(stage: Stage, target: Element, pointer: Pointer): Intent | null {
  if (target.closest("[data-over]") || isField(target)) return null;
  const step = target.closest<HTMLElement>("[data-step]")?.dataset.step;
  const socket = socketOf(stage, target);
  if (stage.ui.getState().pending) return { click: (at) => endWire(stage, socket, at), drag: (at) => pan(stage, at) };
  if (socket) return { click: () => pressSocket(stage, socket), drag: () => drawWire(stage, socket) };
  const inside = target.closest<HTMLElement>("[data-enter]");
  if (inside && step !== undefined) return { click: () => enter(stage, step) };
  if (target.closest("button, a, label")) return null;
  if (step !== undefined) {
    if (target.closest("[data-resize]")) return { drag: () => resizeNode(stage, step) };
    return thing(stage, step);
  }
  const note = target.closest<HTMLElement>("[data-note]")?.dataset.note;
  if (note !== undefined) {
    return target.closest("[data-resize]") ? { drag: () => resizeNote(stage, note) } : thing(stage, note);
  }
  return painted(stage, pointer);
}

function painted(stage: Stage, pointer: Pointer): Intent {
  const hit = hitTest(stage, pointer.at, pointer.touch);
  switch (hit.kind) {
    case "bend":
      return {
        click: ({ alt }) => {
          const { link, index } = hit;
          if (alt) stage.run(removeReroute(stage.path, link.link, index));
          else stage.select([], [link.id]);
        },
        drag: () => moveBend(stage, hit.link, hit.index),
      };
    case "node":
      return thing(stage, hit.node.id);
    case "link":
      return { click: ({ shift }) => selectLink(stage, hit.link.id, shift), drag: (from) => ground(stage, from) };
    case "note":
      return thing(stage, hit.note.id);
    case "group":
      if (hit.part === "fold") {
        const { id, collapsed } = hit.group;
        const fold = () => stage.run(setGroupCollapsed(stage.path, id, !collapsed, stage.scene.palette));
        return { ...thing(stage, id), click: () => fold() };
      }
      return hit.part === "corner" ? { drag: () => resizeGroup(stage, hit.group.id) } : thing(stage, hit.group.id);
    default:
      return {
        click: ({ shift, ctrl }) => {
          if (!shift && !ctrl) stage.select([]);
        },
        drag: (from) => ground(stage, from),
      };
  }
}

/** A step, group or note: pressed it is chosen, dragged it moves with all that is chosen. */
function thing(stage: Stage, id: string): Intent {
  return {
    click: ({ shift, ctrl }) => choose(stage, id, shift || ctrl),
    drag: (from) => {
      // What is locked is ground to a drag.
      if (isLocked(stage, id) && !from.alt) return ground(stage, from);
      if (!stage.selection.has(id)) choose(stage, id, from.shift);
      return stage.readOnly ? null : drag(stage, id, from);
    },
  };
}

function ground(stage: Stage, from: Pointer) {
  if (from.alt && from.ctrl) return lasso(stage, from);
  if (from.alt && !from.shift) return knife(stage, from);
  return from.shift || from.ctrl ? boxSelect(stage, from) : pan(stage, from);
}

export function choose(stage: Stage, id: string, more: boolean): void {
  if (!more) {
    stage.select([id]);
    return;
  }
  const selection = new Set(stage.selection);
  if (!selection.delete(id)) selection.add(id);
  stage.select(selection);
}

function selectLink(stage: Stage, id: string, more: boolean): void {
  const links = new Set(more ? stage.ui.getState().selectedLinks : []);
  if (!links.delete(id)) links.add(id);
  stage.select(more ? stage.selection : [], links);
  stage.container?.focus({ preventScroll: true });
}
