/**
 * Writes an open document down on the server within a second of every change, and never over somebody else's.
 *
 * A copy is in the browser's own storage until the server has it, so that a page closed while the server is away loses
 * nothing either.
 */
import type { Client } from "../api/client";
import { Refusal } from "../api/client";
import { writeDocument } from "../core/document";
import type { OpenDocument } from "./open_document";

const QUIET = 300; // milliseconds without a change before it is written
const LONGEST = 900; // and the longest a change waits

const place = (id: string): string => `latentloom.draft.${id}`;

export interface Kept {
  document: Record<string, unknown>;
  revision: number;
  workflow: string;
  basedOn: number;
}

/** What this browser has of a draft that the server has not; null if there is nothing. */
export function keptHere(id: string, storage: Storage = localStorage): Kept | null {
  try {
    return JSON.parse(storage.getItem(place(id)) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

export class Journal {
  private written: number;
  private first = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private writing: Promise<void> | null = null;
  private readonly leave: () => void;

  constructor(
    private readonly client: Client,
    private readonly open: OpenDocument,
    private readonly window: string,
  ) {
    this.written = open.document.revision;
    this.leave = open.document.subscribe(() => this.changed());
  }

  /** Write it down as it is, e.g. when it has just been opened and the server has none. */
  now(): Promise<void> {
    this.written = -1;
    this.changed();
    return this.flush();
  }

  /** The server is there again. */
  retry(): void {
    if (this.open.file.getState().journal === "offline") void this.flush();
  }

  /** Somebody has written this draft down. */
  heard(revision: number, window: string): void {
    const file = this.open.file.getState();
    if (window === this.window || revision <= file.revision || this.writing) return;
    this.conflict();
  }

  close(): void {
    this.leave();
    clearTimeout(this.timer);
  }

  /** Forget the copy in this browser. */
  forget(): void {
    localStorage.removeItem(place(this.open.id));
  }

  private changed(): void {
    const { file, document } = this.open;
    if (document.revision === this.written) return;
    if (file.getState().journal === "conflict") return;
    file.setState({ journal: file.getState().journal === "offline" ? "offline" : "pending", dirty: true });
    const now = performance.now();
    this.first ||= now;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.flush(), Math.max(0, Math.min(QUIET, this.first + LONGEST - now)));
  }

  async flush(): Promise<void> {
    clearTimeout(this.timer);
    while (this.writing) await this.writing;
    if (this.open.document.revision === this.written || this.open.file.getState().journal === "conflict") return;
    this.first = 0;
    this.writing = this.write().finally(() => {
      this.writing = null;
    });
    await this.writing;
  }

  private async write(): Promise<void> {
    const { document, file, id } = this.open;
    const revision = document.revision;
    const state = document.getState();
    const { workflow, basedOn, revision: follows } = file.getState();
    const json = writeDocument(state);
    this.keepHere({ document: json, revision: follows, workflow, basedOn });
    try {
      const body = { document: json, revision: follows, name: state.title.slice(0, 200), workflow, based_on: basedOn };
      const made = await this.client.putDraft(id, { ...body, client: this.window });
      this.written = revision;
      const journal = document.revision === revision ? "kept" : "pending";
      file.setState({ revision: made.revision, journal });
      if (journal === "kept") localStorage.removeItem(place(id));
    } catch (error) {
      if (error instanceof Refusal && error.code === "draft-changed") this.conflict();
      else file.setState({ journal: "offline" });
    }
  }

  private conflict(): void {
    clearTimeout(this.timer);
    this.open.file.setState({ journal: "conflict" });
    this.open.view.setState({ readOnly: true });
  }

  private keepHere(kept: Kept): void {
    try {
      localStorage.setItem(place(this.open.id), JSON.stringify(kept));
    } catch {
      // Full or forbidden: the server's copy is the one that counts.
    }
  }
}
