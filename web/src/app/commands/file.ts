import { t } from "../../ui/text";
import { asCurl, asPython } from "../api_export";
import { attempt, openFile, say } from "../editor";
import { saveWorkflow, signedBy } from "../saving";
import type { At, Command } from "./command";

/** Let a person choose files of their machine. */
export function chooseFiles(accept: string, done: (files: File[]) => void): void {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept, multiple: true });
  input.onchange = () => done([...(input.files ?? [])]);
  input.click();
}

/** Give a text to the browser as a download. */
export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const step = ({ editor }: At, by: number) => {
  const { open, active } = editor.workspace.store.getState();
  const at = open.findIndex(({ id }) => id === active);
  const next = open[(at + by + open.length) % open.length];
  if (next) editor.workspace.activate(next.id);
};

/** Copies the workflow as a program that runs it on this server. */
const copied = (id: string, label: Command["label"], made: typeof asCurl): Command => ({
  id,
  group: "file",
  label,
  keys: [],
  run: ({ editor, open }) =>
    void attempt(editor, async () => {
      await navigator.clipboard.writeText(made(signedBy(editor, open.document.getState()), location.origin));
      say(editor, "good", t("copied.program"));
    }),
});

export const FILE: readonly Command[] = [
  {
    id: "file.new",
    group: "file",
    label: "c.new",
    keys: ["Alt+N"],
    run: ({ editor }) => void editor.workspace.openNew(),
  },
  {
    id: "file.open",
    group: "file",
    label: "c.open",
    keys: ["Mod+O"],
    run: ({ editor }) => editor.shell.setState({ left: "workflows" }),
  },
  {
    id: "file.open-file",
    group: "file",
    label: "c.open-file",
    keys: [],
    run: ({ editor }) =>
      chooseFiles(".json,.png,.webp,application/json,image/*", (files) => {
        for (const file of files) void openFile(editor, file);
      }),
  },
  {
    id: "file.save",
    group: "file",
    label: "c.save",
    keys: ["Mod+S"],
    run: ({ editor, open }) => void saveWorkflow(editor, open),
  },
  {
    id: "file.save-as",
    group: "file",
    label: "c.save-as",
    keys: ["Mod+Shift+S"],
    run: ({ editor }) => editor.shell.setState({ dialog: "save" }),
  },
  {
    id: "file.versions",
    group: "file",
    label: "c.versions",
    keys: [],
    when: ({ open }) => open.file.getState().workflow !== "",
    run: ({ editor }) => editor.shell.setState({ dialog: "versions" }),
  },
  {
    id: "file.export",
    group: "file",
    label: "c.export",
    keys: [],
    run: ({ editor, open }) => {
      const document = open.document.getState();
      download(`${document.title || "workflow"}.json`, `${JSON.stringify(signedBy(editor, document), null, 2)}\n`);
    },
  },
  {
    id: "file.copy-link",
    group: "file",
    label: "c.copy-json",
    keys: [],
    run: ({ editor, open }) =>
      void attempt(editor, async () => {
        await navigator.clipboard.writeText(JSON.stringify(signedBy(editor, open.document.getState())));
        say(editor, "good", "Copied.");
      }),
  },
  copied("file.copy-curl", "c.copy-curl", asCurl),
  copied("file.copy-python", "c.copy-python", asPython),
  { id: "file.next", group: "file", label: "c.next-tab", keys: ["Alt+PageDown"], run: (at) => step(at, 1) },
  { id: "file.previous", group: "file", label: "c.previous-tab", keys: ["Alt+PageUp"], run: (at) => step(at, -1) },
  {
    id: "file.close",
    group: "file",
    label: "c.close-tab",
    keys: ["Alt+W"],
    run: ({ editor, open }) => void editor.workspace.close(open.id),
  },
];
