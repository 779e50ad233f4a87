/** Shortcuts, and the browser's copy, cut and paste. */
import { useEffect } from "react";
import { pasteText, removeSelected, selectedText } from "./clipboard";
import type { At } from "./commands/command";
import { press } from "./commands/table";
import { useEditor } from "./context";
import { isTyping, shortcutOf, worksWhileTyping } from "./keys";

/** A key without a modifier belongs to the canvas: in a panel or menu it is for what has the focus. */
function isOurs(event: KeyboardEvent): boolean {
  const shortcut = shortcutOf(event);
  if (isTyping(event.target)) return worksWhileTyping(shortcut);
  if (!(event.target instanceof Element)) return true;
  if (event.target.closest('[role="menu"], [role="listbox"], dialog')) return false;
  const plain = !/^(Mod|Alt|Ctrl|Meta)\+|^F\d+$/.test(shortcut);
  if (!plain) return true;
  const button = event.target.closest("button, a, summary, [role=button], [role=tab], [role=treeitem], input");
  if (button && ["Space", "Enter", "Escape"].includes(shortcut)) return false;
  if (event.target === document.body || event.target.closest(".stage") !== null || !button) return true;
  // A button that was clicked keeps the focus; characters mean nothing to it, so they go on meaning the canvas.
  return /^(Shift\+)?.$/.test(shortcut) && !event.target.closest("[role=tree]");
}

export function useKeys(): void {
  const editor = useEditor();
  useEffect(() => {
    const at = (): At | null => {
      const open = editor.workspace.active;
      return open && !editor.shell.getState().dialog && !editor.shell.getState().viewer ? { editor, open } : null;
    };
    const keydown = (event: KeyboardEvent) => {
      const now = at();
      if (!now || event.defaultPrevented || event.isComposing || !isOurs(event)) return;
      if (press(event, now)) event.preventDefault();
    };
    const copied = (event: ClipboardEvent) => {
      const now = at();
      if (!now || isTyping(event.target) || String(getSelection() ?? "")) return;
      const text = selectedText(now);
      if (!text) return;
      event.clipboardData?.setData("text/plain", text);
      event.preventDefault();
      if (event.type === "cut" && !now.open.view.getState().readOnly) removeSelected(now);
    };
    const pasted = (event: ClipboardEvent) => {
      const now = at();
      if (!now || isTyping(event.target) || now.open.view.getState().readOnly) return;
      if (pasteText(now, event.clipboardData?.getData("text/plain") ?? "")) event.preventDefault();
    };
    document.addEventListener("keydown", keydown);
    document.addEventListener("copy", copied);
    document.addEventListener("cut", copied);
    document.addEventListener("paste", pasted);
    return () => {
      document.removeEventListener("keydown", keydown);
      document.removeEventListener("copy", copied);
      document.removeEventListener("cut", copied);
      document.removeEventListener("paste", pasted);
    };
  }, [editor]);
}
