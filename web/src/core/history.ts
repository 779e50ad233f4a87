/**
 * An open document, and the way back: every change is a command, and a command knows how to be undone.
 *
 * `DocumentStore` has the interface of a zustand vanilla store (`getState`, `getInitialState`, `subscribe`), so that
 * `useStore(store, selector)` takes it. Documents are frozen and share what did not change. One gesture (a drag, a
 * word typed) is one step back: commands with the same gesture id are merged. Results and selection are not in here.
 */

import { enablePatches, freeze, type Patch, produceWithPatches } from "immer";
import type { Document, Path } from "./types";

enablePatches();

/** A change to a document. `label` is the key of its name in the history. */
export interface Command<T = void> {
  readonly label: string;
  /** The board it happens on, so that undoing it can go there. */
  readonly path?: Path;
  /** Change the draft; throw to change nothing. */
  readonly change: (draft: Document) => T;
}

export interface Change {
  label: string;
  path: Path;
  patches: readonly Patch[];
  cause: "run" | "undo" | "redo" | "reset";
}

export type Listener = (state: Document, previous: Document, change: Change) => void;

/** Both states are kept, sharing what is the same: going back gives the very document, the order of its keys too. */
interface Entry {
  label: string;
  path: Path;
  gesture: string;
  before: Document;
  after: Document;
  forward: readonly Patch[];
  back: readonly Patch[];
}

export class DocumentStore {
  private readonly first: Document;
  private state: Document;
  private readonly listeners = new Set<Listener>();
  private done: Entry[] = [];
  private undone: Entry[] = [];
  /** Counts the changes, undone ones too: what autosave compares. */
  revision = 0;

  /** `most` entries are remembered. */
  constructor(
    document: Document,
    private readonly most = 1000,
  ) {
    this.first = this.state = freeze(document, true);
  }

  getState = (): Document => this.state;
  getInitialState = (): Document => this.first;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  /** Make a change; what the command gives. Successive commands with the same gesture id become one step back. */
  run = <T>(command: Command<T>, gesture = ""): T => {
    let result!: T;
    const [next, forward, back] = produceWithPatches(this.state, (draft) => {
      result = command.change(draft as Document);
    });
    if (!forward.length) return result;
    const last = this.done.at(-1);
    const path = command.path ?? [];
    if (gesture && last?.gesture === gesture && !this.undone.length) merge(last, forward, back);
    else this.done.push({ label: command.label, path, gesture, before: this.state, after: next, forward, back });
    this.done.at(-1)!.after = next;
    if (this.done.length > this.most) this.done.shift();
    this.undone = [];
    this.become(next, { label: command.label, path, patches: forward, cause: "run" });
    return result;
  };

  /** Take back the last step; false if there is none. */
  undo = (): boolean => this.step(this.done, this.undone, "undo");
  redo = (): boolean => this.step(this.undone, this.done, "redo");

  /** Labels of what undo and redo would do, "" for nothing. */
  get undoLabel(): string {
    return this.done.at(-1)?.label ?? "";
  }
  get redoLabel(): string {
    return this.undone.at(-1)?.label ?? "";
  }

  /** How many steps back there are. */
  get depth(): number {
    return this.done.length;
  }

  /** Begin anew with another document: another version was opened in its place. */
  reset = (document: Document): void => {
    this.done = [];
    this.undone = [];
    this.become(freeze(document, true), { label: "", path: [], patches: [], cause: "reset" });
  };

  private step(from: Entry[], to: Entry[], cause: "undo" | "redo"): boolean {
    const entry = from.pop();
    if (!entry) return false;
    entry.gesture = ""; // a gesture that was taken back is over
    to.push(entry);
    const [next, patches] = cause === "undo" ? [entry.before, entry.back] : [entry.after, entry.forward];
    this.become(next, { label: entry.label, path: entry.path, patches, cause });
    return true;
  }

  private become(next: Document, change: Change): void {
    const previous = this.state;
    this.state = next;
    this.revision += 1;
    for (const listener of [...this.listeners]) listener(next, previous, change);
  }
}

/** One entry that does both. A drag only replaces the same places again: then the last word counts. */
function merge(entry: Entry, forward: readonly Patch[], back: readonly Patch[]): void {
  const places = new Set(entry.forward.map(place));
  const again = forward.every((one) => one.op === "replace" && places.has(place(one)));
  if (again && entry.forward.every((one) => one.op === "replace") && places.size === forward.length) {
    entry.forward = forward;
    return;
  }
  entry.forward = [...entry.forward, ...forward];
  entry.back = [...back, ...entry.back];
}

const place = (patch: Patch): string => JSON.stringify(patch.path);
