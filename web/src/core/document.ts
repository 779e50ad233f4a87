/**
 * Reading and writing a saved workflow: the JSON form of `graph_runtime/document.py`, without losing anything.
 *
 * A field that has another form than it should is kept among the unknown ones (`extra`) and comes out as it went in.
 * The server has migrated what it gives out; migrations are not done here.
 */

import type {
  Board,
  Definition,
  Document,
  Group,
  Input,
  Json,
  Mode,
  Note,
  Path,
  Point,
  Port,
  Problem,
  Rect,
  Selection,
  Step,
} from "./types";

export const FORMAT = "latentloom";
export const VERSION = 1;
export const SUBGRAPH = "subgraph/";

type JsonObject = { [name: string]: Json };
const MODES: readonly string[] = ["on", "muted", "bypassed"];
const AFTERS: readonly string[] = ["fixed", "random", "increment"];
const GROUP_SIZE: Point = [400, 300];
const NOTE_SIZE: Point = [240, 120];

/** It is no workflow of ours, or a malformed one. */
export class Refused extends Error {
  constructor(readonly problems: Problem[]) {
    super(problems.map((one) => `${one.place}: ${one.what}`).join("\n"));
  }
}

export function emptyDocument(title = ""): Document {
  return { title, steps: {}, groups: {}, notes: {}, targets: [], migrations: [], definitions: {}, extra: {} };
}

export function newStep(kind: string, position: Point, more: Partial<Step> = {}): Step {
  return {
    kind,
    version: 0,
    inputs: {},
    position,
    title: "",
    note: "",
    mode: "on",
    collapsed: false,
    locked: false,
    compact: false,
    hidden: [],
    advanced: false,
    color: "",
    size: null,
    exposed: [],
    after: {},
    reroutes: {},
    extra: {},
    ...more,
  };
}

/** The document that `json` spells. Throws Refused when it is none. */
export function readDocument(json: unknown): Document {
  if (!isObject(json) || !isObject(json.steps)) {
    const what = isObject(json) ? "it has no steps of ours." : "it is not an object.";
    throw refused("document", what, `Give "format": "${FORMAT}" and "steps".`);
  }
  if ((json.format ?? FORMAT) !== FORMAT)
    throw refused("document", "it is of another format.", "Open a workflow of ours.");
  if (typeof json.version === "number" && json.version > VERSION) {
    const what = `it is of version ${json.version}; this program knows up to ${VERSION}.`;
    throw new Refused([
      { code: "newer-document", place: "document", what, fix: "Open it with a newer program.", step: "", field: "" },
    ]);
  }
  const rest = without(json, ["format", "version"]);
  const board = takeBoard(rest, "");
  const definitions = isObject(rest.definitions) ? (take(rest, "definitions") as JsonObject) : {};
  return {
    title: takeText(rest, "title"),
    ...board,
    targets: isTexts(rest.targets) ? (take(rest, "targets") as string[]) : [],
    migrations: isTexts(rest.migrations) ? (take(rest, "migrations") as string[]) : [],
    definitions: Object.fromEntries(Object.entries(definitions).map(([id, one]) => [id, readDefinition(id, one)])),
    extra: rest,
  };
}

/** Plain JSON of the document, as `graph_runtime/document.py` writes it. */
export function writeDocument(document: Document): JsonObject {
  const definitions = Object.entries(document.definitions).map(([id, one]) => [id, writeDefinition(one)] as const);
  return {
    format: FORMAT,
    version: VERSION,
    migrations: [...document.migrations],
    title: document.title,
    steps: writeSteps(document.steps),
    targets: [...document.targets],
    ...(definitions.length ? { definitions: Object.fromEntries(definitions) } : {}),
    ...document.extra,
    ...writeItems(document, document.extra),
  };
}

export function readDefinition(id: string, json: Json): Definition {
  const place = `definitions.${id}`;
  if (!id || id.includes("/") || !isObject(json) || !isObject(json.steps)) {
    throw refused(
      place,
      "this is not a subgraph.",
      'A subgraph has an id without "/" and is {"steps": {…}, "inputs": […], "outputs": […]}.',
    );
  }
  const rest = { ...json };
  const board = takeBoard(rest, `${place}.`);
  return {
    id,
    title: takeText(rest, "title"),
    ...board,
    inputs: takePorts(rest, "inputs"),
    outputs: takePorts(rest, "outputs"),
    extra: rest,
  };
}

export function writeDefinition(one: Definition): JsonObject {
  const ports = (side: Port[], name: string): Json =>
    side.length || !(name in one.extra) ? side.map(writePort) : (one.extra[name] as Json);
  return {
    title: one.title,
    ...one.extra,
    inputs: ports(one.inputs, "inputs"),
    outputs: ports(one.outputs, "outputs"),
    steps: writeSteps(one.steps),
    ...writeItems(one, one.extra),
  };
}

/** The board at the end of a path: the document's own, or a definition's. Throws when there is none. */
export function boardAt(document: Document, path: Path): Board {
  const board = findBoard(document, path);
  if (board === null) throw new Error(`there is no subgraph ${JSON.stringify(path.at(-1))}`);
  return board;
}

