/**
 * A line drawn around things with Ctrl and Alt. Those two began it and mean nothing more until they have been let go:
 * pressed again they do what they do to a box, as Shift does from the beginning.
 */

import { Polygon } from "../../core/polygon";
import type { Point } from "../../core/types";
import type { Stage } from "../stage";
import { chooseWithin } from "./area";
import type { Gesture, Pointer } from "./gesture";

/** Pixels from one corner of the line to the next. */
const STEP = 3;

export function lasso(stage: Stage, from: Pointer): Gesture {
  const line: Point[] = [from.at];
  const begunWith = { ctrl: true, alt: true };
  const draw = (pointer: Pointer) => {
    const [x, y] = line.at(-1)!;
    const far = Math.hypot(pointer.at[0] - x, pointer.at[1] - y) * stage.camera.zoom;
    const area = new Polygon([...line, pointer.at]);
    if (far >= STEP) line.push(pointer.at);
    begunWith.ctrl &&= pointer.ctrl;
    begunWith.alt &&= pointer.alt;
    const keys = {
      shift: pointer.shift,
      ctrl: pointer.ctrl && !begunWith.ctrl,
      alt: pointer.alt && !begunWith.alt,
    };
    return { area, keys, shown: { lasso: area.points } };
  };
  return chooseWithin(stage, draw, { lasso: null });
}
