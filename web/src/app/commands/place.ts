/** Commands on where one looks, what stays and what is shown: locks, hidden wires and sockets, bookmarks. */

import { bookmarkOf } from "../../core/bookmarks";
import { setBookmark, setCompact, setHidden, setLocked } from "../../core/commands";
import { boardAt, definitionAt } from "../../core/document";
import { linksOf } from "../../core/shape";
import type { Key } from "../../ui/text";
import { selectionOf } from "../clipboard";
import type { At, Command } from "./command";
import { selectedSteps } from "./edit";

const path = ({ open }: At) => open.view.getState().path;

/** The inputs of selected steps that wires lead into. */
function fedInputs(at: At): { step: string; input: string }[] {
  const some = new Set(selectedSteps(at));
  return linksOf(boardAt(at.open.document.getState(), path(at))).filter(({ step }) => some.has(step));
}

const bookmark = (name: "7" | "8" | "9"): readonly Command[] => [
  {
    id: `view.bookmark-${name}`,
    group: "view",
    label: `c.bookmark-${name}` as Key,
    keys: [name],
    when: ({ open }) => bookmarkOf(open.document.getState(), name) !== null,
    run: ({ open }) => {
      const found = bookmarkOf(open.document.getState(), name);
      if (!found) return;
      const known = found.path.every((id) => definitionAt(open.document.getState(), [id]));
      if (!known) return;
      const { path: now, canvas } = open.view.getState();
      if (found.path.join("/") !== now.join("/")) {
        open.view.setState({ path: found.path, scope: found.scope, selection: new Set() });
      }
      canvas?.lookAt(found.center, found.zoom);
    },
  },
  {
    id: `view.set-bookmark-${name}`,
    group: "view",
    label: `c.set-bookmark-${name}` as Key,
    keys: [`Alt+${name}`],
    edits: true,
    run: ({ open }) => {
      const { path: here, scope, canvas, viewport } = open.view.getState();
      if (!canvas) return;
      const [x, y] = canvas.center();
      const center = [Math.round(x), Math.round(y)] as const;
      open.document.run(setBookmark(name, { path: [...here], scope: [...scope], center, zoom: viewport.zoom }));
    },
  },
];

export const PLACE: readonly Command[] = [
  {
    id: "node.lock",
    group: "node",
    label: "c.lock",
    keys: ["P"],
    edits: true,
    when: (at) => selectionOf(at).steps.length + selectionOf(at).groups.length > 0,
    run: (at) => {
      const { steps, groups } = selectionOf(at);
      const board = boardAt(at.open.document.getState(), path(at));
      const ids = [...steps, ...groups];
      const lock = ids.some((id) => !(board.groups[id] ?? board.steps[id])?.locked);
      at.open.document.run(setLocked(path(at), ids, lock));
    },
  },
  {
    id: "node.compact",
    group: "node",
    label: "c.compact",
    keys: ["Shift+H"],
    edits: true,
    when: (at) => selectedSteps(at).length > 0,
    run: (at) => {
      const ids = selectedSteps(at);
      const { steps } = boardAt(at.open.document.getState(), path(at));
      const compact = ids.some((id) => !steps[id]?.compact);
      at.open.document.run(setCompact(path(at), ids, compact));
    },
  },
  {
    id: "node.hide-wires",
    group: "node",
    label: "c.hide-wires",
    keys: ["H"],
    edits: true,
    when: (at) => fedInputs(at).length > 0,
    run: (at) => {
      const inputs = fedInputs(at);
      const { steps } = boardAt(at.open.document.getState(), path(at));
      const shown = inputs.some(({ step, input }) => !steps[step]?.hidden.includes(input));
      at.open.document.run(setHidden(path(at), inputs, shown));
    },
  },
  ...(["7", "8", "9"] as const).flatMap(bookmark),
];
