/**
 * Which documents this browser window has open: each window has a list of its own.
 *
 * A window's list is in its session storage, which a reload keeps, and beside the lists of the other windows in the
 * browser's, so that a window that was closed, or died, is taken up by the next one that has no list. Whether a window
 * is still there, a lock says that it holds for as long as it lives.
 */
import { newId } from "./open_document";

export interface Listed {
  open: readonly string[];
  active: string;
}

export interface WindowList extends Listed {
  id: string;
  /** When it was changed last, milliseconds since 1970. */
  changed: number;
}

const SESSION = "latentloom.session";
const WINDOWS = "latentloom.windows";
const MOST = 12; // lists of windows that are gone are not kept for ever
const NOTHING: Listed = { open: [], active: "" };

const lockOf = (id: string): string => `latentloom.window.${id}`;

/**
 * Whose list a window that begins goes on with: its own; if another has that (the tab was duplicated), a copy of it; if
 * it has none, that of the window that is gone and was changed last. `first` is whether no other window is there.
 */
export function choose(
  own: WindowList | null,
  all: readonly WindowList[],
  alive: ReadonlySet<string>,
  fresh: string,
): { id: string; list: Listed; first: boolean } {
  const first = !all.some(({ id }) => alive.has(id) && id !== own?.id);
  if (own) return { id: alive.has(own.id) ? fresh : own.id, list: own, first };
  const gone = all.filter(({ id, open }) => !alive.has(id) && open.length).sort((a, b) => b.changed - a.changed);
  const [last] = gone;
  return last ? { id: last.id, list: last, first } : { id: fresh, list: NOTHING, first };
}

export class WindowLists {
  private id = "";

  constructor(
    private readonly session: Storage = sessionStorage,
    private readonly shared: Storage = localStorage,
    private readonly locks: LockManager | undefined = navigator.locks,
  ) {}

  /** The list to begin with. From now on this window's list is kept. */
  async begin(): Promise<Listed & { first: boolean }> {
    if (!this.locks) return this.take(new Set()); // no secure context: then every other window counts as gone
    const { locks } = this;
    // One after the other, so that two windows that begin at once do not take up the same list.
    return locks.request("latentloom.windows", async () => {
      const { held = [] } = await locks.query();
      const prefix = lockOf("");
      const names = held.flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(prefix.length)] : []));
      const taken = this.take(new Set(names));
      await new Promise<void>((holding) => {
        void locks.request(lockOf(this.id), () => {
          holding();
          return new Promise(() => {}); // until the window is gone
        });
      });
      return taken;
    });
  }

  private take(alive: ReadonlySet<string>): Listed & { first: boolean } {
    const { id, list, first } = choose(this.own(), this.all(), alive, newId());
    this.id = id;
    return { open: list.open, active: list.active, first };
  }

  keep({ open, active }: Listed, now = Date.now()): void {
    if (!this.id) return;
    const mine: WindowList = { id: this.id, open, active, changed: now };
    try {
      this.session.setItem(SESSION, JSON.stringify(mine));
      const others = this.all().filter(({ id }) => id !== this.id);
      const newest = [mine, ...others.sort((a, b) => b.changed - a.changed)].slice(0, MOST);
      this.shared.setItem(WINDOWS, JSON.stringify(newest));
    } catch {
      // Full or forbidden. The drafts are on the server; only which tabs were open is lost.
    }
  }

  private own(): WindowList | null {
    return listsIn(`[${this.session.getItem(SESSION) ?? ""}]`)[0] ?? null;
  }

  private all(): WindowList[] {
    return listsIn(this.shared.getItem(WINDOWS) ?? "[]");
  }
}

function listsIn(text: string): WindowList[] {
  try {
    const said = JSON.parse(text) as unknown;
    return Array.isArray(said) ? said.filter(isList) : [];
  } catch {
    return [];
  }
}

function isList(one: unknown): one is WindowList {
  const { id, open, active, changed } = (one ?? {}) as Record<string, unknown>;
  const texts = Array.isArray(open) && open.every((each) => typeof each === "string");
  return typeof id === "string" && texts && typeof active === "string" && typeof changed === "number";
}
