/**
 * What a person can ask for. The palette, menus, shortcuts, help and settings are all made from one table of these.
 */
import { formIn } from "../../core/form";
import { type Key, t } from "../../ui/text";
import type { Editor } from "../editor";
import type { OpenDocument } from "../open_document";

export type Group = "file" | "edit" | "node" | "view" | "run" | "app" | "pack";

/** What a command is asked about. */
export interface At {
  editor: Editor;
  open: OpenDocument;
}

export interface Command {
  id: string;
  group: Group;
  label: Key;
  /** What it is called instead of the text of `label`: of a pack's command. */
  title?: string;
  /** The usual shortcuts; settings may give others. */
  keys: readonly string[];
  /** The browser's own copy, cut and paste events do it: the key is shown, not listened to. */
  native?: boolean;
  /** It changes the document: not offered while somebody else has it. */
  edits?: boolean;
  /** Of a pack's command: the menu it is also in. */
  menu?: "node" | "canvas";
  /** Whether it can be done now; always, if not given. */
  when?: (at: At) => boolean;
  run: (at: At) => void;
}

/** As a person reads it. */
export const nameOf = (one: Pick<Command, "label" | "title">): string => one.title ?? t(one.label);

export const selected = ({ open }: At): string[] => [...open.view.getState().selection];
export const anySelected = (at: At): boolean => at.open.view.getState().selection.size > 0;

/** What is done to what one sees on the canvas: nothing of it while the form is shown. */
const OF_CANVAS: ReadonlySet<Group> = new Set(["edit", "node"]);

/** Whether a command can be done now. */
export function can(command: Command, at: At): boolean {
  if (
    OF_CANVAS.has(command.group) &&
    !/^edit\.(undo|redo)$/.test(command.id) &&
    formIn(at.open.document.getState()).shown
  )
    return false;
  if (command.edits && at.open.view.getState().readOnly) return false;
  return command.when?.(at) ?? true;
}
