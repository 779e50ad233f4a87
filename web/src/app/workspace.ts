/** The documents that are open, in tabs; which is in front; and that they are there again when the page is loaded anew. */
import { createStore, type StoreApi } from "zustand/vanilla";
import type { Client } from "../api/client";
import { Refusal } from "../api/client";
import { emptyDocument, readDocument } from "../core/document";
import type { Document } from "../core/types";
import { Journal, keptHere } from "./journal";
import { newId, type OpenDocument, openDocument } from "./open_document";
import { WindowLists } from "./windows";

export interface WorkspaceState {
  open: readonly OpenDocument[];
  active: string;
  /** What was there when the page was loaded has been opened. */
  ready: boolean;
}

export class Workspace {
  readonly store: StoreApi<WorkspaceState> = createStore<WorkspaceState>(() => ({
    open: [],
    active: "",
    ready: false,
  }));
  /** Who writes, to be told from other windows. */
  readonly window = newId();
  private readonly journals = new Map<string, Journal>();
  private readonly listeners = new Set<(open: OpenDocument) => void>();

  constructor(
    private readonly client: Client,
    private readonly lists = new WindowLists(),
  ) {}

  get active(): OpenDocument | null {
    const { open, active } = this.store.getState();
    return open.find(({ id }) => id === active) ?? null;
  }

  find(id: string): OpenDocument | null {
    return this.store.getState().open.find((one) => one.id === id) ?? null;
  }

  /** Be told of every document that is opened. */
  onOpen(listener: (open: OpenDocument) => void): void {
    this.listeners.add(listener);
  }

  activate(id: string): void {
    this.store.setState({ active: id });
    this.remember();
  }

  /**
   * Open what this window had open. A window that is new and the only one has the draft that was changed last. False if
   * there is nothing to open.
   */
  async restore(): Promise<boolean> {
    const session = await this.lists.begin();
    const there = await this.client.drafts();
    const known = new Set(there.drafts.map(({ id }) => id));
    const newest = there.drafts[0]?.id;
    const ids = session.open.filter((id) => known.has(id) || keptHere(id));
    if (!ids.length && newest && session.first) ids.push(newest);
    for (const id of ids) await this.openDraft(id).catch(() => null);
    const { open } = this.store.getState();
    const active = open.find(({ id }) => id === session.active) ?? open[0];
    this.store.setState({ ready: true, active: active?.id ?? "" });
    this.remember();
    return open.length > 0;
  }

  /** Open a draft; what this browser has of it and the server has not goes on from there. */
  async openDraft(id: string): Promise<OpenDocument> {
    const known = this.find(id);
    if (known) {
      this.activate(id);
      return known;
    }
    const here = keptHere(id);
    const there = await this.client.draft(id).catch((error: unknown) => {
      if (error instanceof Refusal && error.status === 404 && here) return null;
      throw error;
    });
    const revision = there?.draft.revision ?? 0;
    if (here && here.revision === revision) {
      const file = { workflow: here.workflow, basedOn: here.basedOn, revision, dirty: true };
      const open = this.add(openDocument(id, readDocument(here.document), file));
      void this.journals.get(id)?.now();
      return open;
    }
    const document = readDocument(there?.document);
    const { workflow = "", based_on: basedOn = 0 } = there?.draft ?? {};
    return this.add(openDocument(id, document, { workflow, basedOn, revision, dirty: !workflow }));
  }

  /** Open a document that has no draft yet, in front. */
  openNew(document: Document = emptyDocument(), from: { workflow?: string; basedOn?: number } = {}): OpenDocument {
    const { workflow = "", basedOn = 0 } = from;
    const open = this.add(openDocument(newId(), document, { workflow, basedOn, dirty: !workflow }));
    void this.journals
      .get(open.id)
      ?.now()
      .then(() => open.file.setState({ dirty: !workflow }));
    return open;
  }

  /** Open a saved workflow: its draft if there is one, else its newest version. */
  async openWorkflow(id: string): Promise<OpenDocument> {
    const already = this.store.getState().open.find((one) => one.file.getState().workflow === id);
    if (already) {
      this.activate(already.id);
      return already;
    }
    const draft = (await this.client.drafts()).drafts.find(({ workflow }) => workflow === id);
    if (draft) return this.openDraft(draft.id);
    const found = await this.client.workflow(id);
    const { document } = await this.client.open(found.document);
    const open = this.openNew(readDocument(document), { workflow: id, basedOn: found.version });
    return open;
  }

  /** Close a tab. A draft that is nothing but a saved version is forgotten; `forget` forgets any. */
  async close(id: string, forget = false): Promise<void> {
    const closed = this.find(id);
    if (!closed) return;
    const journal = this.journals.get(id);
    if (!forget) await journal?.flush();
    const { open, active } = this.store.getState();
    const at = open.indexOf(closed);
    const rest = open.filter((one) => one !== closed);
    this.store.setState({
      open: rest,
      active: active === id ? (rest[Math.min(at, rest.length - 1)]?.id ?? "") : active,
    });
    journal?.close();
    this.journals.delete(id);
    this.remember();
    const { dirty, journal: how } = closed.file.getState();
    if (how !== "conflict" && (forget || !dirty)) {
      journal?.forget();
      await this.client.removeDraft(id).catch(() => null);
    }
  }

  /** Put what the server has in place of what is here: somebody else has changed it. */
  async reload(id: string): Promise<void> {
    const open = this.find(id);
    if (!open) return;
    const { document, draft } = await this.client.draft(id);
    this.journals.get(id)?.forget();
    this.replace(open, readDocument(document), draft.revision);
  }

  /** Go on with a copy of what is here, and leave the other window its own. */
  copy(id: string): void {
    const open = this.find(id);
    if (!open) return;
    const document = open.document.getState();
    this.journals.get(id)?.forget();
    this.openNew({ ...document, title: `${document.title || "Untitled"} (copy)` });
    void this.close(id).catch(() => null);
  }

  journal(id: string): Journal | undefined {
    return this.journals.get(id);
  }

  /** The server is there again. */
  online(): void {
    for (const journal of this.journals.values()) journal.retry();
  }

  heard(draft: string, revision: number, window: string): void {
    this.journals.get(draft)?.heard(revision, window);
  }

  private replace(open: OpenDocument, document: Document, revision: number): void {
    this.journals.get(open.id)?.close();
    open.document.reset(document);
    open.file.setState({ revision, journal: "kept" });
    open.view.setState({ readOnly: false, selection: new Set(), path: [], scope: [] });
    this.journals.set(open.id, new Journal(this.client, open, this.window));
  }

  private add(open: OpenDocument): OpenDocument {
    this.journals.set(open.id, new Journal(this.client, open, this.window));
    this.store.setState((state) => ({ open: [...state.open, open], active: open.id }));
    this.remember();
    for (const listener of this.listeners) listener(open);
    return open;
  }

  private remember(): void {
    const { open, active } = this.store.getState();
    this.lists.keep({ open: open.map(({ id }) => id), active });
  }
}
