/** Files dropped anywhere open: workflows, and pictures that carry one. A field that takes files has them first. */
import { useEffect } from "react";
import { useEditor } from "./context";
import { openFile } from "./editor";

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

export function useDrop(): void {
  const editor = useEditor();
  useEffect(() => {
    let inside = 0;
    const show = (dropping: boolean) => {
      if (editor.shell.getState().dropping !== dropping) editor.shell.setState({ dropping });
    };
    const entered = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      inside += 1;
      show(true);
    };
    const left = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      inside -= 1;
      if (inside <= 0) show(false);
    };
    const over = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const dropped = (event: DragEvent) => {
      inside = 0;
      show(false);
      if (event.defaultPrevented || !hasFiles(event)) return;
      event.preventDefault();
      for (const file of event.dataTransfer?.files ?? []) void openFile(editor, file);
    };
    window.addEventListener("dragenter", entered);
    window.addEventListener("dragleave", left);
    window.addEventListener("dragover", over);
    window.addEventListener("drop", dropped);
    return () => {
      window.removeEventListener("dragenter", entered);
      window.removeEventListener("dragleave", left);
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", dropped);
    };
  }, [editor]);
}