export function findBoard(document: Document, path: Path): Board | null {
  const id = path.at(-1);
  return id === undefined ? document : (own(document.definitions, id) ?? null);
}

export function definitionAt(document: Document, path: Path): Definition | null {
  const id = path.at(-1);
  return id === undefined ? null : (own(document.definitions, id) ?? null);
}

/** The id of the definition that a kind names; "" if it is no subgraph. */
export function subgraphId(kind: string): string {
  return kind.startsWith(SUBGRAPH) ? kind.slice(SUBGRAPH.length) : "";
}

/** A record's own entry: ids are anybody's, "constructor" too. */
export function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Ids of steps that say no place: they were made by a program, and want an automatic layout. */
export function unplacedSteps(json: unknown): string[] {
  if (!isObject(json) || !isObject(json.steps)) return [];
  return Object.entries(json.steps).flatMap(([id, one]) => (isObject(one) && isPoint(one.position) ? [] : [id]));
}

// ── steps ──

export function readStep(json: Json, place: string): Step {
  if (!isObject(json) || typeof json.kind !== "string" || !isObject(json.inputs ?? {})) {
    throw refused(place, "this is not a step.", 'A step has an id and is {"kind": "pack/name", "inputs": {…}}.');
  }
  const rest = without(json, ["kind", "inputs"]);
  const step = newStep(json.kind, [0, 0], { inputs: { ...((json.inputs ?? {}) as Record<string, Input>) } });
  if (Number.isInteger(rest.version) && (rest.version as number) > 0) step.version = take(rest, "version") as number;
  if (isPoint(rest.position)) step.position = take(rest, "position") as unknown as Point;
  step.title = takeText(rest, "title");
  step.note = takeText(rest, "note");
  if (typeof rest.mode === "string" && MODES.includes(rest.mode)) step.mode = take(rest, "mode") as Mode;
  if (typeof rest.collapsed === "boolean") step.collapsed = take(rest, "collapsed") as boolean;
  if (typeof rest.advanced === "boolean") step.advanced = take(rest, "advanced") as boolean;
  if (typeof rest.locked === "boolean") step.locked = take(rest, "locked") as boolean;
  if (typeof rest.compact === "boolean") step.compact = take(rest, "compact") as boolean;
  if (isTexts(rest.hidden)) step.hidden = take(rest, "hidden") as string[];
  step.color = takeText(rest, "color");
  if (isPoint(rest.size)) step.size = take(rest, "size") as unknown as Point;
  if (isTexts(rest.exposed)) step.exposed = take(rest, "exposed") as string[];
  if (isRecordOf(rest.after, (one) => typeof one === "string" && AFTERS.includes(one))) {
    step.after = { ...(take(rest, "after") as Step["after"]) };
  }
  if (isRecordOf(rest.reroutes, (one) => Array.isArray(one) && one.every(isPoint))) {
    step.reroutes = { ...(take(rest, "reroutes") as unknown as Step["reroutes"]) };
  }
  step.extra = rest;
  return step;
}

export function writeStep(step: Step): JsonObject {
  const json: JsonObject = { kind: step.kind };
  if (step.version) json.version = step.version;
  json.inputs = { ...step.inputs };
  json.position = [...step.position];
  for (const name of ["title", "note", "color"] as const) if (step[name]) json[name] = step[name];
  if (step.mode !== "on") json.mode = step.mode;
  if (step.collapsed) json.collapsed = true;
  if (step.advanced) json.advanced = true;
  if (step.locked) json.locked = true;
  if (step.compact) json.compact = true;
  if (step.hidden.length) json.hidden = [...step.hidden];
  if (step.size) json.size = [...step.size];
  if (step.exposed.length) json.exposed = [...step.exposed];
  if (Object.keys(step.after).length) json.after = { ...step.after };
  if (Object.keys(step.reroutes).length) json.reroutes = { ...step.reroutes } as unknown as Json;
  return { ...json, ...step.extra };
}

function writeSteps(steps: Record<string, Step>): JsonObject {
  return Object.fromEntries(Object.entries(steps).map(([id, step]) => [id, writeStep(step)]));
}

// ── boards ──

function takeBoard(rest: JsonObject, prefix: string): Board {
  const steps = Object.entries(take(rest, "steps") as JsonObject).map(([id, one]) => {
    if (!id) throw refused(`${prefix}steps.`, "a step's id is empty.", "Give it one.");
    return [id, readStep(one, `${prefix}steps.${id}`)] as const;
  });
  return {
    steps: Object.fromEntries(steps),
    groups: takeItems(rest, "groups", "group", readGroup),
    notes: takeItems(rest, "notes", "note", readNote),
  };
}

function takeItems<T extends { id: string }>(
  rest: JsonObject,
  name: string,
  base: string,
  read: (json: JsonObject, id: string) => T,
): Record<string, T> {
  const list = rest[name];
  const found: Record<string, T> = {};
  if (!Array.isArray(list)) return found;
  for (const one of list.filter(isObject)) {
    const said = typeof one.id === "string" && one.id !== "__proto__" ? one.id : "";
    const id = said && !Object.hasOwn(found, said) ? said : freshId(found, said || base);
    found[id] = read(without(one, ["id"]), id);
  }
  const odd = list.filter((one) => !isObject(one));
  if (odd.length) rest[name] = odd;
  else delete rest[name];
  return found;
}

