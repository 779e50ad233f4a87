/** Copy, cut, paste, duplicate and remove: what is copied is JSON text, so that it goes between tabs and machines. */
import { besideBy, duplicate, isCopied, copy as nodesAsText, paste, removeItems } from "../core/commands";
import { boardAt } from "../core/document";
import type { Selection } from "../core/types";
import { t } from "../ui/text";
import type { At } from "./commands/command";
import { attempt, openJson, say } from "./editor";

/** What is selected on the board that is seen, by what it is. */
export function selectionOf({ open }: At): Selection {
  const { path, selection } = open.view.getState();
  const board = boardAt(open.document.getState(), path);
  const of = (record: Readonly<Record<string, unknown>>) => [...selection].filter((id) => Object.hasOwn(record, id));
  return { steps: of(board.steps), groups: of(board.groups), notes: of(board.notes) };
}

export function select({ open }: At, { steps, groups, notes }: Selection): void {
  open.view.setState({ selection: new Set([...steps, ...groups, ...notes]) });
}

/** What is selected, as text; "" if nothing is. */
export function selectedText(at: At): string {
  const selection = selectionOf(at);
  if (!selection.steps.length && !selection.groups.length && !selection.notes.length) return "";
  const { path } = at.open.view.getState();
  return nodesAsText(at.open.document.getState(), path, selection, at.editor.server.getState().palette);
}

export function copySelected(at: At): void {
  const text = selectedText(at);
  if (text) void attempt(at.editor, () => navigator.clipboard.writeText(text));
}

export function cutSelected(at: At): void {
  copySelected(at);
  removeSelected(at);
}

export function removeSelected(at: At): void {
  const { open, editor } = at;
  open.document.run(removeItems(open.view.getState().path, selectionOf(at), editor.server.getState().palette));
  const stayed = selectionOf(at);
  select(at, stayed);
  if (stayed.groups.length) say(editor, "bad", t("group.stays"), t("group.stays-fix"));
}

export function duplicateSelected(at: At): void {
  const { open, editor } = at;
  const { path } = open.view.getState();
  const { palette } = editor.server.getState();
  const selection = selectionOf(at);
  const by = besideBy(open.document.getState(), path, selection, palette);
  select(at, open.document.run(duplicate(path, selection, by, palette, true)));
}

/** Paste nodes where one looks; a whole workflow opens in a tab of its own. False if the text is neither. */
export function pasteText(at: At, text: string): boolean {
  const { open, editor } = at;
  if (isCopied(text)) {
    const { path, canvas } = open.view.getState();
    const [x, y] = canvas?.center() ?? [0, 0];
    void attempt(editor, async () =>
      select(at, open.document.run(paste(path, text, { at: [x - 132, y - 60], outer: true }))),
    );
    return true;
  }
  const json = asWorkflow(text);
  if (json) {
    void attempt(editor, () => openJson(editor, json));
    return true;
  }
  if (text.trim().startsWith("{")) say(editor, "bad", t("paste-unknown"));
  return false;
}

function asWorkflow(text: string): Record<string, unknown> | null {
  if (!text.trimStart().startsWith("{")) return null;
  try {
    const json = JSON.parse(text) as Record<string, unknown>;
    return "steps" in json || "nodes" in json || Object.values(json).some(isApiNode) ? json : null;
  } catch {
    return null;
  }
}

const isApiNode = (one: unknown): boolean => typeof one === "object" && one !== null && "class_type" in one;
