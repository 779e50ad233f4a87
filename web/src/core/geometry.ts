/**
 * Where everything on a node is, computed from what it declares and never measured: culling, wires, layout and the
 * minimap need no DOM, and the DOM node is built to these numbers. All in canvas units, from the node's upper left corner.
 *
 *     header
 *     wires (left) beside outputs (right), row by row; of a compact node only those that `unused.ts` lets be drawn
 *     knobs, one row each; one that is exposed or fed has a socket at the left
 *     a line that shows or folds the advanced knobs
 *     room for results and previews, on nodes that give any
 */

import { boardAt } from "./document";
import { inputJoins, shapeOf } from "./shape";
import type { Board, Document, Group, KnobDef, Palette, Path, Point, Rect, Shape, Step } from "./types";
import { knobWireType } from "./typing";
import { isOpen, type Joined, joinedTo, sameJoined } from "./unused";

export const NODE_WIDTH = 264;
export const NODE_MIN_WIDTH = 160;
export const HEADER = 32;
/** A row with a wire, an output or both. */
export const SOCKET_ROW = 24;
export const KNOB_ROW = 32;
/** A knob for text of several lines, label included. */
export const TEXT_ROW = 112;
export const FOLD_ROW = 24;
export const RESULT_ROW = 184;
export const PADDING = 8;
/** A collapsed node. */
export const COLLAPSED_WIDTH = 184;
export const SOCKET_RADIUS = 6;
export const GROUP_HEADER = 32;
export const GROUP_PADDING = 24;

export interface SocketPlace {
  name: string;
  /** Within an input that takes many: one place for each join there is, and an empty one. */
  index: number;
  type: string;
  x: number;
  y: number;
  /** It belongs to a knob. */
  knob: boolean;
}

export interface Row {
  what: "sockets" | "knob" | "fold" | "result";
  y: number;
  height: number;
  /** Of a row with sockets; null where there is none at that side. */
  input: SocketPlace | null;
  output: SocketPlace | null;
  knob: KnobDef | null;
  /** A knob's value comes from a wire: no widget is drawn. */
  fed: boolean;
}

export interface SocketEnds {
  inputs: SocketPlace[];
  outputs: SocketPlace[];
}

export interface NodeLayout extends SocketEnds {
  width: number;
  height: number;
  /** The least height at which all rows have room. */
  least: number;
  rows: Row[];
  /** Sockets that are not drawn, as long as nothing is joined to them. A wire that is brought to them ends at the header. */
  unused: SocketEnds;
}

const layouts = new WeakMap<Step, { shape: Shape; joined: Joined | null; layout: NodeLayout }>();

export function nodeLayout(document: Document, path: Path, id: string, palette: Palette): NodeLayout {
  const step = boardAt(document, path).steps[id];
  if (!step) throw new Error(`there is no step ${JSON.stringify(id)}`);
  return layoutOf(step, shapeOf(document, path, id, palette), joinedTo(document, path, id));
}

/** `joined` is what `joinedTo` says of the step. */
export function layoutOf(step: Step, shape: Shape, joined: Joined | null): NodeLayout {
  const known = layouts.get(step);
  if (known && (known.shape === shape || sameUnknown(known.shape, shape)) && sameJoined(known.joined, joined))
    return known.layout;
  const layout = step.collapsed ? collapsedLayout(step, shape, joined) : fullLayout(step, shape, joined);
  if (Object.isFrozen(step)) layouts.set(step, { shape, joined, layout });
  return layout;
}

export function nodeRect(document: Document, path: Path, id: string, palette: Palette): Rect {
  const { width, height } = nodeLayout(document, path, id, palette);
  const [x, y] = boardAt(document, path).steps[id]!.position;
  return { x, y, width, height };
}

/** Where an input's socket is on the canvas; the node's left edge if it has no such input. */
export function inputPlace(
  document: Document,
  path: Path,
  id: string,
  input: string,
  index: number,
  palette: Palette,
): Point {
  const [x, y] = boardAt(document, path).steps[id]!.position;
  const { inputs } = nodeLayout(document, path, id, palette);
  let found = inputs.find((one) => one.name === input && one.index === index);
  found ??= inputs.find((one) => one.name === input);
  return found ? [x + found.x, y + found.y] : [x, y + HEADER / 2];
}

