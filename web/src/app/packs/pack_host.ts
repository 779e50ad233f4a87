/**
 * Runs the modules that packs bring for the editor, one apart from the other: what one throws is a Problem of that pack,
 * and everything it added is gone when it is turned off.
 */
import { createStore, type StoreApi } from "zustand/vanilla";
import type { Json, Problem } from "../../core/types";
import type { Command } from "../commands/command";
import type { SettingsStore } from "../settings";
import type { ServerStore } from "../stores";
import { API, checkEntry, type Dispose, type PackApp, type PackPanel, type PackSetting, wrongWith } from "./contract";

export interface Added<T> {
  pack: string;
  /** "pack.id" */
  name: string;
  given: T;
}

/** All that packs have added so far. */
export interface Brought {
  commands: readonly Command[];
  panels: readonly Added<PackPanel>[];
  settings: readonly Added<PackSetting>[];
  problems: Readonly<Record<string, readonly Problem[]>>;
}

/** What the host needs of the editor: given, so that it is tested without one. */
export interface Ground {
  server: ServerStore;
  settings: SettingsStore;
  load(address: string): Promise<unknown>;
  workflow: PackApp["workflow"];
  on(event: "workflow" | "selection" | "run", heard: (value?: never) => void): Dispose;
  say(text: string): void;
  /** A pack did something wrong: told once for each. */
  failed(problem: Problem): void;
  /** Show a panel, or hide it. */
  toggle(panel: Added<PackPanel>): void;
}

interface Active {
  address: string;
  stop: AbortController;
}

export class PackHost {
  readonly store: StoreApi<Brought> = createStore<Brought>(() => ({
    commands: [],
    panels: [],
    settings: [],
    problems: {},
  }));
  private readonly active = new Map<string, Active>();
  private readonly leave: Dispose[];

  constructor(private readonly ground: Ground) {
    const { server, settings } = ground;
    this.leave = [
      server.subscribe((now, before) => now.packs !== before.packs && this.follow()),
      settings.subscribe((now, before) => {
        if (now.packWidgets !== before.packWidgets || now.packsOff !== before.packsOff) this.follow();
      }),
    ];
    this.follow();
  }

  close(): void {
    for (const one of this.leave) one();
    for (const pack of [...this.active.keys()]) this.end(pack);
  }

  /** Begin what is wanted and does not run, end what runs and is not wanted. */
  private follow(): void {
    const wanted = new Map<string, string>();
    for (const { name, editor } of this.ground.server.getState().packs) {
      if (typeof editor === "string" && editor && isOn(this.ground.settings, String(name)))
        wanted.set(String(name), editor);
    }
    for (const [pack, { address }] of this.active) if (wanted.get(pack) !== address) this.end(pack);
    for (const [pack, address] of wanted) if (!this.active.has(pack)) void this.begin(pack, address);
  }

  private async begin(pack: string, address: string): Promise<void> {
    const stop = new AbortController();
    this.active.set(pack, { address, stop });
    try {
      const entry = checkEntry(await this.ground.load(address), pack);
      if (entry instanceof Error) throw entry;
      if (!stop.signal.aborted) await entry(this.appFor(pack, stop.signal));
    } catch (error) {
      if (!stop.signal.aborted) this.wrong(pack, error);
    }
  }

  private end(pack: string): void {
    this.active.get(pack)?.stop.abort();
    this.active.delete(pack);
    const { [pack]: _, ...problems } = this.store.getState().problems;
    this.store.setState({ problems });
  }

