/**
 * The vocabulary of the editor's core: what a document, a node and a problem are. No React, no DOM, no network.
 *
 * The JSON forms are those of the server (`graph_runtime/document.py`, `graph_runtime/node_def.py`); the same fixtures
 * hold both to one meaning. Fields nobody here knows are kept in `extra` and come out again as they went in.
 */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Point = readonly [x: number, y: number];
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

// ── what nodes there are: data from the server ──

export interface WireDef {
  name: string;
  /** One type, or several joined by "|"; "ANY" takes all. */
  type: string;
  optional: boolean;
  lazy: boolean;
  /** Takes a list of wires. */
  many: boolean;
  help: string;
}

export type KnobType = "INT" | "FLOAT" | "STRING" | "BOOLEAN" | "CHOICE" | "FILE" | "FLOATS";

export interface KnobDef {
  name: string;
  type: KnobType;
  default: Json;
  min: number | null;
  max: number | null;
  step: number | null;
  choices: Json[];
  multiline: boolean;
  seed: boolean;
  /** The kind of file a FILE knob names: "image", "checkpoint", "lora", … */
  file: string;
  slider: boolean;
  color: boolean;
  advanced: boolean;
  label: string;
  help: string;
  /** The number that leaves the choice to the node, shown as "auto". */
  auto?: number | null;
  /** The pack's own widget, "pack.name"; "" for the usual one. */
  widget?: string;
}

export interface OutputDef {
  name: string;
  type: string;
  many: boolean;
  help: string;
}

export interface NodeDef {
  kind: string;
  title: string;
  category: string;
  help: string;
  wires: WireDef[];
  knobs: KnobDef[];
  outputs: OutputDef[];
  version: number;
  purity: "pure" | "seeded" | "impure" | "external";
  /** What it makes is wanted for its own sake: a run without targets runs these. */
  output: boolean;
  /** It shows pictures while it runs: there is room for them on the node. */
  previews?: boolean;
  deprecated: string;
  experimental: boolean;
}

export interface SocketDef {
  name: string;
  color: string;
  shape: "circle" | "square" | "diamond" | "hexagon";
  help: string;
}

/** Everything the document is judged by: NodeDefs by kind, sockets by name. */
export interface Palette {
  nodes: ReadonlyMap<string, NodeDef>;
  sockets: ReadonlyMap<string, SocketDef>;
}

// ── the document ──

/** A wire's far end: an output of a step, by name. */
export interface Join {
  step: string;
  output: string;
}

/** A step's input: a value, a join, a list with joins in it (a wire that takes many), or null for left open. */
export type Input = Json | { join: [step: string, output: string] };

export type Mode = "on" | "muted" | "bypassed";

export interface Step {
  kind: string;
  /** Of its kind when it was saved; 0 if nobody said. */
  version: number;
  inputs: Record<string, Input>;
  position: Point;
  title: string;
  note: string;
  mode: Mode;
  /** The editor's own, all optional in the file. */
  collapsed: boolean;
  /** It stays where it is: nothing moves it, and no box takes it. */
  locked: boolean;
  /** Sockets that nothing is joined to are not drawn, but for wires that have to be there. */
  compact: boolean;
  /** Names of inputs whose wires are not drawn but where one looks: each ends in its node's name. */
  hidden: string[];
  /** Its advanced knobs are shown. */
  advanced: boolean;
  color: string;
  /** Width and height the user gave it; null for what its widgets need. */
  size: Point | null;
  /** Names of knobs that are drawn as wire inputs although nothing feeds them. */
  exposed: string[];
  /** What each seed knob does after a run is submitted. */
  after: Record<string, "fixed" | "random" | "increment">;
  /** Bends of the wire into each input, in canvas units; key is "input" or "input#index" of a wire that takes many. */
  reroutes: Record<string, Point[]>;
  /** Fields nobody here knows. */
  extra: Record<string, Json>;
}

export interface Group {
  id: string;
  title: string;
  color: string;
  rect: Rect;
  collapsed: boolean;
  /** It stays where it is, as large as it is, and what lies in it is moved by no frame. */
  locked: boolean;
  /** What it hides, written down when it was collapsed; null while it is open, when what lies in it belongs to it. */
  members: Selection | null;
  extra: Record<string, Json>;
}

export interface Note {
  id: string;
  /** Markdown. */
  text: string;
  color: string;
  rect: Rect;
  extra: Record<string, Json>;
}

/** Steps on one canvas: the document itself, or the inside of a subgraph. */
export interface Board {
  steps: Record<string, Step>;
  groups: Record<string, Group>;
  notes: Record<string, Note>;
}

/** An input or output of a subgraph as its users see it. */
export interface Port {
  name: string;
  type: string;
  /**
   * Input: the inner inputs it feeds, as [step, input]; "input#2" puts it third into a list of joins.
   * Output: the one inner output it takes, as [step, output].
   */
  inner: [step: string, name: string][];
  /** Fields nobody here knows. */
  extra?: Record<string, Json>;
}

/** A subgraph: used by steps of kind "subgraph/<id>", as often as one likes. It may use others, never itself. */
export interface Definition extends Board {
  id: string;
  title: string;
  inputs: Port[];
  outputs: Port[];
  extra: Record<string, Json>;
}

export interface Document extends Board {
  title: string;
  targets: string[];
  migrations: string[];
  definitions: Record<string, Definition>;
  extra: Record<string, Json>;
}

/** Where a board is: [] is the document's own, ["id"] the definition with that id. What the breadcrumbs show. */
export type Path = readonly string[];

/** One wire: from an output to an input. `index` counts within an input that takes many, else it is 0. */
export interface Link {
  from: Join;
  step: string;
  input: string;
  index: number;
}

/** The input end of a wire. */
export interface InputPlace {
  step: string;
  input: string;
  index: number;
}

/** What is selected on one board. */
export interface Selection {
  steps: readonly string[];
  groups: readonly string[];
  notes: readonly string[];
}

/** A step's kind as it is drawn: a NodeDef, a subgraph's ports, or, for a kind nobody knows, what its joins tell. */
export interface Shape extends NodeDef {
  known: boolean;
  /** The id of the definition that the step uses; "" if it is no subgraph. */
  subgraph: string;
}

/** Something wrong: where, what, and what to do. Codes and places are the server's (`graph_runtime/validate.py`). */
export interface Problem {
  code: string;
  place: string;
  what: string;
  fix: string;
  step: string;
  field: string;
}
