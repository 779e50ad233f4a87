/** Show a step, wherever it is: the board it is on, in the middle, selected, with the keyboard on a field of it. */
import { boardAt, subgraphId } from "../core/document";
import type { Document } from "../core/types";
import type { OpenDocument } from "./open_document";

/** Where a step is that a run calls "outer/inner". */
export function placeOf(document: Document, runId: string): { path: string[]; scope: string[]; step: string } | null {
  const path: string[] = [];
  const scope: string[] = [];
  let rest = runId.replace(/#.*$/s, "");
  for (;;) {
    const { steps } = boardAt(document, path);
    if (Object.hasOwn(steps, rest)) return { path, scope, step: rest };
    const outer = Object.keys(steps).find((id) => rest.startsWith(`${id}/`) && subgraphId(steps[id]?.kind ?? ""));
    if (!outer) return null;
    const inside = subgraphId(steps[outer]?.kind ?? "");
    if (!Object.hasOwn(document.definitions, inside)) return { path, scope, step: outer };
    scope.push(outer);
    path.push(inside);
    rest = rest.slice(outer.length + 1);
  }
}

export function goTo(open: OpenDocument, runId: string, field = ""): void {
  const place = placeOf(open.document.getState(), runId);
  if (!place) return;
  showStep(open, place, field);
}

export function showStep(
  open: OpenDocument,
  at: { path: readonly string[]; scope: readonly string[]; step: string },
  field = "",
): void {
  const { path, scope, step } = at;
  open.view.setState({ path, scope, selection: new Set([step]) });
  // The board that is shown may be another one now: it is drawn first.
  requestAnimationFrame(() => open.view.getState().canvas?.focusStep(step, field));
}
