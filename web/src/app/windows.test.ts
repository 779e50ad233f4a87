import { expect, it } from "vitest";
import { choose, type WindowList, WindowLists } from "./windows";

const list = (id: string, open: string[], changed = 1): WindowList => ({ id, open, active: open[0] ?? "", changed });
const A = list("a", ["one", "two"], 5);
const B = list("b", ["three"], 9);

it("a reloaded window goes on with its own list, whatever others have done since", () => {
  expect(choose(A, [A, B], new Set(["b"]), "new")).toEqual({ id: "a", list: A, first: false });
});

it("a duplicated tab has a copy, and is another window from then on", () => {
  expect(choose(A, [A, B], new Set(["a"]), "new")).toMatchObject({ id: "new", list: A });
});

it("a new window takes up the one that was closed or died last, never one that is still there", () => {
  expect(choose(null, [A, B], new Set(), "new")).toEqual({ id: "b", list: B, first: true });
  expect(choose(null, [A, B], new Set(["b"]), "new")).toMatchObject({ id: "a", list: A, first: false });
  const none = { id: "new", list: { open: [], active: "" }, first: false };
  expect(choose(null, [A, B], new Set(["a", "b"]), "new")).toEqual(none);
  expect(choose(null, [list("c", [])], new Set(), "new")).toMatchObject({ id: "new", first: true });
});

/** Storage and locks as a browser's windows share them; a window ends when its locks are let go. */
class Browser {
  readonly shared = storage();
  private readonly held = new Set<string>();
  private queue: Promise<unknown> = Promise.resolve();

  locks(): LockManager {
    const request = (name: string, work: () => Promise<unknown>) => {
      if (name !== "latentloom.windows") {
        this.held.add(name);
        return work();
      }
      this.queue = this.queue.then(work, work);
      return this.queue;
    };
    const query = () => Promise.resolve({ held: [...this.held].map((name) => ({ name })) });
    return { request, query } as unknown as LockManager;
  }

  close(id: string): void {
    this.held.delete(`latentloom.window.${id}`);
  }
}

function storage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
  } as unknown as Storage;
}

it("two windows keep two lists; one that is closed is taken up once", async () => {
  const browser = new Browser();
  const session = storage();
  const first = new WindowLists(session, browser.shared, browser.locks());
  const second = new WindowLists(storage(), browser.shared, browser.locks());
  await Promise.all([first.begin(), second.begin()]);
  first.keep({ open: ["one"], active: "one" }, 1);
  second.keep({ open: ["two"], active: "two" }, 2);
  expect((await new WindowLists(storage(), browser.shared, browser.locks()).begin()).open).toEqual([]);
  browser.close(JSON.parse(session.getItem("latentloom.session") ?? "").id);
  const again = new WindowLists(storage(), browser.shared, browser.locks());
  const fourth = new WindowLists(storage(), browser.shared, browser.locks());
  const opened = await Promise.all([again.begin(), fourth.begin()]);
  expect(opened.map(({ open }) => open)).toEqual([["one"], []]);
});

it("what is broken in the storage is nothing", async () => {
  const browser = new Browser();
  for (const text of ["{", "3", '[{"id": 1}]', "null"]) browser.shared.setItem("latentloom.windows", text);
  const session = storage();
  session.setItem("latentloom.session", '{"open": [1]}');
  expect(await new WindowLists(session, browser.shared, browser.locks()).begin()).toMatchObject({ open: [] });
});
