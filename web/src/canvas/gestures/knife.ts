/** A stroke over the ground with Alt cuts the wires that it crosses, all in one step back. */

import { disconnect } from "../../core/commands";
import { crosses } from "../../core/links";
import type { Point } from "../../core/types";
import { t } from "../../ui/text";
import type { Stage } from "../stage";
import type { Gesture, Pointer } from "./gesture";

export function knife(stage: Stage, from: Pointer): Gesture | null {
  if (stage.readOnly) return null;
  const stroke: Point[] = [from.at];
  const cut = new Set<string>();
  const over = () => stage.ui.setState({ knife: null });
  return {
    pans: true,
    cursor: "crosshair",
    move({ at }) {
      const last = stroke.at(-1)!;
      for (const link of crossed(stage, last, at)) cut.add(link);
      stroke.push(at);
      stage.ui.setState({ knife: { stroke: [...stroke], cut: new Set(cut) } });
    },
    end() {
      over();
      const wires = [...cut].flatMap((id) => stage.scene.links.get(id)?.link ?? []);
      if (wires.length === 0) return;
      stage.run(disconnect(stage.path, wires));
      stage.say(t("wire.cut", { count: wires.length }));
    },
    cancel: over,
  };
}

function crossed(stage: Stage, a: Point, b: Point): string[] {
  const area = {
    x: Math.min(a[0], b[0]),
    y: Math.min(a[1], b[1]),
    width: Math.abs(a[0] - b[0]) + 0.01,
    height: Math.abs(a[1] - b[1]) + 0.01,
  };
  return stage.scene.linksIn(area).flatMap((link) => (stage.shows(link) && crosses(link.curve, a, b) ? [link.id] : []));
}
