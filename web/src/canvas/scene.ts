/**
 * The board that is shown, ready to be drawn and hit: boxes, sockets, curves, and which of them are where.
 *
 * Documents share what did not change, so `update` makes anew only what did. A drag does not touch the document until it
 * ends; meanwhile `shift` moves what is dragged, and only its wires are drawn anew.
 */

import { effectiveLinks, notRunning } from "../core/bypass";
import { hiddenItems } from "../core/commands";
import { findBoard, own } from "../core/document";
import { groupRect, layoutOf, overlap, type SocketEnds, type SocketPlace } from "../core/geometry";
import { curveBounds, type LinkStyle, linkCurve } from "../core/links";
import { inputJoins, linkId, linksOf, rerouteKey, shapeOf } from "../core/shape";
import { SpatialIndex } from "../core/spatial";
import type { Board, Document, Group, Link, Note, Palette, Path, Point, Rect, Shape, Step } from "../core/types";
import { type Joined, joinedTo, sameJoined } from "../core/unused";
import type { SceneGhost, SceneLink, SceneNode, SceneSocket, Side } from "./scene_types";
import { socketStyle } from "./socket_style";

const NOWHERE: Point = [0, 0];
const EMPTY: Board = { steps: {}, groups: {}, notes: {} };

export class Scene {
  document: Document | null = null;
  path: Path = [];
  palette: Palette = { nodes: new Map(), sockets: new Map() };
  board: Board = EMPTY;
  style: LinkStyle = "spline";
  readonly nodes = new Map<string, SceneNode>();
  readonly links = new Map<string, SceneLink>();
  ghosts: SceneGhost[] = [];
  private readonly nodeIndex = new SpatialIndex();
  private readonly linkIndex = new SpatialIndex();
  private readonly linksAt = new Map<string, Set<string>>();
  private shifts: ReadonlyMap<string, Point> = new Map();
  /** Steps that a collapsed frame hides, drawn by a stand-in as large as its bar. */
  private readonly standIns = new Map<string, SceneNode>();
  /** Notes and frames that are hidden. */
  private hidden: ReadonlySet<string> = new Set();

  /** Show this board. Returns the ids of steps that were made anew or went away. */
  update(document: Document, path: Path, palette: Palette): Set<string> {
    const other = this.path.at(-1) !== path.at(-1) || this.palette !== palette;
    if (other) this.clear();
    this.document = document;
    this.path = path;
    this.palette = palette;
    this.board = findBoard(document, path) ?? EMPTY;
    this.updateHidden(document);
    const changed = this.updateNodes(document);
    this.updateLinks(changed);
    this.updateGhosts();
    return changed;
  }

  /** Where a step is drawn. */
  rect(node: SceneNode): Rect {
    const by = this.shifts.get(node.id);
    return by ? { ...node.rect, x: node.rect.x + by[0], y: node.rect.y + by[1] } : node.rect;
  }

  shiftOf(id: string): Point {
    return this.shifts.get(id) ?? NOWHERE;
  }

  socketPoint(socket: SceneSocket): Point {
    const node = this.nodes.get(socket.step);
    if (!node) return NOWHERE;
    const rect = this.rect(node);
    return [rect.x + socket.x, rect.y + socket.y];
  }

  groupRect(group: Group): Rect {
    const [dx, dy] = this.shiftOf(group.id);
    const rect = groupRect(group);
    return { ...rect, x: rect.x + dx, y: rect.y + dy };
  }

  noteRect(note: Note): Rect {
    const [dx, dy] = this.shiftOf(note.id);
    return { ...note.rect, x: note.rect.x + dx, y: note.rect.y + dy };
  }

  /** Let all wires run so. */
  setStyle(style: LinkStyle): void {
    if (style === this.style) return;
    this.style = style;
    for (const link of this.links.values()) this.place(link);
    this.updateGhosts();
  }

  /** Draw these somewhere else until the next call: ids of steps, groups, notes, by how much. */
  shift(by: ReadonlyMap<string, Point>): void {
    const touched = new Set([...this.shifts.keys(), ...by.keys()]);
    this.shifts = by;
    const links = new Set<string>();
    for (const id of touched) {
      const node = this.nodes.get(id);
      if (node) this.nodeIndex.set(id, this.rect(node));
      for (const link of this.linksAt.get(id) ?? []) links.add(link);
    }
    for (const id of links) {
      const link = this.links.get(id);
      if (link) this.place(link);
    }
  }

  nodesIn(rect: Rect): SceneNode[] {
    return this.nodeIndex.query(rect).flatMap((id) => this.nodes.get(id) ?? []);
  }