/** Where an output's socket is on the canvas; the node's right edge if it has no such output. */
export function outputPlace(document: Document, path: Path, id: string, output: string, palette: Palette): Point {
  const [x, y] = boardAt(document, path).steps[id]!.position;
  const { outputs, width } = nodeLayout(document, path, id, palette);
  const found = outputs.find((one) => one.name === output);
  return found ? [x + found.x, y + found.y] : [x + width, y + HEADER / 2];
}

/** Whether a knob is drawn with a socket. */
export const isExposed = (step: Step, knob: KnobDef): boolean =>
  step.exposed.includes(knob.name) || inputJoins(step.inputs[knob.name]).length > 0;

function collapsedLayout(step: Step, shape: Shape, joined: Joined | null): NodeLayout {
  const at = fullLayout({ ...step, collapsed: false }, shape, joined);
  const width = COLLAPSED_WIDTH;
  return {
    width,
    height: HEADER,
    least: HEADER,
    rows: [],
    inputs: at.inputs.map((one) => inHeader(one, 0)),
    outputs: at.outputs.map((one) => inHeader(one, width)),
    unused: { inputs: at.unused.inputs, outputs: at.unused.outputs.map((one) => inHeader(one, width)) },
  };
}

const inHeader = (place: SocketPlace, x: number): SocketPlace => ({ ...place, x, y: HEADER / 2 });

function fullLayout(step: Step, shape: Shape, joined: Joined | null): NodeLayout {
  const width = Math.max(NODE_MIN_WIDTH, step.size?.[0] ?? NODE_WIDTH);
  const { shown, unused } = sockets(step, shape, width, joined);
  const rows = [...socketRows(shown), ...knobRows(step, shape)];
  if (shape.output || shape.previews) rows.push(row("result", RESULT_ROW));
  const natural = rows.reduce((sum, one) => sum + one.height, HEADER + 2 * PADDING);
  const stretched = rows.filter((one) => one.what === "result" || (one.knob?.multiline && !one.fed));
  const spare = (step.size?.[1] ?? 0) - natural;
  if (spare > 0) for (const one of stretched) one.height += spare / stretched.length;
  let y = HEADER + PADDING;
  for (const one of rows) {
    one.y = y;
    const middle = y + (one.what === "knob" ? KNOB_ROW : one.height) / 2;
    if (one.input) one.input.y = middle;
    if (one.output) one.output.y = middle;
    y += one.height;
  }
  const inputs = rows.flatMap((one) => (one.input ? [one.input] : []));
  const outputs = rows.flatMap((one) => (one.output ? [one.output] : []));
  return { width, height: Math.max(natural, step.size?.[1] ?? 0), least: natural, rows, inputs, outputs, unused };
}

/** The ends of wires, those that have a row and those that are not drawn. */
function sockets(
  step: Step,
  shape: Shape,
  width: number,
  joined: Joined | null,
): { shown: SocketEnds; unused: SocketEnds } {
  const shown: SocketEnds = { inputs: [], outputs: [] };
  const unused: SocketEnds = { inputs: [], outputs: [] };
  for (const wire of shape.wires) {
    const count = wire.many && shape.known ? joinsIn(step, wire.name) + 1 : Math.max(1, joinsIn(step, wire.name));
    for (let index = 0; index < count; index += 1) {
      const place: SocketPlace = { name: wire.name, index, type: wire.type, x: 0, y: 0, knob: false };
      if (joined && isOpen(step, wire, place, joined)) unused.inputs.push(inHeader(place, 0));
      else shown.inputs.push(place);
    }
  }
  for (const { name, type } of shape.outputs) {
    const place: SocketPlace = { name, index: 0, type, x: width, y: 0, knob: false };
    if (joined && !joined.outputs.includes(name)) unused.outputs.push(inHeader(place, width));
    else shown.outputs.push(place);
  }
  return { shown, unused };
}

