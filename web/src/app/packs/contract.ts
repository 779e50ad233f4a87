/**
 * What a pack's module for the editor must be, version 1: a plain ES module with
 *
 *     export const api = 1;
 *     export function activate(app) { app.commands.add({ id: "tidy", label: "Tidy up", run() {…} }); }
 *
 * `app` is all of the editor that it reaches. Each `add` and `on` gives what takes it away again; turning the pack off
 * takes away everything. Ids are the pack's own: nobody else's "tidy" is in its way.
 */
import type { Json } from "../../core/types";

export const API = 1;

export type Dispose = () => void;

export interface PackCommand {
  id: string;
  label: string;
  /** Usual shortcuts, "Mod+Alt+T". The editor's own and what a person chose go first. */
  keys?: readonly string[];
  /** Also in the menu of nodes, or of the empty canvas. It is in the main menu and the list of commands anyway. */
  menu?: "node" | "canvas";
  /** It changes the workflow: not offered while somebody else has it. */
  edits?: boolean;
  when?(): boolean;
  run(): unknown;
}

export interface PackPanel {
  id: string;
  label: string;
  side?: "left" | "right";
  /** Draws into `el`, in a shadow root of its own; gives what tidies up. */
  render(at: { el: HTMLElement; signal: AbortSignal }): unknown;
}

/** A setting with its usual value, which says what kind it is. */
export interface PackSetting {
  id: string;
  label: string;
  usual: boolean | number | string;
}

/** A run that is over. */
export interface PackRun {
  id: string;
  status: string;
  seconds: number | null;
  files: { id: string; name: string; media: string; url: string }[];
}

export interface PackEvents {
  /** The workflow in front has changed, or is another one. */
  workflow: () => void;
  selection: () => void;
  settings: () => void;
  run: (run: PackRun) => void;
}

export interface PackApp {
  readonly api: number;
  readonly commands: { add(command: PackCommand): Dispose };
  readonly panels: { add(panel: PackPanel): Dispose };
  readonly settings: { add(setting: PackSetting): { get(): boolean | number | string; remove: Dispose } };
  on<Name extends keyof PackEvents>(event: Name, heard: PackEvents[Name]): Dispose;
  readonly workflow: {
    /** The workflow in front as it is saved, a copy; null while there is none. */
    read(): { [name: string]: Json } | null;
    /** Ids of the selected steps of the top level. */
    selection(): string[];
    /** Change values of a step of the top level, in one step of undo. */
    set(step: string, values: Record<string, Json>): void;
    run(targets?: readonly string[]): void;
  };
  /** Say something for a while. */
  say(text: string): void;
}

export type Activate = (app: PackApp) => unknown;

/** `activate` of a module, or an Error that says what is wrong with it. */
export function checkEntry(module: unknown, pack: string): Activate | Error {
  const { api, activate } = (module ?? {}) as { api?: unknown; activate?: unknown };
  if (typeof activate !== "function") {
    return new Error(`${pack} has no activate(). Write: export const api = ${API}; export function activate(app) {…}`);
  }
  if (api !== API) {
    const newer = typeof api === "number" && api > API;
    const fix = newer ? "Use a newer editor, or an older version of the pack." : `Write: export const api = ${API};`;
    return new Error(`${pack} is written for version ${String(api)} of the editor; this is ${API}. ${fix}`);
  }
  return activate as Activate;
}

/** What is wrong with something a pack adds; "" if nothing is. */
export function wrongWith(what: "command" | "panel" | "setting", given: unknown): string {
  const one = (given ?? {}) as Partial<PackCommand & PackPanel & PackSetting>;
  if (typeof one.id !== "string" || !/^[\w-]{1,60}$/.test(one.id))
    return `a ${what} needs an id of letters, digits, - and _`;
  if (typeof one.label !== "string" || !one.label.trim()) return `the ${what} ${one.id} needs a label`;
  if (what === "command" && typeof one.run !== "function") return `the command ${one.id} needs run()`;
  if (what === "panel" && typeof one.render !== "function") return `the panel ${one.id} needs render()`;
  if (what === "setting" && !["boolean", "number", "string"].includes(typeof one.usual))
    return `the setting ${one.id} needs a usual value: true or false, a number or a text`;
  return "";
}