  linksIn(rect: Rect): SceneLink[] {
    return this.linkIndex.query(rect).flatMap((id) => this.links.get(id) ?? []);
  }

  linksOf(id: string): SceneLink[] {
    return [...(this.linksAt.get(id) ?? [])].flatMap((link) => this.links.get(link) ?? []);
  }

  notesIn(rect: Rect): Note[] {
    return this.notes().filter((note) => overlap(this.noteRect(note), rect));
  }

  /** Whether there is a step or a note to be seen by this id. */
  has(id: string): boolean {
    return this.nodes.has(id) || (own(this.board.notes, id) !== undefined && !this.hidden.has(id));
  }

  groups(): Group[] {
    // Large ones first, so that nested frames lie on top of those around them.
    const shown = Object.values(this.board.groups).filter((one) => !this.hidden.has(one.id));
    return shown.sort((a, b) => b.rect.width * b.rect.height - a.rect.width * a.rect.height);
  }

  notes(): Note[] {
    return Object.values(this.board.notes).filter((one) => !this.hidden.has(one.id));
  }

  rectOf(id: string): Rect | null {
    const node = this.nodes.get(id);
    if (node) return this.rect(node);
    const group = own(this.board.groups, id);
    if (group) return this.groupRect(group);
    const note = own(this.board.notes, id);
    return note ? this.noteRect(note) : null;
  }

  private clear(): void {
    this.nodes.clear();
    this.links.clear();
    this.linksAt.clear();
    this.nodeIndex.clear();
    this.linkIndex.clear();
    this.shifts = new Map();
  }

  private updateHidden(document: Document): void {
    this.standIns.clear();
    this.hidden = new Set();
    if (!Object.values(this.board.groups).some((group) => group.collapsed)) return;
    const { steps, groups, notes } = hiddenItems(document, this.path, this.palette);
    this.hidden = new Set([...groups.keys(), ...notes.keys()]);
    for (const [id, frame] of steps) {
      const group = own(this.board.groups, frame);
      const step = own(this.board.steps, id);
      if (!group || !step) continue;
      const joined = joinedTo(document, this.path, id);
      const node = makeNode(id, step, shapeOf(document, this.path, id, this.palette), joined, this.palette);
      const layout = { ...node.layout, inputs: [], outputs: [] };
      this.standIns.set(id, { ...node, id: frame, rect: groupRect(group), layout, title: group.title });
    }
  }

  private updateNodes(document: Document): Set<string> {
    const changed = new Set<string>();
    for (const [id, step] of Object.entries(this.board.steps)) {
      if (this.standIns.has(id)) continue;
      const known = this.nodes.get(id);
      const shape = shapeOf(document, this.path, id, this.palette);
      const joined = joinedTo(document, this.path, id);
      if (known?.step === step && sameShape(known.shape, shape) && sameJoined(known.joined, joined)) continue;
      const node = makeNode(id, step, shape, joined, this.palette);
      this.nodes.set(id, node);
      this.nodeIndex.set(id, this.rect(node));
      changed.add(id);
    }
    for (const id of this.nodes.keys()) {
      if (own(this.board.steps, id) && !this.standIns.has(id)) continue;
      this.nodes.delete(id);
      this.nodeIndex.delete(id);
      changed.add(id);
    }
    return changed;
  }

  private updateLinks(changed: ReadonlySet<string>): void {
    const idle = notRunning(this.board);
    const there = new Set<string>();
    for (const link of linksOf(this.board)) {
      const from = this.standIns.get(link.from.step) ?? this.nodes.get(link.from.step);
      const to = this.standIns.get(link.step) ?? this.nodes.get(link.step);
      if (!from || !to || (from.id === to.id && from.id !== link.step)) continue;
      const id = linkId(link);
      there.add(id);
      const known = this.links.get(id);
      const still = [from, to].some((end) => idle.has(end.id) || end.step.mode === "bypassed");
      if (
        known?.from === from &&
        known.to === to &&
        known.link.from.output === link.from.output &&
        known.idle === still
      )
        continue;
      if (known && known.from.id !== from.id) this.linksAt.get(known.from.id)?.delete(id);
      this.addLink(id, link, from, to, still);
    }
    for (const id of this.links.keys()) if (!there.has(id)) this.removeLink(id);
    for (const id of changed) if (!this.nodes.has(id)) this.linksAt.delete(id);
  }

