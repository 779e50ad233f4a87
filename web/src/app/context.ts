/** The editor for components, and how they subscribe to one value of a store. */
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { Document } from "../core/types";
import type { Editor, ShellState } from "./editor";
import type { FileState, OpenDocument } from "./open_document";
import type { Brought } from "./packs/pack_host";
import type { Settings } from "./settings";
import type { RunState, ServerState, ViewState } from "./stores";

export const EditorContext = createContext<Editor | null>(null);

export function useEditor(): Editor {
  const editor = useContext(EditorContext);
  if (!editor) throw new Error("It is used outside of the editor.");
  return editor;
}

export const useServer = <T>(select: (state: ServerState) => T): T => useStore(useEditor().server, select);
export const useShell = <T>(select: (state: ShellState) => T): T => useStore(useEditor().shell, select);
/** What packs have added. */
export const useBrought = <T>(select: (state: Brought) => T): T => useStore(useEditor().packs.store, select);
export const useSettings = <T>(select: (state: Settings) => T): T => useStore(useEditor().settings, select);

/** The document in front; null while there is none. */
export function useActive(): OpenDocument | null {
  return useStore(useEditor().workspace.store, ({ open, active }) => open.find(({ id }) => id === active) ?? null);
}

export const useDocument = <T>(open: OpenDocument, select: (state: Document) => T): T =>
  useStore(open.document, select);
export const useView = <T>(open: OpenDocument, select: (state: ViewState) => T): T => useStore(open.view, select);
export const useRun = <T>(open: OpenDocument, select: (state: RunState) => T): T => useStore(open.run, select);
export const useFile = <T>(open: OpenDocument, select: (state: FileState) => T): T => useStore(open.file, select);
