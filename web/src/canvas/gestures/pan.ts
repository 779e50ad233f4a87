/** Moving the camera by hand. */

import type { Stage } from "../stage";
import type { Gesture } from "./gesture";

export function pan(stage: Stage): Gesture {
  const from = stage.camera;
  let began: readonly [number, number] | null = null;
  return {
    pans: false,
    cursor: "grabbing",
    move({ local }) {
      began ??= local;
      stage.moveCamera({ ...stage.camera, x: from.x + local[0] - began[0], y: from.y + local[1] - began[1] });
    },
    end() {},
    cancel() {},
  };
}
