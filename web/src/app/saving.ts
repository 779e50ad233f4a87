/** Saves an open document as a version of a workflow that has a name. */
import { Refusal } from "../api/client";
import { setDocumentTitle } from "../core/commands";
import type { Document, Json } from "../core/types";
import { t } from "../ui/text";
import { attempt, type Editor, say } from "./editor";
import { signed } from "./models_used";
import type { OpenDocument } from "./open_document";

/** The document with what its models are, as it leaves the editor. */
export function signedBy(editor: Editor, document: Document): Record<string, Json> {
  const { palette, models } = editor.server.getState();
  return signed(document, palette, models);
}

/** Save a version; of one that has no name yet the name is asked for. */
export async function saveWorkflow(editor: Editor, open: OpenDocument): Promise<void> {
  const { workflow, basedOn } = open.file.getState();
  if (!workflow) {
    editor.shell.setState({ dialog: "save" });
    return;
  }
  await attempt(editor, async () => {
    const document = open.document.getState();
    const saved = await editor.client.save(workflow, signedBy(editor, document), basedOn);
    kept(open, document, workflow, saved.version);
    await editor.workspace.journal(open.id)?.now();
    if (open.document.getState() === document) open.file.setState({ dirty: false });
    say(editor, "good", t("saved", { version: saved.version, name: saved.name }));
  });
}

/** Save under a new name. Says whether it was; a name that is taken is for the dialog to show. */
export async function saveAs(editor: Editor, open: OpenDocument, name: string): Promise<string> {
  try {
    if (open.document.getState().title !== name) open.document.run(setDocumentTitle(name));
    const document = open.document.getState();
    const saved = await editor.client.create(name, signedBy(editor, document));
    kept(open, document, saved.id, saved.version);
    await editor.workspace.journal(open.id)?.now();
    if (open.document.getState() === document) open.file.setState({ dirty: false });
    say(editor, "good", t("saved", { version: saved.version, name: saved.name }));
    return "";
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const [first] = error.problems;
    return first ? `${first.what} ${first.fix}` : error.message;
  }
}

function kept(open: OpenDocument, document: unknown, workflow: string, basedOn: number): void {
  open.file.setState({ workflow, basedOn, dirty: open.document.getState() !== document });
}