function socketRows({ inputs: left, outputs: right }: SocketEnds): Row[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, at) => ({
    ...row("sockets", SOCKET_ROW),
    input: left[at] ?? null,
    output: right[at] ?? null,
  }));
}

const joinsIn = (step: Step, input: string): number => inputJoins(step.inputs[input]).length;

function knobRows(step: Step, shape: Shape): Row[] {
  const rows: Row[] = [];
  const one = (knob: KnobDef): Row => {
    const fed = joinsIn(step, knob.name) > 0;
    const socket = isExposed(step, knob)
      ? { name: knob.name, index: 0, type: knobWireType(knob), x: 0, y: 0, knob: true }
      : null;
    const height = knob.multiline && !fed ? TEXT_ROW : KNOB_ROW;
    return { ...row("knob", height), input: socket, knob, fed };
  };
  const folded = shape.knobs.filter((knob) => knob.advanced && !isExposed(step, knob));
  rows.push(...shape.knobs.filter((knob) => !folded.includes(knob)).map(one));
  if (folded.length) {
    rows.push(row("fold", FOLD_ROW));
    if (step.advanced) rows.push(...folded.map(one));
  }
  return rows;
}

const row = (what: Row["what"], height: number): Row => ({
  what,
  y: 0,
  height,
  input: null,
  output: null,
  knob: null,
  fed: false,
});

/** Shapes of kinds nobody knows are made anew each time; they are the same when they have the same ends. */
function sameUnknown(a: Shape, b: Shape): boolean {
  const names = (shape: Shape): string =>
    JSON.stringify([shape.wires.map((one) => one.name), shape.outputs.map((one) => one.name)]);
  return !a.known && !b.known && names(a) === names(b);
}

// ── rectangles ──

export const right = (rect: Rect): number => rect.x + rect.width;
export const bottom = (rect: Rect): number => rect.y + rect.height;
export const center = (rect: Rect): Point => [rect.x + rect.width / 2, rect.y + rect.height / 2];

export function overlap(a: Rect, b: Rect): boolean {
  return a.x < right(b) && b.x < right(a) && a.y < bottom(b) && b.y < bottom(a);
}

export function contains(outer: Rect, inner: Rect): boolean {
  return inner.x >= outer.x && inner.y >= outer.y && right(inner) <= right(outer) && bottom(inner) <= bottom(outer);
}

export function holds(rect: Rect, [x, y]: Point): boolean {
  return x >= rect.x && y >= rect.y && x <= right(rect) && y <= bottom(rect);
}

/** The least rectangle around all; null around nothing. */
export function around(rects: Iterable<Rect>): Rect | null {
  let [x, y, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const rect of rects) {
    x = Math.min(x, rect.x);
    y = Math.min(y, rect.y);
    x2 = Math.max(x2, right(rect));
    y2 = Math.max(y2, bottom(rect));
  }
  return x === Infinity ? null : { x, y, width: x2 - x, height: y2 - y };
}

export const grown = (rect: Rect, by: number): Rect => ({
  x: rect.x - by,
  y: rect.y - by,
  width: rect.width + 2 * by,
  height: rect.height + 2 * by,
});

/** What is drawn of a group: its bar alone when collapsed. */
export const groupRect = (group: Group): Rect =>
  group.collapsed ? { ...group.rect, height: GROUP_HEADER } : group.rect;

/** Rectangles of everything on a board, by id. */
export function boardRects(
  document: Document,
  path: Path,
  palette: Palette,
): {
  steps: Map<string, Rect>;
  groups: Map<string, Rect>;
  notes: Map<string, Rect>;
} {
  const board: Board = boardAt(document, path);
  return {
    steps: new Map(Object.keys(board.steps).map((id) => [id, nodeRect(document, path, id, palette)])),
    groups: new Map(Object.values(board.groups).map((one) => [one.id, groupRect(one)])),
    notes: new Map(Object.values(board.notes).map((one) => [one.id, one.rect])),
  };
}