function writeItems(board: Board, extra: Record<string, Json>): JsonObject {
  const list = (name: string, written: JsonObject[]): Json => {
    const odd = own(extra, name);
    if (odd !== undefined && !Array.isArray(odd) && !written.length) return odd;
    return [...written, ...(Array.isArray(odd) ? odd : [])];
  };
  return {
    groups: list("groups", Object.values(board.groups).map(writeGroup)),
    notes: list("notes", Object.values(board.notes).map(writeNote)),
  };
}

export function readGroup(rest: JsonObject, id: string): Group {
  const rect = takeRect(rest, GROUP_SIZE);
  const collapsed = typeof rest.collapsed === "boolean" ? (take(rest, "collapsed") as boolean) : false;
  const locked = typeof rest.locked === "boolean" ? (take(rest, "locked") as boolean) : false;
  const members = collapsed && isMembers(rest.members) ? (take(rest, "members") as unknown as Selection) : null;
  const [title, color] = [takeText(rest, "title"), takeText(rest, "color")];
  return { id, title, color, rect, collapsed, locked, members, extra: rest };
}

const isMembers = (json: Json | undefined): boolean =>
  isObject(json) && ["steps", "groups", "notes"].every((what) => isTexts(json[what])) && Object.keys(json).length === 3;

export function writeGroup(one: Group): JsonObject {
  const json: JsonObject = { id: one.id, title: one.title, color: one.color, ...writeRect(one.rect) };
  if (one.collapsed) json.collapsed = true;
  if (one.locked) json.locked = true;
  if (one.members) {
    const { steps, groups, notes } = one.members;
    json.members = { steps: [...steps], groups: [...groups], notes: [...notes] };
  }
  return { ...json, ...one.extra };
}

export function readNote(rest: JsonObject, id: string): Note {
  const rect = takeRect(rest, NOTE_SIZE);
  return { id, text: takeText(rest, "text"), color: takeText(rest, "color"), rect, extra: rest };
}

export function writeNote(one: Note): JsonObject {
  const json: JsonObject = { id: one.id, text: one.text, ...writeRect(one.rect) };
  if (one.color) json.color = one.color;
  return { ...json, ...one.extra };
}

function takeRect(rest: JsonObject, usual: Point): Rect {
  const [x, y] = isPoint(rest.position) ? (take(rest, "position") as unknown as Point) : [0, 0];
  const [width, height] = isPoint(rest.size) ? (take(rest, "size") as unknown as Point) : usual;
  return { x, y, width, height };
}

const writeRect = (rect: Rect): JsonObject => ({ position: [rect.x, rect.y], size: [rect.width, rect.height] });

// ── ports ──

function takePorts(rest: JsonObject, name: string): Port[] {
  if (!Array.isArray(rest[name]) || !(rest[name] as Json[]).every(isPort)) return [];
  return (take(rest, name) as JsonObject[]).map((one) => {
    const extra = without(one, ["name", "type", "inner"]);
    const port: Port = {
      name: one.name as string,
      type: (one.type ?? "ANY") as string,
      inner: (one.inner ?? []) as Port["inner"],
    };
    return Object.keys(extra).length ? { ...port, extra } : port;
  });
}

const isPort = (json: Json): boolean =>
  isObject(json) &&
  typeof json.name === "string" &&
  typeof (json.type ?? "") === "string" &&
  Array.isArray(json.inner ?? []) &&
  ((json.inner ?? []) as Json[]).every((one) => isTexts(one) && one.length === 2);

const writePort = (port: Port): JsonObject => ({
  name: port.name,
  type: port.type,
  inner: port.inner.map((one) => [...one]),
  ...port.extra,
});

// ── JSON ──

/** An id that `taken` does not have: `base`, or `base_2`, `base_3`, … */
export function freshId(taken: Readonly<Record<string, unknown>>, base: string): string {
  const stem = base.replace(/_\d+$/, "") || "step";
  if (!Object.hasOwn(taken, stem)) return stem;
  let number = 2;
  while (Object.hasOwn(taken, `${stem}_${number}`)) number += 1;
  return `${stem}_${number}`;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");

const isPoint = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === "number" && Number.isFinite(one));

const isRecordOf = (value: unknown, test: (one: Json) => boolean): boolean =>
  isObject(value) && !Object.hasOwn(value, "__proto__") && Object.values(value).every(test);

function take(rest: JsonObject, name: string): Json {
  const value = rest[name] as Json;
  delete rest[name];
  return value;
}

function takeText(rest: JsonObject, name: string): string {
  return typeof rest[name] === "string" ? (take(rest, name) as string) : "";
}

function without(json: JsonObject, names: string[]): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([name]) => !names.includes(name)));
}

const refused = (place: string, what: string, fix: string): Refused =>
  new Refused([{ code: "malformed-document", place, what, fix, step: "", field: "" }]);
