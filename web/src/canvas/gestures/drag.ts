/**
 * Moving what is chosen. Frames take along what lies in them (with Ctrl, the frame alone); Alt leaves a copy behind; begun
 * with Ctrl, nodes are taken out of the flow, whose wires close behind them; a single node let go over a wire is put on it. The document hears of it once, at the end: one step back.
 */

import {
  duplicate,
  extractSteps,
  fitsOnLink,
  insertOnLink,
  moveItems,
  moveReroute,
  setLocked,
  takenAlong,
} from "../../core/commands";
import { own } from "../../core/document";
import { around } from "../../core/geometry";
import { nearest } from "../../core/links";
import { GRID, snapRect } from "../../core/snap";
import type { Point, Rect, Selection } from "../../core/types";
import { newGesture } from "../../widgets";
import type { SceneLink } from "../scene_types";
import type { Stage, UiState } from "../stage";
import type { Gesture, Pointer } from "./gesture";

const SNAP_PIXELS = 6;

export function drag(stage: Stage, held: string, from: Pointer): Gesture {
  const gesture = newGesture("drag");
  const copied = from.alt && copyHere(stage, gesture);
  const extracted = !copied && from.ctrl && extractHere(stage, gesture);
  // A copy lies on what it was made of: its frames would take that along.
  const ids = copied ? new Set(stage.selection) : dragged(stage, from.ctrl);
  const all = [...ids].flatMap((id) => stage.scene.rectOf(id) ?? []);
  const start = around(all) ?? { x: 0, y: 0, width: 0, height: 0 };
  const others = neighbours(stage, ids, start);
  const single = ids.size === 1 && stage.scene.nodes.has(held) ? held : null;
  let by: Point = [0, 0];
  let over: SceneLink | null = null;

  const show = (more: Pick<UiState, "guides" | "insertLink">) => {
    stage.scene.shift(new Map([...ids].map((id) => [id, by])));
    moveElements(stage, ids);
    stage.ui.setState({ dragging: true, ...more });
  };
  return {
    pans: true,
    cursor: "grabbing",
    move(pointer) {
      const free: Point = [pointer.at[0] - from.at[0], pointer.at[1] - from.at[1]];
      const moving = { ...start, x: start.x + free[0], y: start.y + free[1] };
      const grid = stage.stores.view.getState().snap ? GRID : 0;
      const snap = pointer.ctrl
        ? { by: [0, 0] as Point, guides: [] }
        : snapRect(moving, others, SNAP_PIXELS / stage.camera.zoom, grid);
      by = [free[0] + snap.by[0], free[1] + snap.by[1]];
      over = single === null ? null : linkFor(stage, single, pointer.at);
      show({ guides: snap.guides, insertLink: over?.id ?? null });
    },
    end() {
      const link = over;
      const bends = bendsBetween(stage, ids);
      stage.ui.setState({ guides: [], insertLink: null, dragging: false });
      stage.scene.shift(new Map());
      if (by[0] === 0 && by[1] === 0) return moveElements(stage, ids);
      stage.run(moveItems(stage.path, placesOf(stage, ids, by)), gesture);
      for (const { link: bent, points } of bends) {
        points.forEach(([x, y], at) => {
          stage.run(moveReroute(stage.path, bent.link, at, [x + by[0], y + by[1]]), gesture);
        });
      }
      if (link && single !== null) stage.run(insertOnLink(stage.path, link.link, single, stage.scene.palette), gesture);
    },
    cancel() {
      stage.ui.setState({ guides: [], insertLink: null, dragging: false });
      stage.scene.shift(new Map());
      moveElements(stage, ids);
      if (copied || extracted) stage.stores.document.undo();
      stage.requestPaint();
    },
  };
}

/** Copy what is chosen where it is, and choose the copy: that is what is dragged away. */
function copyHere(stage: Stage, gesture: string): boolean {
  const made = stage.run(duplicate(stage.path, chosen(stage), [0, 0], stage.scene.palette, true), gesture);
  if (made) {
    // A copy that is dragged away does not stay where it is.
    stage.run(setLocked(stage.path, [...made.steps, ...made.groups], false), gesture);
    stage.select([...made.steps, ...made.groups, ...made.notes]);
  }
  return made !== undefined;
}

/** Take what is chosen out of the flow, if it is steps alone that have wires; the wires close behind it. */
function extractHere(stage: Stage, gesture: string): boolean {
  const { steps, groups, notes } = chosen(stage);
  if (groups.length + notes.length > 0 || steps.every((id) => stage.scene.linksOf(id).length === 0)) return false;
  const before = stage.stores.document.getState();
  stage.run(extractSteps(stage.path, steps, stage.scene.palette), gesture);
  return stage.stores.document.getState() !== before;
}

