/** What the pointer is over without a button held: links light up, the cursor says what a press would do. */

import { hitTest } from "../hit";
import type { Stage } from "../stage";
import { followPending } from "./connect";
import type { Pointer } from "./gesture";

export function hover(stage: Stage, target: Element, pointer: Pointer): void {
  const { container, ui } = stage;
  if (!container) return;
  if (ui.getState().pending) {
    followPending(stage, target, pointer);
    return;
  }
  if (!container.contains(target)) {
    settle(stage, null, null);
    return;
  }
  const step = target.closest<HTMLElement>("[data-step]")?.dataset.step ?? null;
  if (step !== null || target.closest("[data-over]")) {
    settle(stage, step, null);
    return;
  }
  const hit = hitTest(stage, pointer.at);
  const link = hit.kind === "link" || hit.kind === "bend" ? hit.link.id : null;
  const cursors: Partial<Record<typeof hit.kind, string>> = { link: "pointer", bend: "move", node: "default" };
  const group =
    hit.kind === "group" ? ({ corner: "nwse-resize", head: "move", fold: "pointer" } as const)[hit.part] : undefined;
  const cursor = group ?? cursors[hit.kind] ?? "";
  if (container.style.cursor !== cursor) container.style.cursor = cursor;
  settle(stage, hit.kind === "node" ? hit.node.id : null, link);
}

function settle(stage: Stage, step: string | null, link: string | null): void {
  const { ui, stores } = stage;
  if (ui.getState().hoveredLink !== link) ui.setState({ hoveredLink: link });
  if (stores.view.getState().hover !== step) stores.view.setState({ hover: step });
}
