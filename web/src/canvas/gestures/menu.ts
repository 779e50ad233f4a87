/** Asks the shell for a context menu on what is under the pointer. Its items come from the command table. */

import type { MenuRequest } from "../../app/stores";
import { hitTest } from "../hit";
import type { Stage } from "../stage";
import type { Pointer } from "./gesture";

export function openMenu(stage: Stage, target: Element, pointer: Pointer): void {
  const on = menuTarget(stage, target, pointer);
  const { selection } = stage;
  if (on.on === "step" || on.on === "note" || on.on === "group" || on.on === "input") {
    if (!selection.has(on.id)) stage.select([on.id]);
  } else if (on.on === "link") stage.select([], [on.id]);
  stage.stores.view.setState({ menu: { ...on, screen: pointer.screen, at: pointer.at } });
}

function menuTarget(
  stage: Stage,
  target: Element,
  pointer: Pointer,
): Pick<MenuRequest, "on" | "id" | "field" | "index"> {
  const step = target.closest<HTMLElement>("[data-step]")?.dataset.step;
  if (step !== undefined) {
    const socket = target.closest<HTMLElement>('[data-socket][data-side="input"]');
    if (socket)
      return { on: "input", id: step, field: socket.dataset.socket ?? "", index: Number(socket.dataset.index) };
    const field = target.closest<HTMLElement>("[data-field]")?.dataset.field;
    return field === undefined ? { on: "step", id: step } : { on: "input", id: step, field, index: 0 };
  }
  const note = target.closest<HTMLElement>("[data-note]")?.dataset.note;
  if (note !== undefined) return { on: "note", id: note };
  const hit = hitTest(stage, pointer.at, pointer.touch);
  switch (hit.kind) {
    case "node":
      return { on: "step", id: hit.node.id };
    case "link":
    case "bend":
      return { on: "link", id: hit.link.id, field: hit.link.link.input, index: hit.link.link.index };
    case "group":
      return { on: "group", id: hit.group.id };
    case "note":
      return { on: "note", id: hit.note.id };
    default:
      return { on: "canvas", id: "" };
  }
}