  /** Lay an error at a pack's door. */
  wrong(pack: string, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error);
    const known = this.store.getState().problems[pack] ?? [];
    if (known.some(({ what }) => what === said)) return;
    const fix = "Correct the pack, or turn it off in the settings.";
    const problem: Problem = { code: "pack-failed", place: pack, what: said, fix, step: "", field: "" };
    this.store.setState(({ problems }) => ({ problems: { ...problems, [pack]: [...known.slice(-9), problem] } }));
    this.ground.failed(problem);
  }

  /** Call into a pack. What it throws, now or later, is its Problem. */
  private call<T>(pack: string, work: () => T): T | undefined {
    try {
      const made = work();
      if (made instanceof Promise) made.catch((error: unknown) => this.wrong(pack, error));
      return made;
    } catch (error) {
      this.wrong(pack, error);
      return undefined;
    }
  }

  private appFor(pack: string, signal: AbortSignal): PackApp {
    const { ground, store } = this;
    const add = <List extends "commands" | "panels" | "settings">(list: List, one: Brought[List][number]): Dispose => {
      if (signal.aborted) return () => {};
      const change = (next: readonly unknown[]) => store.setState({ [list]: next } as unknown as Partial<Brought>);
      change([...store.getState()[list], one]);
      const remove = () => change((store.getState()[list] as readonly unknown[]).filter((other) => other !== one));
      signal.addEventListener("abort", remove);
      return remove;
    };
    const checked = (what: Parameters<typeof wrongWith>[0], given: { id: string }): string => {
      const wrong = wrongWith(what, given);
      if (wrong) throw new Error(`${pack}: ${wrong}.`);
      const name = `${pack}.${given.id}`;
      const { commands, panels, settings } = store.getState();
      const taken = { command: commands.map(({ id }) => id), panel: panels, setting: settings }[what];
      if (taken.some((one) => (typeof one === "string" ? one : one.name) === name))
        throw new Error(`${pack}: it has added the ${what} ${given.id} already.`);
      return name;
    };
    return Object.freeze({
      api: API,
      commands: {
        add: (given) => {
          const id = checked("command", given);
          return add("commands", this.commandOf(pack, id, given));
        },
      },
      panels: {
        add: (given) => {
          const panel = { pack, name: checked("panel", given), given };
          const command = this.commandOf(pack, `${panel.name}.panel`, {
            id: given.id,
            label: given.label,
            run: () => ground.toggle(panel),
          });
          const both = [add("panels", panel), add("commands", command)];
          return () => both.forEach((one) => void one());
        },
      },
      settings: {
        add: (given) => {
          const name = checked("setting", given);
          const remove = add("settings", { pack, name, given });
          return { get: () => settingOf(ground.settings, name, given), remove };
        },
      },
      on: (event, heard) => {
        const tell = (value?: never) =>
          signal.aborted ? undefined : this.call(pack, () => (heard as (value?: unknown) => unknown)(value));
        const leave =
          event === "settings"
            ? ground.settings.subscribe((now, before) => now.packSettings !== before.packSettings && tell())
            : ground.on(event, tell);
        signal.addEventListener("abort", leave);
        return leave;
      },
      workflow: {
        read: () => ground.workflow.read(),
        selection: () => ground.workflow.selection(),
        set: (step, values) => (signal.aborted ? undefined : ground.workflow.set(step, values)),
        run: (targets) => (signal.aborted ? undefined : ground.workflow.run(targets)),
      },
      say: (text) => (signal.aborted ? undefined : ground.say(String(text))),
    } satisfies PackApp);
  }

  private commandOf(pack: string, id: string, given: Parameters<PackApp["commands"]["add"]>[0]): Command {
    const { when, menu, edits } = given;
    return {
      id,
      group: "pack",
      label: "c.pack",
      title: given.label,
      keys: (given.keys ?? []).filter((one) => typeof one === "string"),
      ...(menu ? { menu } : {}),
      ...(edits ? { edits } : {}),
      when: () => (when ? Boolean(this.call(pack, () => when.call(given))) : true),
      run: () => void this.call(pack, () => given.run()),
    };
  }
}

/** Whether the modules of a pack may run in the page. */
export function isOn(settings: SettingsStore, pack: string): boolean {
  const { packWidgets, packsOff } = settings.getState();
  return ALLOWED && packWidgets && !packsOff.includes(pack);
}

/** The way back from a pack that makes the page unusable: the address with ?packs=off. */
const ALLOWED = typeof location === "undefined" || new URLSearchParams(location.search).get("packs") !== "off";

/** What was chosen for a pack's setting, if it is of the kind that the pack says; else the usual. */
export function settingOf(settings: SettingsStore, name: string, given: PackSetting): boolean | number | string {
  const chosen: Json | undefined = settings.getState().packSettings[name];
  return typeof chosen === typeof given.usual ? (chosen as boolean | number | string) : given.usual;
}