/** What is chosen, by kind. */
export function chosen({ selection, scene: { board } }: Stage): Selection {
  const of = (record: Record<string, unknown>) => [...selection].filter((id) => Object.hasOwn(record, id));
  return { steps: of(board.steps), groups: of(board.groups), notes: of(board.notes) };
}

/** What moves: what is chosen, and what lies in chosen frames. */
export function dragged(stage: Stage, frameOnly: boolean): Set<string> {
  const { scene, path, stores } = stage;
  const ids = new Set([...stage.selection].filter((id) => !isLocked(stage, id)));
  if (frameOnly) return ids;
  for (const id of chosen(stage).groups) {
    const along = takenAlong(stores.document.getState(), path, id, scene.palette);
    for (const one of [...along.steps, ...along.groups, ...along.notes]) ids.add(one);
  }
  return ids;
}

/** Whether a step or a frame stays where it is. */
export const isLocked = ({ scene: { board } }: Stage, id: string): boolean =>
  own(board.steps, id)?.locked ?? own(board.groups, id)?.locked ?? false;

/** What guides are drawn to: what is seen and stays. */
function neighbours(stage: Stage, ids: ReadonlySet<string>, start: Rect): Rect[] {
  const area = stage.seen(0);
  const near = stage.scene.nodesIn(area).filter((node) => !ids.has(node.id));
  const away = ({ rect }: { rect: Rect }) => Math.abs(rect.x - start.x) + Math.abs(rect.y - start.y);
  return near
    .sort((a, b) => away(a) - away(b))
    .slice(0, 40)
    .map((node) => node.rect);
}

/** The wire under the pointer, or under the node's head, that this node could be put on. */
function linkFor(stage: Stage, id: string, at: Point): SceneLink | null {
  const { scene } = stage;
  const node = scene.nodes.get(id);
  if (!node || scene.linksOf(id).length > 0) return null;
  const rect = scene.rect(node);
  return linkUnder(stage, node.step.kind, [at, [rect.x + rect.width / 2, rect.y + 16]]);
}

/** The wire at one of these places that a node of this kind could be put on. */
export function linkUnder(stage: Stage, kind: string, places: readonly Point[]): SceneLink | null {
  const { scene, camera, stores } = stage;
  const reach = 12 / camera.zoom;
  for (const point of places) {
    for (const link of scene.linksIn({
      x: point[0] - reach,
      y: point[1] - reach,
      width: 2 * reach,
      height: 2 * reach,
    })) {
      if (!stage.shows(link) || nearest(link.curve, point).distance > reach) continue;
      if (fitsOnLink(stores.document.getState(), stage.path, link.link, kind, scene.palette)) return link;
    }
  }
  return null;
}

/** Wires whose ends both move: their bends move with them. */
function bendsBetween(stage: Stage, ids: ReadonlySet<string>): { link: SceneLink; points: readonly Point[] }[] {
  const found: { link: SceneLink; points: readonly Point[] }[] = [];
  for (const link of stage.scene.links.values()) {
    if (link.bends.length > 0 && ids.has(link.from.id) && ids.has(link.to.id)) found.push({ link, points: link.bends });
  }
  return found;
}

function placesOf(stage: Stage, ids: ReadonlySet<string>, [dx, dy]: Point) {
  const { board } = stage.scene;
  const to = {
    steps: {} as Record<string, Point>,
    groups: {} as Record<string, Point>,
    notes: {} as Record<string, Point>,
  };
  for (const id of ids) {
    const step = own(board.steps, id);
    const group = own(board.groups, id);
    const note = own(board.notes, id);
    if (step) to.steps[id] = [round(step.position[0] + dx), round(step.position[1] + dy)];
    else if (group) to.groups[id] = [round(group.rect.x + dx), round(group.rect.y + dy)];
    else if (note) to.notes[id] = [round(note.rect.x + dx), round(note.rect.y + dy)];
  }
  return to;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** Mounted elements follow without React: it will find them where it puts them. */
function moveElements(stage: Stage, ids: ReadonlySet<string>): void {
  for (const id of ids) {
    if (!stage.window.committed.has(id)) continue;
    const rect = stage.scene.rectOf(id);
    const element = stage.container?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
    if (rect && element) element.style.transform = `translate(${rect.x}px,${rect.y}px)`;
  }
}
