/** Going into a subgraph through the step that uses it. */

import { subgraphId } from "../../core/document";
import type { Stage } from "../stage";

export function enter(stage: Stage, step: string): boolean {
  const id = subgraphId(stage.scene.nodes.get(step)?.step.kind ?? "");
  const { document, view } = stage.stores;
  if (!id || !Object.hasOwn(document.getState().definitions, id)) return false;
  const { path, scope } = view.getState();
  view.setState({ path: [...path, id], scope: [...scope, step], selection: new Set() });
  return true;
}
