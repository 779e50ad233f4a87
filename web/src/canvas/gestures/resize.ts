/** Dragging the corner of a node, a note or a frame. */

import { resizeGroup as groupSize, resizeNote as noteSize, resizeStep } from "../../core/commands";
import { NODE_MIN_WIDTH } from "../../core/geometry";
import type { Command } from "../../core/history";
import { GRID, snapped } from "../../core/snap";
import type { Point, Rect } from "../../core/types";
import { newGesture } from "../../widgets";
import type { Stage } from "../stage";
import type { Gesture } from "./gesture";

export function resizeNode(stage: Stage, id: string): Gesture | null {
  const node = stage.scene.nodes.get(id);
  if (!node || node.step.locked) return null;
  const least: Point = [NODE_MIN_WIDTH, node.layout.least];
  return resize(stage, node.rect, least, ({ width, height }) => {
    // As high as it needs to be is no height of its own: it goes on following its widgets.
    return resizeStep(stage.path, id, [width, height <= least[1] ? 0 : height]);
  });
}

export function resizeNote(stage: Stage, id: string): Gesture | null {
  const note = stage.scene.board.notes[id];
  return note ? resize(stage, note.rect, [120, 60], (rect) => noteSize(stage.path, id, rect)) : null;
}

export function resizeGroup(stage: Stage, id: string): Gesture | null {
  const group = stage.scene.board.groups[id];
  return group && !group.locked
    ? resize(stage, group.rect, [120, 64], (rect) => groupSize(stage.path, id, rect))
    : null;
}

function resize(stage: Stage, from: Rect, least: Point, command: (rect: Rect) => Command): Gesture | null {
  if (stage.readOnly) return null;
  const gesture = newGesture("resize");
  let began: Point | null = null;
  let changed = false;
  return {
    pans: true,
    cursor: "nwse-resize",
    move({ at }) {
      began ??= at;
      const size = (start: number, moved: number, minimum: number) => {
        const value = Math.max(minimum, start + moved);
        return stage.stores.view.getState().snap ? Math.max(minimum, snapped(value, GRID)) : Math.round(value);
      };
      const width = size(from.width, at[0] - began[0], least[0]);
      const height = size(from.height, at[1] - began[1], least[1]);
      stage.run(command({ ...from, width, height }), gesture);
      changed = true;
    },
    end() {},
    cancel() {
      if (changed) stage.stores.document.undo();
    },
  };
}
