import { detach, extractSteps, removeSteps, setCollapsed, toggleMode } from "../../core/commands";
import { boardAt } from "../../core/document";
import { copySelected, cutSelected, duplicateSelected, pasteText, removeSelected } from "../clipboard";
import { type At, anySelected, type Command, selected } from "./command";

const path = ({ open }: At) => open.view.getState().path;
const palette = ({ editor }: At) => editor.server.getState().palette;

/** Selected ids that are steps. */
export function selectedSteps(at: At): string[] {
  const { steps } = boardAt(at.open.document.getState(), path(at));
  return selected(at).filter((id) => Object.hasOwn(steps, id));
}

const anySteps = (at: At): boolean => selectedSteps(at).length > 0;

export const EDIT: readonly Command[] = [
  {
    id: "edit.undo",
    group: "edit",
    label: "c.undo",
    keys: ["Mod+Z"],
    edits: true,
    when: ({ open }) => open.document.undoLabel !== "",
    run: ({ open }) => void open.document.undo(),
  },
  {
    id: "edit.redo",
    group: "edit",
    label: "c.redo",
    keys: ["Mod+Shift+Z", "Mod+Y"],
    edits: true,
    when: ({ open }) => open.document.redoLabel !== "",
    run: ({ open }) => void open.document.redo(),
  },
  {
    id: "edit.cut",
    group: "edit",
    label: "c.cut",
    keys: ["Mod+X"],
    native: true,
    edits: true,
    when: anySelected,
    run: cutSelected,
  },
  {
    id: "edit.copy",
    group: "edit",
    label: "c.copy",
    keys: ["Mod+C"],
    native: true,
    when: anySelected,
    run: copySelected,
  },
  {
    id: "edit.paste",
    group: "edit",
    label: "c.paste",
    keys: ["Mod+V"],
    native: true,
    edits: true,
    run: (at) => void navigator.clipboard.readText().then((text) => pasteText(at, text)),
  },
  {
    id: "edit.duplicate",
    group: "edit",
    label: "c.duplicate",
    keys: ["Mod+D"],
    edits: true,
    when: anySelected,
    run: duplicateSelected,
  },
  {
    id: "edit.delete",
    group: "edit",
    label: "c.delete",
    keys: ["Delete", "Backspace"],
    edits: true,
    when: anySelected,
    run: removeSelected,
  },
  {
    id: "edit.delete-join",
    group: "edit",
    label: "c.delete-join",
    keys: ["Mod+Delete"],
    edits: true,
    when: anySteps,
    run: (at) => void at.open.document.run(removeSteps(path(at), selectedSteps(at), palette(at), true)),
  },
  {
    id: "edit.all",
    group: "edit",
    label: "c.select-all",
    keys: ["Mod+A"],
    run: ({ open }) => {
      const board = boardAt(open.document.getState(), open.view.getState().path);
      const ids = [board.steps, board.groups, board.notes].flatMap((one) => Object.keys(one));
      open.view.setState({ selection: new Set(ids) });
    },
  },
  {
    id: "edit.none",
    group: "edit",
    label: "c.select-none",
    keys: ["Escape"],
    when: anySelected,
    run: ({ open }) => open.view.setState({ selection: new Set() }),
  },
  {
    id: "node.mute",
    group: "node",
    label: "c.mute",
    keys: ["M"],
    edits: true,
    when: anySteps,
    run: (at) => at.open.document.run(toggleMode(path(at), selectedSteps(at), "muted")),
  },
  {
    id: "node.bypass",
    group: "node",
    label: "c.bypass",
    keys: ["B"],
    edits: true,
    when: anySteps,
    run: (at) => at.open.document.run(toggleMode(path(at), selectedSteps(at), "bypassed")),
  },
  {
    id: "node.collapse",
    group: "node",
    label: "c.collapse",
    keys: ["C"],
    edits: true,
    when: anySteps,
    run: (at) => {
      const { steps } = boardAt(at.open.document.getState(), path(at));
      const ids = selectedSteps(at);
      const open = ids.some((id) => !steps[id]?.collapsed);
      at.open.document.run(setCollapsed(path(at), ids, open));
    },
  },
  {
    id: "node.detach",
    group: "node",
    label: "c.detach",
    keys: ["D"],
    edits: true,
    when: anySteps,
    run: (at) => at.open.document.run(detach(path(at), selectedSteps(at))),
  },
  {
    id: "node.extract",
    group: "node",
    label: "c.extract",
    keys: ["Shift+D"],
    edits: true,
    when: anySteps,
    run: (at) => at.open.document.run(extractSteps(path(at), selectedSteps(at), palette(at))),
  },
];
