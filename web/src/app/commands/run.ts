import { attempt, type Editor } from "../editor";
import type { OpenDocument } from "../open_document";
import { draftOf } from "../server_feed";
import { anySelected, type Command, selected } from "./command";

const busy = (editor: Editor, open: OpenDocument) =>
  editor.server
    .getState()
    .runs.filter((one) => (one.status === "running" || one.status === "queued") && draftOf(one) === open.id);

export const RUN: readonly Command[] = [
  {
    id: "run.all",
    group: "run",
    label: "c.run",
    keys: ["Mod+Enter"],
    run: ({ editor, open }) => void attempt(editor, () => editor.runner.run(open)),
  },
  {
    id: "run.selected",
    group: "run",
    label: "c.run-selected",
    keys: ["Mod+Shift+Enter"],
    when: (at) => anySelected(at) && at.open.view.getState().path.length === at.open.view.getState().scope.length,
    run: (at) => {
      const { editor, open } = at;
      const { scope } = open.view.getState();
      const targets = selected(at).map((id) => [...scope, id].join("/"));
      void attempt(editor, () => editor.runner.run(open, { targets }));
    },
  },
  {
    id: "run.front",
    group: "run",
    label: "c.run-front",
    keys: ["Mod+Alt+Enter"],
    run: ({ editor, open }) => void attempt(editor, () => editor.runner.run(open, { front: true })),
  },
  {
    id: "run.batch",
    group: "run",
    label: "c.batch",
    keys: ["Alt+B"],
    run: ({ editor }) => editor.shell.setState({ dialog: "batch" }),
  },
  {
    id: "run.cancel",
    group: "run",
    label: "c.cancel",
    keys: ["Mod+."],
    when: ({ editor, open }) => busy(editor, open).length > 0,
    run: ({ editor, open }) => {
      for (const one of busy(editor, open)) void attempt(editor, () => editor.client.cancel(one.id));
    },
  },
  {
    id: "run.empty",
    group: "run",
    label: "c.empty-queue",
    keys: [],
    when: ({ editor }) => editor.server.getState().queue.waiting.length > 0,
    run: ({ editor }) => void attempt(editor, () => editor.client.emptyQueue()),
  },
  {
    id: "run.pause",
    group: "run",
    label: "c.pause",
    keys: [],
    when: ({ editor }) => !editor.server.getState().queue.paused.includes("person"),
    run: ({ editor }) =>
      void attempt(editor, async () => editor.server.setState({ queue: await editor.client.pause() })),
  },
  {
    id: "run.resume",
    group: "run",
    label: "c.resume",
    keys: [],
    when: ({ editor }) => editor.server.getState().queue.paused.length > 0,
    run: ({ editor }) =>
      void attempt(editor, async () => editor.server.setState({ queue: await editor.client.resume() })),
  },
  {
    id: "run.clear",
    group: "run",
    label: "c.clear-history",
    keys: [],
    run: ({ editor }) =>
      void attempt(editor, async () => {
        await editor.client.clearRuns();
        await editor.feed.refreshRuns();
      }),
  },
];
