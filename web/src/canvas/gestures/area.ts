/**
 * An area drawn over the ground chooses what it touches, while it is drawn. With Ctrl it takes only what lies wholly
 * inside; with Shift it adds to what is chosen; with Alt it takes away.
 */

import type { Curve } from "../../core/links";
import type { Rect } from "../../core/types";
import { t } from "../../ui/text";
import type { Stage, UiState } from "../stage";
import type { Gesture, Pointer } from "./gesture";

export interface Area {
  /** Nothing beyond it is inside. */
  bounds: Rect;
  meets(rect: Rect): boolean;
  contains(rect: Rect): boolean;
  meetsCurve(curve: Curve): boolean;
}

type Keys = Pick<Pointer, "shift" | "alt" | "ctrl">;

interface Drawn {
  area: Area;
  keys: Keys;
  /** What is seen of it. */
  shown: Partial<UiState>;
}

/** `draw` says at each move what has been drawn; `gone` is what is shown when it is over. */
export function chooseWithin(stage: Stage, draw: (pointer: Pointer) => Drawn, gone: Partial<UiState>): Gesture {
  const before = stage.selection;
  const linksBefore = stage.ui.getState().selectedLinks;
  return {
    pans: true,
    cursor: "crosshair",
    move(pointer) {
      const { area, keys, shown } = draw(pointer);
      stage.ui.setState(shown);
      const found = within(stage, area, keys.ctrl);
      if (keys.alt) stage.select([...before].filter((id) => !found.has(id)));
      else stage.select(keys.shift ? [...before, ...found] : found, found.size === 0 ? linksWithin(stage, area) : []);
    },
    end() {
      stage.ui.setState(gone);
      const { size } = stage.selection;
      stage.say(t("canvas.selected", { count: size }));
    },
    cancel() {
      stage.ui.setState(gone);
      stage.select(before, linksBefore);
    },
  };
}

/** Steps, groups and notes that an area takes. A frame has to be wholly inside: else its ground could not be drawn on. */
function within(stage: Stage, area: Area, wholly: boolean): Set<string> {
  const { scene } = stage;
  const takes = (rect: Rect) => (wholly ? area.contains(rect) : area.meets(rect));
  const found = new Set<string>();
  for (const node of scene.nodesIn(area.bounds)) if (!node.step.locked && takes(scene.rect(node))) found.add(node.id);
  for (const note of scene.notesIn(area.bounds)) if (takes(scene.noteRect(note))) found.add(note.id);
  for (const group of scene.groups()) if (!group.locked && area.contains(scene.groupRect(group))) found.add(group.id);
  return found;
}

/** Wires, if nothing else is in the area. */
function linksWithin(stage: Stage, area: Area): string[] {
  return stage.scene.linksIn(area.bounds).flatMap((link) => (area.meetsCurve(link.curve) ? [link.id] : []));
}
