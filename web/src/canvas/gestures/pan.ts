/** Moving the camera by hand. */

import type { Stage } from "../stage";
import type { Gesture, Pointer } from "./gesture";

export function pan(stage: Stage, from: Pointer): Gesture {
  const { x, y } = stage.camera;
  return {
    pans: false,
    cursor: "grabbing",
    move({ local }) {
      stage.moveCamera({ ...stage.camera, x: x + local[0] - from.local[0], y: y + local[1] - from.local[1] });
    },
    end() {},
    cancel() {},
  };
}