  private addLink(id: string, link: Link, from: SceneNode, to: SceneNode, idle: boolean): void {
    const output = from.sockets.find((one) => one.side === "output" && one.name === link.from.output);
    const made: SceneLink = {
      id,
      link,
      from,
      to,
      bends: to.step.reroutes[rerouteKey(to.step, link.input, link.index)] ?? [],
      curve: new Float64Array(8),
      bounds: from.rect,
      color: output?.color ?? socketStyle("ANY", this.palette).color,
      type: output?.type ?? "ANY",
      idle,
      hidden: to.step.hidden.includes(link.input),
    };
    this.links.set(id, made);
    for (const end of [from.id, to.id]) {
      const there = this.linksAt.get(end);
      if (there) there.add(id);
      else this.linksAt.set(end, new Set([id]));
    }
    this.place(made);
  }

  private removeLink(id: string): void {
    const link = this.links.get(id);
    if (!link) return;
    this.linksAt.get(link.from.id)?.delete(id);
    this.linksAt.get(link.to.id)?.delete(id);
    this.links.delete(id);
    this.linkIndex.delete(id);
  }

  /** Draw a wire anew where its ends are now. Bends go along when both ends are dragged. */
  private place(link: SceneLink): void {
    const a = this.shifts.get(link.from.id);
    const b = this.shifts.get(link.to.id);
    const bends = a && b ? link.bends.map(([x, y]): Point => [x + b[0], y + b[1]]) : link.bends;
    link.curve = linkCurve(
      this.end(link.from, "output", link.link.from.output, 0),
      this.end(link.to, "input", link.link.input, link.link.index),
      bends,
      this.style,
    );
    link.bounds = curveBounds(link.curve);
    this.linkIndex.set(link.id, link.bounds);
  }

  /** Bends of one wire elsewhere, while they are dragged. */
  bend(link: SceneLink, bends: readonly Point[]): void {
    link.bends = bends;
    this.place(link);
  }

  private end(node: SceneNode, side: "input" | "output", name: string, index: number): Point {
    const rect = this.rect(node);
    const places = side === "input" ? node.layout.inputs : node.layout.outputs;
    const found =
      places.find((one) => one.name === name && one.index === index) ?? places.find((one) => one.name === name);
    return found ? [rect.x + found.x, rect.y + found.y] : [rect.x + (side === "input" ? 0 : rect.width), rect.y + 16];
  }

  private updateGhosts(): void {
    if (!this.document) return;
    this.ghosts = effectiveLinks(this.document, this.path, this.palette).flatMap(({ link, from }): SceneGhost[] => {
      const source = from && this.nodes.get(from.step);
      const to = this.nodes.get(link.step);
      if (!source || !to) return [];
      const curve = linkCurve(
        this.end(source, "output", from.output, 0),
        this.end(to, "input", link.input, link.index),
        [],
        this.style,
      );
      const color = source.sockets.find((one) => one.side === "output" && one.name === from.output)?.color ?? "#888888";
      return [{ id: linkId(link), curve, color }];
    });
  }
}

function makeNode(id: string, step: Step, shape: Shape, joined: Joined | null, palette: Palette): SceneNode {
  const layout = layoutOf(step, shape, joined);
  const made = (ends: SocketEnds): SceneSocket[] => [
    ...ends.inputs.map((place) => makeSocket(id, step, shape, "input", place, palette)),
    ...ends.outputs.map((place) => makeSocket(id, step, shape, "output", place, palette)),
  ];
  const sockets = made(layout);
  const [x, y] = step.position;
  const first = shape.outputs[0] ?? shape.wires[0] ?? sockets[0];
  return {
    id,
    step,
    shape,
    layout,
    rect: { x, y, width: layout.width, height: layout.height },
    title: step.title || shape.title || id,
    color: step.color || (first && socketStyle(first.type, palette).color) || "#8a93a6",
    sockets,
    unused: made(layout.unused),
    joined,
  };
}

function makeSocket(
  step: string,
  { inputs }: Step,
  shape: Shape,
  side: Side,
  place: SocketPlace,
  palette: Palette,
): SceneSocket {
  const style = socketStyle(place.type, palette);
  if (side === "output") return { ...place, step, side, ...style, joined: true, needed: false };
  const wire = place.knob ? undefined : shape.wires.find((one) => one.name === place.name);
  const joined = place.index < inputJoins(inputs[place.name]).length;
  const needed = wire !== undefined && !wire.optional && !(wire.many && place.index > 0);
  return { ...place, step, side, ...style, joined, needed };
}

/** The shape of a kind nobody knows is made anew for each document; it is the same if its ends are. */
function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.known || b.known || a.kind !== b.kind) return false;
  const ends = (shape: Shape) =>
    JSON.stringify([shape.wires.map((one) => one.name), shape.outputs.map((one) => one.name)]);
  return ends(a) === ends(b);
}
