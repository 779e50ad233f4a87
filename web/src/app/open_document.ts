/** One document that is open: its stores, and what is known of where it is kept. */
import { createStore, type StoreApi } from "zustand/vanilla";
import { DocumentStore } from "../core/history";
import type { Document } from "../core/types";
import { createRun, createView, type ProblemsStore, type RunStore, type ViewStore } from "./stores";

export interface FileState {
  /** The saved workflow it was made from, "" if it was never saved; and the version of that. */
  workflow: string;
  basedOn: number;
  /** The revision of the draft on the server that was written or read last; 0 if there is none. */
  revision: number;
  /** Whether the draft is written down: kept, about to be, not reachable, or changed by somebody else. */
  journal: "kept" | "pending" | "offline" | "conflict";
  /** It differs from the version it is based on. */
  dirty: boolean;
}

export interface OpenDocument {
  /** Of the draft. */
  readonly id: string;
  readonly document: DocumentStore;
  readonly view: ViewStore;
  readonly run: RunStore;
  readonly problems: ProblemsStore;
  readonly file: StoreApi<FileState>;
  /** What was submitted last for each seed, by "step.knob". */
  lastSeeds: Readonly<Record<string, number>>;
}

export function openDocument(id: string, document: Document, file: Partial<FileState> = {}): OpenDocument {
  const state: FileState = { workflow: "", basedOn: 0, revision: 0, journal: "kept", dirty: false, ...file };
  return {
    id,
    document: new DocumentStore(document),
    view: createView(),
    run: createRun(),
    problems: createStore(() => ({ problems: [] })),
    file: createStore<FileState>(() => state),
    lastSeeds: {},
  };
}

/** A new id for a draft, a grid or a window. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}
