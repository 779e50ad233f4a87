import { showForm } from "../../core/commands/form";
import { formIn } from "../../core/form";
import type { Panel } from "../editor";
import type { At, Command } from "./command";

const canvas = ({ open }: At) => open.view.getState().canvas;

const panel = (side: "left" | "right", name: Panel, label: Command["label"], keys: readonly string[]): Command => ({
  id: `view.${name}`,
  group: "view",
  label,
  keys,
  run: ({ editor }) => editor.shell.setState((state) => ({ [side]: state[side] === name ? null : name })),
});

export const VIEW: readonly Command[] = [
  { id: "view.fit", group: "view", label: "c.fit", keys: ["1"], run: (at) => canvas(at)?.fit() },
  {
    id: "view.fit-selected",
    group: "view",
    label: "c.fit-selected",
    keys: ["F"],
    when: (at) => at.open.view.getState().selection.size > 0,
    run: (at) => canvas(at)?.fit(at.open.view.getState().selection),
  },
  { id: "view.zoom-in", group: "view", label: "c.zoom-in", keys: ["+", "="], run: (at) => canvas(at)?.zoomBy(1.25) },
  { id: "view.zoom-out", group: "view", label: "c.zoom-out", keys: ["-"], run: (at) => canvas(at)?.zoomBy(0.8) },
  { id: "view.zoom-100", group: "view", label: "c.zoom-100", keys: ["0"], run: (at) => canvas(at)?.zoomTo(1) },
  {
    id: "view.out",
    group: "view",
    label: "c.leave",
    keys: ["Alt+ArrowUp"],
    when: ({ open }) => open.view.getState().path.length > 0,
    run: ({ open }) =>
      open.view.setState(({ path, scope }) => ({
        path: path.slice(0, -1),
        scope: scope.slice(0, -1),
        selection: new Set(),
      })),
  },
  {
    id: "view.minimap",
    group: "view",
    label: "c.minimap",
    keys: ["Alt+M"],
    run: ({ editor }) => editor.settings.setState(({ minimap }) => ({ minimap: !minimap })),
  },
  {
    id: "view.snap",
    group: "view",
    label: "c.snap",
    keys: ["Alt+S"],
    run: ({ editor }) => editor.settings.setState(({ snap }) => ({ snap: !snap })),
  },
  {
    id: "view.form",
    group: "view",
    label: "c.form",
    keys: ["Alt+F"],
    edits: true,
    run: ({ open }) => open.document.run(showForm(!formIn(open.document.getState()).shown)),
  },
  panel("left", "library", "c.library", ["Alt+1"]),
  panel("left", "workflows", "c.workflows", ["Alt+2"]),
  panel("left", "gallery", "c.gallery", ["Alt+3"]),
  panel("left", "outline", "c.outline", ["Alt+4"]),
  panel("right", "inspector", "c.inspector", ["Alt+5"]),
  panel("right", "queue", "c.queue", ["Alt+6"]),
  {
    id: "app.commands",
    group: "app",
    label: "c.commands",
    keys: ["Mod+K", "F1"],
    run: ({ editor }) => editor.shell.setState({ dialog: "commands" }),
  },
  {
    id: "app.help",
    group: "app",
    label: "c.help",
    keys: ["?"],
    run: ({ editor }) => editor.shell.setState({ dialog: "help" }),
  },
  {
    id: "app.settings",
    group: "app",
    label: "c.settings",
    keys: ["Mod+,"],
    run: ({ editor }) => editor.shell.setState({ dialog: "settings" }),
  },
  {
    id: "app.about",
    group: "app",
    label: "c.about",
    keys: [],
    run: ({ editor }) => editor.shell.setState({ dialog: "about" }),
  },
  {
    id: "app.theme",
    group: "app",
    label: "c.theme",
    keys: [],
    run: ({ editor }) => {
      const dark = document.documentElement.dataset.theme === "dark";
      editor.settings.setState({ theme: dark ? "light" : "dark" });
    },
  },
  { id: "app.reload", group: "app", label: "c.refresh", keys: [], run: ({ editor }) => void editor.feed.refresh() },
];
