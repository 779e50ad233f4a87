/** Written by `python -m graph_runtime.server.browser_types`. Do not edit: a test compares. */

/** What is being edited, without its document. `workflow` and `based_on` are what it was made from. */
export interface DraftMessage {
  id: string;
  name: string;
  workflow: string;
  based_on: number;
  revision: number;
  changed: number;
}

export interface Drafts {
  drafts: DraftMessage[];
}

export interface DraftDocument {
  draft: DraftMessage;
  document: Record<string, unknown>;
}

/** A draft as it is now. `revision` is the one it replaces, 0 for none; `client` is who writes, to be told apart. */
export interface DraftBody {
  document: Record<string, unknown>;
  revision?: number;
  name?: string;
  workflow?: string;
  based_on?: number;
  client?: string;
}

/** A workflow that comes with a pack, to begin with. */
export interface TemplateMessage {
  id: string;
  title: string;
  about: string;
  document: Record<string, unknown>;
}

export interface Templates {
  templates: TemplateMessage[];
}

/** Somebody has written a draft down. */
export interface DraftChanged {
  type: "draft-changed";
  draft: string;
  revision: number;
  client: string;
}

/** A finished file: ask for it by `id`. `name` is only a label. */
export interface FileMessage {
  id: string;
  name: string;
  kind: string;
  step: string;
  media: string;
  run: string;
  bytes: number;
  created: number;
}

/** Finished files made before a time (any, if 0), newest first. */
export interface FileQuery {
  before?: number;
  limit?: number;
}

export interface Files {
  files: FileMessage[];
}

/** `name` is a label; a number is added if it is taken. */
export interface UploadQuery {
  name: string;
}

/** Something that has happened and is kept, at its place (epoch, seq). `data` is an event with its `type`. */
export interface EventMessage {
  type: "event";
  epoch: string;
  seq: number;
  run: string;
  time: number;
  data: Record<string, unknown>;
}

/** The queue. `paused` says why nothing is started: person, boot, disk; empty when it is. */
export interface QueueMessage {
  paused: string[];
  counts: Record<string, number>;
  waiting: WaitingMessage[];
}

/** A run. Times are seconds since 1970. `files` are there once it has ended. */
export interface RunMessage {
  id: string;
  number: number;
  user: string;
  status: "queued" | "running" | "crashed" | "succeeded" | "failed" | "cancelled";
  priority: number;
  attempt: number;
  crashes: number;
  last_step: string;
  worker: string;
  cancelling: boolean;
  created: number;
  started: number | null;
  ended: number | null;
  graph: string;
  document: string;
  retry_of: string;
  meta: Record<string, unknown>;
  seconds: number | null;
  files: FileMessage[];
  problems: ProblemMessage[];
}

/** A worker: starting, ready, running, failed or closed. `quiet_seconds` since its last sign of life. */
export interface WorkerMessage {
  name: string;
  device: string;
  state: string;
  run: string;
  step: string;
  pid: number;
  quiet_seconds: number;
  restarts: number;
  problems: ProblemMessage[];
}

/** The first thing heard when there is no place to go on from: all that matters now, as of (epoch, seq). */
export interface Snapshot {
  type: "snapshot";
  epoch: string;
  seq: number;
  runs: RunMessage[];
  queue: QueueMessage;
  workers: WorkerMessage[];
}

/** The first thing heard when everything since the named place follows. */
export interface Welcome {
  type: "welcome";
  epoch: string;
  seq: number;
  workers: WorkerMessage[];
}

/** How far a step is. Only the newest is sent. */
export interface ProgressMessage {
  type: "progress";
  run: string;
  step: string;
  done: number;
  total: number;
  text: string;
}

/** Begins a binary message: length of this JSON (u32, big endian), this JSON, the picture. */
export interface PreviewHeader {
  type: "preview";
  run: string;
  step: string;
  media: string;
}

/** The workers have changed. */
export interface WorkersMessage {
  type: "workers";
  workers: WorkerMessage[];
}

/** There are other nodes than before: get them anew. */
export interface NodesChanged {
  type: "nodes-changed";
}

/** What a client may say: whose progress and previews it wants; None is everybody's, [] nobody's. */
export interface Subscribe {
  type: "subscribe";
  runs?: string[] | null;
}

/** One thing that is wrong: where, what came and what was wanted, what to do. */
export interface ProblemMessage {
  code: string;
  place: string;
  what: string;
  fix: string;
  step: string;
  field: string;
}

/** The palette: NodeDefs, sockets, packs. `fresh` once a worker of this server has said it. */
export interface NodesMessage {
  fresh: boolean;
  version: string;
  nodes: Record<string, unknown>[];
  sockets: Record<string, unknown>[];
  packs: Record<string, unknown>[];
}

/** A model on disk. `facts` is what its family's headers tell; None when nobody could read it. `fingerprint` is the same for the same content under any name, on any machine. */
export interface ModelMessage {
  kind: string;
  name: string;
  bytes: number;
  fingerprint: string;
  facts: Record<string, unknown> | null;
  problems: ProblemMessage[];
}

