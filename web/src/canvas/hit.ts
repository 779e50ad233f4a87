/** What is under a point of the canvas, among what is painted. What is an element is found by the page itself. */

import { GROUP_HEADER, holds, KNOB_ROW } from "../core/geometry";
import { bendOffset, nearest, piecesOf } from "../core/links";
import type { Group, Note, Point } from "../core/types";
import { knobWireType } from "../core/typing";
import { FAR } from "./camera";
import { FOLD_WIDTH } from "./paint/groups";
import type { SceneLink, SceneNode, SceneSocket } from "./scene_types";
import { socketStyle } from "./socket_style";
import type { Stage } from "./stage";

export type Hit =
  | { kind: "bend"; link: SceneLink; index: number }
  | { kind: "socket"; socket: SceneSocket }
  | { kind: "node"; node: SceneNode }
  | { kind: "link"; link: SceneLink; segment: number; point: Point }
  | { kind: "note"; note: Note }
  | { kind: "group"; group: Group; part: "head" | "corner" | "fold" }
  | { kind: "nothing" };

/** Pixels that one may be off. */
const REACH = 8;
const TOUCH_REACH = 20;

export function hitTest(stage: Stage, at: Point, touch = false): Hit {
  const { scene, camera } = stage;
  const reach = (touch ? TOUCH_REACH : REACH) / camera.zoom;
  const area = { x: at[0] - reach, y: at[1] - reach, width: 2 * reach, height: 2 * reach };
  const links = scene.linksIn(area).filter((link) => stage.shows(link));
  for (const link of links) {
    const index = camera.zoom >= 0.3 ? bendAt(link, at, reach) : -1;
    if (index >= 0) return { kind: "bend", link, index };
  }
  const node = nodeAt(stage, at);
  if (node) return { kind: "node", node };
  let best: Hit = { kind: "nothing" };
  let least = reach;
  for (const link of links) {
    const { distance, segment, point } = nearest(link.curve, at);
    if (distance < least) {
      least = distance;
      const between = Math.floor(segment / piecesOf(link.curve, link.bends.length));
      best = { kind: "link", link, segment: between, point };
    }
  }
  if (best.kind === "link") return best;
  if (camera.zoom < FAR) {
    const note = scene.notes().find((one) => holds(scene.noteRect(one), at));
    if (note) return { kind: "note", note };
  }
  return groupAt(stage, at, reach) ?? { kind: "nothing" };
}

/** The uppermost node that covers the point. */
export function nodeAt(stage: Stage, at: Point): SceneNode | null {
  const found = stage.scene.nodesIn({ x: at[0], y: at[1], width: 0.01, height: 0.01 });
  const { selection } = stage;
  return found.find((node) => selection.has(node.id)) ?? found.at(-1) ?? null;
}

/** The knob under a point of a node, as the socket that it would have: a wire let go over a field feeds it. */
export function knobAt(stage: Stage, node: SceneNode, [, y]: Point): SceneSocket | null {
  const rect = stage.scene.rect(node);
  const row = node.layout.rows.find((one) => y >= rect.y + one.y && y < rect.y + one.y + one.height);
  if (!row?.knob || row.input) return null;
  const type = knobWireType(row.knob);
  const place = {
    name: row.knob.name,
    index: 0,
    type,
    x: 0,
    y: row.y + Math.min(row.height, KNOB_ROW) / 2,
    knob: true,
  };
  const style = socketStyle(type, stage.scene.palette);
  return { ...place, ...style, step: node.id, side: "input", joined: false, needed: false };
}

function bendAt(link: SceneLink, [x, y]: Point, reach: number): number {
  for (let index = 0; index < link.bends.length; index += 1) {
    const at = bendOffset(link.curve, link.bends.length, index);
    if (Math.hypot(link.curve[at]! - x, link.curve[at + 1]! - y) <= Math.max(reach, 7)) return index;
  }
  return -1;
}

function groupAt(stage: Stage, at: Point, reach: number): Hit | null {
  // The smallest that fits: nested frames lie on top.
  for (const group of stage.scene.groups().reverse()) {
    const rect = stage.scene.groupRect(group);
    if (!holds(rect, at)) continue;
    const corner =
      rect.x + rect.width - at[0] < Math.max(16, reach) && rect.y + rect.height - at[1] < Math.max(16, reach);
    if (corner && !group.collapsed && !group.locked) return { kind: "group", group, part: "corner" };
    const head = Math.max(GROUP_HEADER, Math.min(16 / stage.camera.zoom, rect.height / 2));
    if (at[1] - rect.y > head && !group.collapsed) continue;
    const fold = at[0] - rect.x < FOLD_WIDTH && stage.camera.zoom > 0.3;
    return { kind: "group", group, part: fold ? "fold" : "head" };
  }
  return null;
}

/** The socket nearest to a point, within reach, that `wanted` takes. Looks at nodes that are no elements, too. */
export function socketNear(
  stage: Stage,
  at: Point,
  touch: boolean,
  wanted: (socket: SceneSocket) => boolean,
): SceneSocket | null {
  const reach = (touch ? 34 : 22) / Math.min(1, stage.camera.zoom) ** 0.5 / Math.max(1, stage.camera.zoom);
  const area = { x: at[0] - reach, y: at[1] - reach, width: 2 * reach, height: 2 * reach };
  let best: SceneSocket | null = null;
  let least = reach;
  for (const node of stage.scene.nodesIn(area)) {
    for (const socket of node.sockets) {
      const [x, y] = stage.scene.socketPoint(socket);
      const away = Math.hypot(x - at[0], y - at[1]);
      if (away < least && wanted(socket)) {
        least = away;
        best = socket;
      }
    }
  }
  return best;
}
