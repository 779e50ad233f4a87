/** A kind of node dragged from a panel over the canvas: it is added where it is let go, and put on a wire that it is held over. */

import type { DragEvent } from "react";
import { insertOnLink } from "../../core/commands";
import type { Point } from "../../core/types";
import { newGesture } from "../../widgets";
import type { NodeServices } from "../services";
import type { Stage } from "../stage";
import { linkUnder } from "./drag";

/** From the node's corner to the pointer: on the middle of its head. */
const HELD: Point = [132, 16];

export function carriedOver(stage: Stage, event: DragEvent): void {
  const { carried, readOnly } = stage.stores.view.getState();
  if (carried === null || readOnly) return;
  event.preventDefault();
  const link = linkUnder(stage, carried, [stage.toCanvas([event.clientX, event.clientY])]);
  const insertLink = link?.id ?? null;
  if (stage.ui.getState().insertLink !== insertLink) stage.ui.setState({ insertLink });
}

export function carriedAway(stage: Stage, event: DragEvent): void {
  if (event.relatedTarget instanceof Node && stage.container?.contains(event.relatedTarget)) return;
  if (stage.ui.getState().insertLink !== null) stage.ui.setState({ insertLink: null });
}

export function carriedHere(stage: Stage, event: DragEvent, nodes: NodeServices): void {
  const { carried, readOnly } = stage.stores.view.getState();
  if (carried === null || readOnly) return;
  event.preventDefault();
  event.stopPropagation();
  const at = stage.toCanvas([event.clientX, event.clientY]);
  const link = linkUnder(stage, carried, [at]);
  const gesture = newGesture("carry");
  stage.ui.setState({ insertLink: null });
  stage.stores.view.setState({ carried: null });
  const made = nodes.addNode(carried, [at[0] - HELD[0], at[1] - HELD[1]], gesture);
  if (made === null) return;
  if (link) stage.run(insertOnLink(stage.path, link.link, made, stage.scene.palette), gesture);
  stage.focusElement(made);
}
