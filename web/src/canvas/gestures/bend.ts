/** Moving a bend of a wire. */

import { moveReroute } from "../../core/commands";
import { snapPoint } from "../../core/snap";
import type { Point } from "../../core/types";
import type { SceneLink } from "../scene_types";
import type { Stage } from "../stage";
import type { Gesture } from "./gesture";

export function moveBend(stage: Stage, link: SceneLink, index: number): Gesture | null {
  if (stage.readOnly) return null;
  const before = link.bends;
  let now: Point | null = null;
  const bent = (point: Point) => before.map((one, at) => (at === index ? point : one));
  return {
    pans: true,
    cursor: "move",
    move({ at }) {
      now = stage.stores.view.getState().snap ? snapPoint(at) : at;
      stage.scene.bend(link, bent(now));
      stage.requestPaint();
    },
    end() {
      if (now) stage.run(moveReroute(stage.path, link.link, index, now));
    },
    cancel() {
      stage.scene.bend(link, before);
      stage.requestPaint();
    },
  };
}
