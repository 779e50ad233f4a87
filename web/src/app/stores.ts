/**
 * The stores of one open document, and the one store of the server. Who draws subscribes to what it draws, by selector.
 *
 *     document   what is edited; changed by commands only (core)
 *     view       where one looks and what is chosen; never saved in the document
 *     run        what the document's newest run says of each step; never touches the document
 *     server     nodes there are, models, queue, runs, workers; shared by all documents
 */
import { createStore, type StoreApi } from "zustand/vanilla";
import type { FileMessage, ModelMessage, QueueMessage, RunMessage, WorkerMessage } from "../api/wire";
import type { Palette, Path, Point, Problem } from "../core/types";
import type { LinkStyle, Wheel } from "./settings";

// ── view ──

/** Canvas units × zoom + (x, y) = pixels from the canvas' upper left corner. */
export interface Viewport {
  x: number;
  y: number;
  zoom: number;
}

/** What a search-to-add palette was opened for: nodes that fit one end of a wire, or any node. */
export interface PaletteRequest {
  /** Where the node will be, in canvas units. */
  at: Point;
  /** Where the palette is shown, in page pixels; null for the middle. */
  screen: Point | null;
  /** The end that the new node shall be joined to. */
  from?: { step: string; name: string; side: "input" | "output"; type: string };
  /** Replace these steps instead of adding one. */
  replace?: string[];
}

/** Where a context menu was opened, and on what. */
export interface MenuRequest {
  screen: Point;
  at: Point;
  on: "canvas" | "step" | "link" | "group" | "note" | "input";
  id: string;
  /** Of an input or link: the input's name and index. */
  field?: string;
  index?: number;
}

/** What the canvas can be asked to do. It puts itself into `view.canvas` while it is mounted. */
export interface CanvasHandle {
  /** Show these steps, groups and notes, or everything. */
  fit(ids?: Iterable<string>, animate?: boolean): void;
  zoomBy(factor: number): void;
  zoomTo(zoom: number): void;
  /** Bring a step into view and give it the keyboard, on a field of it if named. */
  focusStep(step: string, field?: string): void;
  /** The middle of what is seen, in canvas units. */
  center(): Point;
  /** Look at a place from so near. */
  lookAt(center: Point, zoom: number): void;
  /** Page pixels → canvas units. */
  toCanvas(screen: Point): Point;
}

export interface ViewState {
  path: Path;
  /** Ids of the steps one went through to get to `path`: what the steps seen are called in a run begins with them. */
  scope: readonly string[];
  /** Ids of steps, groups and notes of the board at `path`. */
  selection: ReadonlySet<string>;
  viewport: Viewport;
  /** The step under the pointer. */
  hover: string | null;
  palette: PaletteRequest | null;
  menu: MenuRequest | null;
  /** Set while somebody else has the document: nothing may be changed. */
  readOnly: boolean;
  minimap: boolean;
  snap: boolean;
  wheel: Wheel;
  linkStyle: LinkStyle;
  canvas: CanvasHandle | null;
  /** The kind of node that is being dragged from a panel over the page; a browser does not say it before it is dropped. */
  carried: string | null;
}
export type ViewStore = StoreApi<ViewState>;

export function createView(): ViewStore {
  return createStore<ViewState>(() => ({
    path: [],
    scope: [],
    selection: new Set<string>(),
    viewport: { x: 0, y: 0, zoom: 1 },
    hover: null,
    palette: null,
    menu: null,
    readOnly: false,
    minimap: true,
    snap: false,
    wheel: "auto",
    linkStyle: "spline",
    canvas: null,
    carried: null,
  }));
}

// ── run ──

export type StepState = "waiting" | "running" | "done" | "reused" | "failed" | "skipped" | "cancelled";

/** What is known of a step of the newest run. Replaced as a whole when it changes, so `===` tells. */
export interface StepRun {
  state: StepState;
  /** Parts done of parts in all; total 0 when nobody said. */
  done: number;
  total: number;
  text: string;
  /** Address of the newest preview, to be shown as it is. */
  preview: string;
  seconds: number;
  peakBytes: number;
  /** Where a reused answer came from. */
  tier: string;
  /** Finished files that this step wrote. */
  files: readonly FileMessage[];
  problems: readonly Problem[];
  /** One line for each output. */
  outputs: Readonly<Record<string, string>>;
}

export interface RunState {
  /** The run that is shown; "" before there was one. */
  run: string;
  status: "" | RunMessage["status"];
  /** By step id on the board that was run; a step inside a subgraph is "outer/inner". */
  steps: Readonly<Record<string, StepRun>>;
  /** Seeds that were used, by "step.knob". */
  seeds: Readonly<Record<string, number>>;
  problems: readonly Problem[];
}
export type RunStore = StoreApi<RunState>;

/** What a step seen is called in a run: "outer/inner" inside a subgraph. */
export const runId = (scope: readonly string[], step: string): string => [...scope, step].join("/");

export const NO_RUN: RunState = { run: "", status: "", steps: {}, seeds: {}, problems: [] };

export function createRun(): RunStore {
  return createStore<RunState>(() => NO_RUN);
}

// ── problems ──

/** What is wrong with the document now, by the server's rules. */
export type ProblemsStore = StoreApi<{ problems: readonly Problem[] }>;

// ── server ──

export interface ServerState {
  connection: "connecting" | "live" | "lost" | "refused";
  /** When it was lost, for the banner. */
  lostAt: number;
  version: string;
  palette: Palette;
  /** Whether a worker of this server has said what nodes there are. */
  fresh: boolean;
  packs: readonly Record<string, unknown>[];
  models: readonly ModelMessage[];
  /** Names a FILE knob of a kind may have. */
  names: Readonly<Record<string, readonly string[]>>;
  /** Where files of a kind are looked for. */
  folders: Readonly<Record<string, readonly string[]>>;
  queue: QueueMessage;
  /** Newest first. */
  runs: readonly RunMessage[];
  workers: readonly WorkerMessage[];
  outputs: readonly FileMessage[];
  /** How far each active run is: 0 to 1, and the seconds left as far as can be told. */
  progress: Readonly<Record<string, { part: number; left: number | null }>>;
}
export type ServerStore = StoreApi<ServerState>;

export function createServer(): ServerStore {
  return createStore<ServerState>(() => ({
    connection: "connecting",
    lostAt: 0,
    version: "",
    palette: { nodes: new Map(), sockets: new Map() },
    fresh: false,
    packs: [],
    models: [],
    names: {},
    folders: {},
    queue: { paused: [], counts: {}, waiting: [] },
    runs: [],
    workers: [],
    outputs: [],
    progress: {},
  }));
}
