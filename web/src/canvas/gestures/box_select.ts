/**
 * A box drawn over the ground chooses what it touches. With Ctrl it takes only what lies wholly inside; with Shift it adds
 * to what is chosen; with Alt it takes away.
 */

import { contains, overlap } from "../../core/geometry";
import { touches } from "../../core/links";
import type { Rect } from "../../core/types";
import { t } from "../../ui/text";
import type { Stage } from "../stage";
import type { Gesture, Pointer } from "./gesture";

export function boxSelect(stage: Stage, from: Pointer): Gesture {
  const before = stage.selection;
  const linksBefore = stage.ui.getState().selectedLinks;
  return {
    pans: true,
    cursor: "crosshair",
    move(pointer) {
      const [ax, ay] = from.at;
      const [bx, by] = pointer.at;
      const box = { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(ax - bx), height: Math.abs(ay - by) };
      stage.ui.setState({ box });
      const found = within(stage, box, pointer.ctrl);
      if (pointer.alt) stage.select([...before].filter((id) => !found.has(id)));
      else stage.select(pointer.shift ? [...before, ...found] : found, found.size === 0 ? linksWithin(stage, box) : []);
    },
    end() {
      stage.ui.setState({ box: null });
      const { size } = stage.selection;
      stage.say(t("canvas.selected", { count: size }));
    },
    cancel() {
      stage.ui.setState({ box: null });
      stage.select(before, linksBefore);
    },
  };
}

/** Steps, groups and notes that a box takes. A frame has to be wholly inside: else its ground could not be drawn on. */
export function within(stage: Stage, box: Rect, wholly: boolean): Set<string> {
  const { scene } = stage;
  const takes = (rect: Rect) => (wholly ? contains(box, rect) : overlap(box, rect));
  const found = new Set<string>();
  for (const node of scene.nodesIn(box)) if (!node.step.locked && takes(scene.rect(node))) found.add(node.id);
  for (const note of scene.notes()) if (takes(scene.noteRect(note))) found.add(note.id);
  for (const group of scene.groups()) if (contains(box, scene.groupRect(group))) found.add(group.id);
  return found;
}

/** Wires, if nothing else is in the box. */
function linksWithin(stage: Stage, box: Rect): string[] {
  return stage.scene.linksIn(box).flatMap((link) => (touches(link.curve, box) ? [link.id] : []));
}
