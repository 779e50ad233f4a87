/** The editor as a whole: made once in `main`, handed down, never global. */
import { createStore, type StoreApi } from "zustand/vanilla";
import { Client, Refusal } from "../api/client";
import type { FileMessage } from "../api/wire";
import { Refused, readDocument } from "../core/document";
import type { Problem } from "../core/types";
import { followProblems } from "./live_validation";
import type { OpenDocument } from "./open_document";
import { groundOf } from "./packs/pack_ground";
import { PackHost } from "./packs/pack_host";
import { ServerFeed } from "./server_feed";
import { createSettings, followTheme, type Settings, type SettingsStore } from "./settings";
import { createServer, type ServerStore, type ViewState } from "./stores";
import { Runner } from "./submit";
import { followTitle } from "./tab_title";
import { Workspace } from "./workspace";

export type Panel = "library" | "outline" | "gallery" | "workflows" | "inspector" | "queue";
/** A panel of the editor, or one that a pack brings, by its name. */
export type PanelName = Panel | `pack:${string}`;
export type DialogName = "commands" | "settings" | "help" | "batch" | "versions" | "save" | "about";

/** What of the shell is open. Not kept but for the panels. */
export interface ShellState {
  left: PanelName | null;
  right: PanelName | null;
  dialog: DialogName | null;
  /** Finished files being looked at, and which of them; two are compared when `against` is there. */
  viewer: { files: readonly FileMessage[]; at: number; against: string | null } | null;
  /** The grid of runs being looked at. */
  grid: string | null;
  /** What went wrong or was done, shown for a while. */
  notices: readonly Notice[];
  /** A file is being dragged over the page. */
  dropping: boolean;
}

export interface Notice {
  id: number;
  kind: "good" | "bad";
  text: string;
  fix: string;
}

export interface Editor {
  client: Client;
  server: ServerStore;
  workspace: Workspace;
  feed: ServerFeed;
  runner: Runner;
  settings: SettingsStore;
  shell: StoreApi<ShellState>;
  packs: PackHost;
}

/** All of it but the modules of packs, which are given it. */
export type Ground = Omit<Editor, "packs">;

const PANELS = "latentloom.panels";

export function createEditor(client = new Client()): Editor {
  const server = createServer();
  const workspace = new Workspace(client);
  const settings = createSettings();
  followTheme(settings);
  followProblems(workspace, server);
  const feed = new ServerFeed(client, server, workspace);
  const shell = createStore<ShellState>(() => ({
    ...readPanels(),
    dialog: null,
    viewer: null,
    grid: null,
    notices: [],
    dropping: false,
  }));
  shell.subscribe((now, before) => {
    if (now.left === before.left && now.right === before.right) return;
    localStorage.setItem(PANELS, JSON.stringify({ left: now.left, right: now.right }));
  });
  settings.subscribe((now, before) => {
    if (OF_VIEWS.every((name) => now[name] === before[name])) return;
    for (const { view } of workspace.store.getState().open) view.setState(ofViews(now));
  });
  workspace.onOpen(({ view }) => view.setState(ofViews(settings.getState())));
  followTitle(server, workspace);
  const refused = (problems: readonly Problem[]) => sayProblems(editor, problems);
  const runner = new Runner(
    client,
    feed,
    () => server.getState().palette,
    refused,
    () => server.getState().models,
  );
  const editor: Ground = { client, server, workspace, feed, runner, settings, shell };
  return { ...editor, packs: new PackHost(groundOf(editor)) };
}

/** Ask for the nodes, open what was open; if nothing ever was, the first template, ready to be run. */
export async function start(editor: Editor): Promise<void> {
  await editor.feed.refresh().catch(() => null);
  editor.feed.connect();
  const restored = await editor.workspace.restore().catch(() => false);
  if (restored) return;
  const { templates } = await editor.client.templates().catch(() => ({ templates: [] }));
  const first = templates[0];
  if (first) await openJson(editor, first.document).catch(() => editor.workspace.openNew());
  else editor.workspace.openNew();
  editor.workspace.store.setState({ ready: true });
}

/** Settings that every open document's view has. */
const OF_VIEWS = ["snap", "minimap", "wheel", "linkStyle"] as const;

const ofViews = ({ snap, minimap, wheel, linkStyle }: Settings): Partial<ViewState> => ({
  snap,
  minimap,
  wheel,
  linkStyle,
});

let notices = 0;

type Shown = Pick<Editor, "shell">;

export function say(editor: Shown, kind: Notice["kind"], text: string, fix = ""): void {
  notices += 1;
  const notice: Notice = { id: notices, kind, text, fix };
  editor.shell.setState(({ notices: known }) => ({ notices: [...known.slice(-2), notice] }));
  setTimeout(() => forget(editor, notice.id), kind === "good" ? 4000 : 12_000);
}

export function forget(editor: Shown, id: number): void {
  editor.shell.setState(({ notices: known }) => ({ notices: known.filter((one) => one.id !== id) }));
}

export function sayProblems(editor: Shown, problems: readonly Problem[]): void {
  const [first, ...more] = problems;
  if (!first) return;
  const rest = more.length ? ` (+${more.length})` : "";
  say(editor, "bad", `${first.place}: ${first.what}${rest}`, first.fix);
}

/** Do something that the server may refuse; what it says is shown. */
export async function attempt<T>(editor: Shown, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal || error instanceof Refused) sayProblems(editor, error.problems);
    else say(editor, "bad", error instanceof Error ? error.message : String(error));
    return null;
  }
}

/** Open any document the server understands, in a new tab. */
export async function openJson(editor: Editor, json: Record<string, unknown>): Promise<OpenDocument> {
  const { document } = await editor.client.open(json);
  return editor.workspace.openNew(readDocument(document));
}

/** Open a dropped or chosen file: a workflow, or a picture that carries one. */
export async function openFile(editor: Editor, file: File): Promise<void> {
  await attempt(editor, async () => {
    const { document } = await editor.client.openUpload(file);
    const read = readDocument(document);
    const name = file.name.replace(/\.[^.]+$/, "");
    editor.workspace.openNew(read.title ? read : { ...read, title: name });
  });
}

function readPanels(): Pick<ShellState, "left" | "right"> {
  try {
    const said = JSON.parse(localStorage.getItem(PANELS) ?? "null") as Pick<ShellState, "left" | "right"> | null;
    if (said) return { left: said.left ?? null, right: said.right ?? null };
  } catch {
    // the usual then
  }
  return innerWidth < 900 ? { left: null, right: null } : { left: null, right: "queue" };
}