export interface Models {
  models: ModelMessage[];
}

/** Names that a knob for files of this kind may have, and the folders they are looked for in. */
export interface Names {
  kind: string;
  names: string[];
  folders: string[];
}

/** Why something was refused, completely. */
export interface Problems {
  problems: ProblemMessage[];
}

/** It has been done. */
export interface Done {
  done: boolean;
}

/** No more need be said. */
export type Nothing = Record<string, never>;

/** A graph to run, or a document to make it from. The header Idempotency-Key makes sending it twice harmless. */
export interface Submission {
  graph?: Record<string, unknown> | null;
  document?: Record<string, unknown> | null;
  run?: string | null;
  priority?: number;
  front?: boolean;
  meta?: Record<string, unknown>;
}

/** Runs, newest first; `before` asks for the next page, 0 when there is none. */
export interface RunPage {
  runs: RunMessage[];
  before: number;
}

/** Which runs: states separated by commas (all, if empty), below a number, at most so many. */
export interface RunQuery {
  status?: string;
  before?: number;
  limit?: number;
}

/** `force` ends the worker at once, without waiting for the node to notice. */
export interface Cancel {
  force?: boolean;
}

/** Where a waiting run goes. */
export interface Move {
  to?: "front" | "back";
}

/** What a step took in an attempt: seconds, bytes at the peak. */
export interface StepMessage {
  run: string;
  attempt: number;
  step: string;
  status: string;
  started: number | null;
  ended: number | null;
  seconds: number;
  peak_bytes: number;
  outputs: Record<string, string>;
  problems: ProblemMessage[];
}

export interface Steps {
  steps: StepMessage[];
  crashes: Record<string, unknown>[];
}

/** Events of a run after a number. */
export interface EventQuery {
  after?: number;
  limit?: number;
}

export interface Events {
  events: EventMessage[];
}

/** What a run was made of. */
export interface GraphMessage {
  graph: Record<string, unknown>;
  document: Record<string, unknown> | null;
}

/** How many are gone. */
export interface Removed {
  count: number;
}

/** A run that waits: its place from 1, and the seconds until it starts, as far as can be told. */
export interface WaitingMessage {
  run: string;
  user: string;
  priority: number;
  position: number;
  starts_in: number | null;
}

/** Waiting runs in the order they should have among themselves. */
export interface Order {
  runs: string[];
}

export interface Health {
  ok: boolean;
}

/** Whether runs can be started now, and why not. */
export interface Ready {
  ready: boolean;
  reasons: string[];
}

/** The machine and the server, as they are now. Bytes, seconds. */
export interface System {
  version: string;
  python: string;
  platform: string;
  seconds: number;
  cpu_count: number;
  cpu_percent: number;
  memory_total: number;
  memory_available: number;
  server_rss: number;
  disk_free: number;
  clients: number;
  workers: WorkerMessage[];
  memory: Record<string, unknown> | null;
  notices: ProblemMessage[];
}

export interface SettingMessage {
  name: string;
  value: unknown;
  about: string;
}

/** What was set when the server was started; it cannot be changed while it runs. */
export interface SettingsMessage {
  settings: SettingMessage[];
}

/** An address that opens the editor in a browser: good once, for a minute. */
export interface Ticket {
  url: string;
  seconds: number;
}

/** A document, ours or one that can be turned into ours. */
export interface DocumentBody {
  document: Record<string, unknown>;
}

/** A file that is here: a finished picture, by its id. */
export interface OpenFile {
  id: string;
}

/** A document brought to what this program understands, and everything that is wrong with it. */
export interface Opened {
  document: Record<string, unknown>;
  problems: ProblemMessage[];
}

/** A graph or a document to look through. */
export interface GraphBody {
  graph?: Record<string, unknown> | null;
  document?: Record<string, unknown> | null;
}

/** A workflow to save under a name nobody has used. */
export interface WorkflowBody {
  name: string;
  document: Record<string, unknown>;
  note?: string;
}

/** A new version. `based_on` is the one that was changed: if it is no longer the newest, this is refused. */
export interface VersionBody {
  document: Record<string, unknown>;
  based_on?: number | null;
  note?: string;
}

export interface Rename {
  name: string;
}

/** What is known of a saved workflow without opening it; `version` is the newest. */
export interface WorkflowMessage {
  id: string;
  user: string;
  name: string;
  version: number;
  created: number;
  changed: number;
}

export interface Workflows {
  workflows: WorkflowMessage[];
}

export interface VersionMessage {
  version: number;
  saved: number;
  note: string;
}

export interface Versions {
  versions: VersionMessage[];
}

export interface WorkflowDocument {
  workflow: WorkflowMessage;
  version: number;
  document: Record<string, unknown>;
}

/** What the live connection says. */
export type LiveMessage = Snapshot | Welcome | EventMessage | ProgressMessage | PreviewHeader | WorkersMessage | NodesChanged | DraftChanged;
