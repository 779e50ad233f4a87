import { type Alignment, layoutRequest } from "../../core/align";
import {
  addNote,
  alignItems,
  arrange,
  distributeItems,
  groupSelection,
  makeSubgraph,
  setColor,
  setGroupColor,
  setNoteColor,
  straighten,
  unpack,
} from "../../core/commands";
import { boardAt, subgraphId } from "../../core/document";
import type { Key } from "../../ui/text";
import { select, selectionOf } from "../clipboard";
import { attempt } from "../editor";
import { layoutInWorker } from "../layout_worker";
import { type At, anySelected, type Command, selected } from "./command";
import { selectedSteps } from "./edit";

const path = ({ open }: At) => open.view.getState().path;
const palette = ({ editor }: At) => editor.server.getState().palette;
/** The one selected step, if it is a subgraph. */
function theSubgraph(at: At): { step: string; id: string } | null {
  const [step, ...more] = selectedSteps(at);
  if (step === undefined || more.length) return null;
  const document = at.open.document.getState();
  const id = subgraphId(boardAt(document, path(at)).steps[step]?.kind ?? "");
  return id && Object.hasOwn(document.definitions, id) ? { step, id } : null;
}

const several = (at: At): boolean => selected(at).length > 1;

export const COLORS: readonly (readonly [name: Key, color: string])[] = [
  ["color.none", ""],
  ["color.red", "#d05a5f"],
  ["color.orange", "#cf8a3e"],
  ["color.yellow", "#b9a23a"],
  ["color.green", "#4f9d6c"],
  ["color.teal", "#3f9aa6"],
  ["color.blue", "#5b7fd6"],
  ["color.purple", "#9a6fd0"],
];

const align = (how: Alignment): Command => ({
  id: `node.align-${how}`,
  group: "node",
  label: `c.align-${how}`,
  keys: [],
  edits: true,
  when: several,
  run: (at) => at.open.document.run(alignItems(path(at), selectionOf(at), how, palette(at))),
});

const distribute = (axis: "x" | "y"): Command => ({
  id: `node.distribute-${axis}`,
  group: "node",
  label: `c.distribute-${axis}`,
  keys: [],
  edits: true,
  when: (at) => selected(at).length > 2,
  run: (at) => at.open.document.run(distributeItems(path(at), selectionOf(at), axis, palette(at))),
});

const color = ([name, value]: (typeof COLORS)[number]): Command => ({
  id: `node.${name}`,
  group: "node",
  label: name,
  keys: [],
  edits: true,
  when: anySelected,
  run: (at) => {
    const { steps, groups, notes } = selectionOf(at);
    const gesture = `color ${performance.now()}`;
    if (steps.length) at.open.document.run(setColor(path(at), steps, value), gesture);
    if (groups.length) at.open.document.run(setGroupColor(path(at), groups, value), gesture);
    if (notes.length) at.open.document.run(setNoteColor(path(at), notes, value), gesture);
  },
});

export const NODE: readonly Command[] = [
  {
    id: "node.add",
    group: "node",
    label: "c.add",
    keys: ["Space", "Shift+A"],
    edits: true,
    run: ({ open }) => {
      const at = open.view.getState().canvas?.center() ?? [0, 0];
      open.view.setState({ palette: { at, screen: null } });
    },
  },
  {
    id: "node.replace",
    group: "node",
    label: "c.replace",
    keys: ["Shift+R"],
    edits: true,
    when: (at) => selectedSteps(at).length > 0,
    run: (at) => at.open.view.setState({ palette: { at: [0, 0], screen: null, replace: selectedSteps(at) } }),
  },
  {
    id: "node.note",
    group: "node",
    label: "c.note",
    keys: ["N"],
    edits: true,
    run: (at) => {
      const [x, y] = at.open.view.getState().canvas?.center() ?? [0, 0];
      const id = at.open.document.run(addNote(path(at), [x - 120, y - 60]));
      at.open.view.setState({ selection: new Set([id]) });
    },
  },
  {
    id: "node.group",
    group: "node",
    label: "c.group",
    keys: ["Mod+G"],
    edits: true,
    when: anySelected,
    run: (at) => {
      const id = at.open.document.run(groupSelection(path(at), selectionOf(at), palette(at)));
      if (id) at.open.view.setState({ selection: new Set([id]) });
    },
  },
  {
    id: "node.subgraph",
    group: "node",
    label: "c.subgraph",
    keys: ["Mod+Shift+G"],
    edits: true,
    when: (at) => selectedSteps(at).length + selectionOf(at).groups.length > 0,
    run: (at) =>
      void attempt(at.editor, async () => {
        const made = at.open.document.run(makeSubgraph(path(at), selectionOf(at), "Subgraph", palette(at)));
        at.open.view.setState({ selection: new Set([made.step]) });
      }),
  },
  {
    id: "view.enter",
    group: "view",
    label: "c.enter",
    keys: ["Alt+ArrowDown"],
    when: (at) => theSubgraph(at) !== null,
    run: (at) => {
      const inside = theSubgraph(at);
      if (!inside) return;
      const { path: here, scope } = at.open.view.getState();
      at.open.view.setState({ path: [...here, inside.id], scope: [...scope, inside.step], selection: new Set() });
    },
  },
  {
    id: "node.unpack",
    group: "node",
    label: "c.unpack",
    keys: ["Mod+Shift+U"],
    edits: true,
    when: (at) => theSubgraph(at) !== null,
    run: (at) => {
      const inside = theSubgraph(at);
      if (inside) select(at, at.open.document.run(unpack(path(at), inside.step, palette(at))));
    },
  },
  {
    id: "node.layout",
    group: "node",
    label: "c.layout",
    keys: ["Mod+Shift+L"],
    edits: true,
    run: (at) =>
      void attempt(at.editor, async () => {
        const some = selectedSteps(at);
        const only = some.length > 1 ? some : undefined;
        const to = await layoutInWorker(layoutRequest(at.open.document.getState(), path(at), palette(at), only));
        at.open.document.run(arrange(path(at), to, palette(at)));
        if (!only) at.open.view.getState().canvas?.fit();
      }),
  },
  {
    id: "node.straighten",
    group: "node",
    label: "c.straighten",
    keys: ["Q"],
    edits: true,
    when: (at) => selectedSteps(at).length > 1,
    run: (at) => at.open.document.run(straighten(path(at), selectedSteps(at), palette(at))),
  },
  ...(["left", "center", "right", "top", "middle", "bottom"] as const).map(align),
  ...(["x", "y"] as const).map(distribute),
  ...COLORS.map(color),
];
