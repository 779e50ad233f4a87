/** Which subgraph is inside which. */

import { own, Refused, subgraphId } from "../document";
import type { Board, Document, Path } from "../types";

/** Whether a step of this kind on this board would be inside itself. */
export function isInside(document: Document, path: Path, kind: string): boolean {
  const here = path.at(-1);
  const start = subgraphId(kind);
  if (here === undefined || !start) return false;
  const seen = new Set<string>();
  const work = [start];
  for (let id = work.pop(); id !== undefined; id = work.pop()) {
    if (id === here) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    for (const step of Object.values(own(document.definitions, id)?.steps ?? {})) {
      const inside = subgraphId(step.kind);
      if (inside) work.push(inside);
    }
  }
  return false;
}

/** Throws Refused when a step of this kind on this board would be inside itself. */
export function refuseInside(document: Document, path: Path, kind: string): void {
  if (!isInside(document, path, kind)) return;
  const [what, fix] = ["the subgraph would contain itself.", "Put it somewhere else."];
  throw new Refused([{ code: "subgraph-cycle", place: kind, what, fix, step: "", field: "" }]);
}

/** Every board of a document: its own, and the inside of each subgraph. */
export function boards(document: Document): { path: string[]; board: Board }[] {
  return [
    { path: [], board: document },
    ...Object.entries(document.definitions).map(([id, board]) => ({ path: [id], board })),
  ];
}

/** Where a subgraph is used. */
export function usesOf(document: Document, id: string): { path: string[]; step: string }[] {
  return boards(document).flatMap(({ path, board }) =>
    Object.entries(board.steps).flatMap(([step, one]) => (subgraphId(one.kind) === id ? [{ path, step }] : [])),
  );
}
