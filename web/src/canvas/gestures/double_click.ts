/** A double click: writes a title or a note, goes into a subgraph, bends a wire, or looks for a node to add. */

import type { MouseEvent } from "react";
import { addReroute, removeReroute } from "../../core/commands";
import { own } from "../../core/document";
import { hitTest } from "../hit";
import type { Stage } from "../stage";
import { isField } from "./driver";
import { enter } from "./enter";

export function doubleClicked(stage: Stage, event: MouseEvent): void {
  const target = event.target as Element;
  if (isField(target) || target.closest("button, [data-over]")) return;
  const note = target.closest<HTMLElement>("[data-note]")?.dataset.note;
  const step = target.closest<HTMLElement>("[data-step]")?.dataset.step;
  if (note !== undefined) {
    edit(stage, note);
    return;
  }
  if (step !== undefined) {
    if (!enter(stage, step) && target.closest(".ll-title")) edit(stage, step);
    return;
  }
  const screen = [event.clientX, event.clientY] as const;
  const at = stage.toCanvas(screen);
  const hit = hitTest(stage, at);
  switch (hit.kind) {
    case "bend":
      stage.run(removeReroute(stage.path, hit.link.link, hit.index));
      break;
    case "link":
      stage.run(addReroute(stage.path, hit.link.link, hit.segment, hit.point));
      break;
    case "group":
    case "note":
      edit(stage, hit.kind === "group" ? hit.group.id : hit.note.id);
      break;
    case "node":
      if (!enter(stage, hit.node.id)) stage.handle.focusStep(hit.node.id);
      break;
    default:
      if (!stage.readOnly) stage.stores.view.setState({ palette: { at, screen } });
  }
}

export function edit(stage: Stage, id: string): void {
  if (stage.readOnly) return;
  const { notes } = stage.scene.board;
  if (own(notes, id) && stage.camera.zoom < 0.6) stage.handle.fit([id]);
  stage.ui.setState({ editing: id });
}
