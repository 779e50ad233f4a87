import { expect, it, vi } from "vitest";
import type { Problem } from "../../core/types";
import { can } from "../commands/command";
import { createSettings, type SettingsStore } from "../settings";
import { createServer, type ServerStore } from "../stores";
import type { PackApp } from "./contract";
import { type Ground, PackHost } from "./pack_host";

const noStorage = (): Storage => ({ getItem: () => null, setItem: () => {} }) as unknown as Storage;

interface Bench {
  host: PackHost;
  server: ServerStore;
  settings: SettingsStore;
  failed: Problem[];
  told: Map<string, (value?: never) => void>;
}

/** Packs by name, each with its module. */
async function bench(modules: Record<string, unknown>): Promise<Bench> {
  const server = createServer();
  const settings = createSettings(noStorage());
  const failed: Problem[] = [];
  const told = new Map<string, (value?: never) => void>();
  const ground: Ground = {
    server,
    settings,
    load: (address) => {
      const module = modules[address];
      return module instanceof Error ? Promise.reject(module) : Promise.resolve(module);
    },
    workflow: { read: () => ({ steps: {} }), selection: () => [], set: () => {}, run: () => {} },
    on: (event, heard) => {
      told.set(event, heard);
      return () => told.delete(event);
    },
    say: () => {},
    failed: (problem) => failed.push(problem),
    toggle: () => {},
  };
  const host = new PackHost(ground);
  server.setState({ packs: Object.keys(modules).map((name) => ({ name, editor: name })) });
  await settled();
  return { host, server, settings, failed, told };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const at = null as never; // no command of these tests looks at where it is
const commands = ({ host }: Bench) => host.store.getState().commands.map(({ id }) => id);
const tidy = (app: PackApp) => app.commands.add({ id: "tidy", label: "Tidy up", keys: ["Alt+T"], run: () => {} });
const panel = (app: PackApp) => app.panels.add({ id: "list", label: "List", render: () => {} });

it("what a pack adds is there under its name, and a panel has a command", async () => {
  const made = await bench({ one: { api: 1, activate: (app: PackApp) => void [tidy(app), panel(app)] } });
  expect(commands(made)).toEqual(["one.tidy", "one.list.panel"]);
  expect(made.host.store.getState().panels.map(({ name }) => name)).toEqual(["one.list"]);
  expect(made.host.store.getState().commands[0]).toMatchObject({ title: "Tidy up", keys: ["Alt+T"], group: "pack" });
});

it("two packs may use the same ids; one pack may not use one twice", async () => {
  const twice = (app: PackApp) => void [tidy(app), tidy(app)];
  const made = await bench({ one: { api: 1, activate: tidy }, two: { api: 1, activate: twice } });
  expect(commands(made)).toEqual(["one.tidy", "two.tidy"]);
  expect(made.failed.map(({ place, what }) => [place, what])).toEqual([
    ["two", "two: it has added the command tidy already."],
  ]);
});

it("a pack that throws is a Problem of its own, and the others go on", async () => {
  const activate = () => {
    throw new Error("no luck");
  };
  const made = await bench({ bad: { api: 1, activate }, gone: new Error("404"), good: { api: 1, activate: tidy } });
  expect(commands(made)).toEqual(["good.tidy"]);
  expect(made.host.store.getState().problems).toMatchObject({ bad: [{ what: "no luck" }], gone: [{ what: "404" }] });
});

it.each([
  ["is no module of this kind", {}, /has no activate/],
  ["is for a newer editor", { api: 2, activate: tidy }, /version 2 of the editor.*newer editor/],
  ["says no version", { activate: tidy }, /Write: export const api = 1/],
])("a pack that %s is told so", async (_, module, what) => {
  const made = await bench({ one: module });
  expect(commands(made)).toEqual([]);
  expect(made.failed[0]?.what).toMatch(what);
});

it.each([
  [{ id: "a b", label: "x", run: () => {} }],
  [{ id: "a", label: " ", run: () => {} }],
  [{ id: "a", label: "x" }],
])("an odd command is refused with the reason: %j", async (given) => {
  const made = await bench({ one: { api: 1, activate: (app: PackApp) => app.commands.add(given as never) } });
  expect(commands(made)).toEqual([]);
  expect(made.failed).toHaveLength(1);
});

it("what a command throws, now or later, is told once", async () => {
  const activate = (app: PackApp) => {
    app.commands.add({ id: "now", label: "Now", run: () => JSON.parse("{") });
    app.commands.add({ id: "later", label: "Later", run: () => Promise.reject(new Error("later")) });
    app.commands.add({ id: "asked", label: "Asked", when: () => JSON.parse("["), run: () => {} });
  };
  const made = await bench({ one: { api: 1, activate } });
  const [now, later, asked] = made.host.store.getState().commands;
  now?.run(at);
  now?.run(at);
  later?.run(at);
  expect(asked && can(asked, at)).toBe(false);
  await settled();
  expect(made.failed).toHaveLength(3);
});

it("turning one pack off takes away all it added, and nothing of others; turning it on brings it back", async () => {
  const heard = vi.fn();
  const left: PackApp[] = [];
  const activate = (app: PackApp) => {
    left.push(app);
    tidy(app);
    panel(app);
    app.settings.add({ id: "loud", label: "Loud", usual: false });
    app.on("workflow", heard);
  };
  const made = await bench({ one: { api: 1, activate }, two: { api: 1, activate: tidy } });
  made.settings.setState({ packsOff: ["one"] });
  expect(commands(made)).toEqual(["two.tidy"]);
  expect(made.host.store.getState()).toMatchObject({ panels: [], settings: [] });
  expect(made.told.has("workflow")).toBe(false);
  left[0] && tidy(left[0]); // it comes too late
  expect(commands(made)).toEqual(["two.tidy"]);
  made.settings.setState({ packsOff: [] });
  await settled();
  expect(commands(made)).toEqual(["two.tidy", "one.tidy", "one.list.panel"]);
  made.settings.setState({ packWidgets: false });
  expect(commands(made)).toEqual([]);
});

it("a module that has changed on the server takes the old one's place", async () => {
  const second = (app: PackApp) => app.commands.add({ id: "new", label: "New", run: () => {} });
  const made = await bench({ one: { api: 1, activate: tidy }, second: { api: 1, activate: second } });
  made.server.setState({ packs: [{ name: "one", editor: "second" }] });
  await settled();
  expect(commands(made)).toEqual(["one.new"]);
});

it("a setting is what was chosen, if it is of the kind that the pack says now", async () => {
  let get: () => unknown = () => null;
  const activate = (app: PackApp) => {
    ({ get } = app.settings.add({ id: "size", label: "Size", usual: 3 }));
  };
  const made = await bench({ one: { api: 1, activate } });
  expect(get()).toBe(3);
  made.settings.setState({ packSettings: { "one.size": 8 } });
  expect(get()).toBe(8);
  made.settings.setState({ packSettings: { "one.size": "large" } });
  expect(get()).toBe(3);
});
