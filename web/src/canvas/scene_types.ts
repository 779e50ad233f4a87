/** What is drawn, in canvas units: made from the document by `scene.ts`, read by painters, hit tests and gestures. */

import type { NodeLayout, SocketPlace } from "../core/geometry";
import type { Curve } from "../core/links";
import type { Link, Point, Rect, Shape, SocketDef, Step } from "../core/types";
import type { Joined } from "../core/unused";

export type Side = "input" | "output";

/** One end that wires can have. */
export interface SceneSocket extends SocketPlace {
  step: string;
  side: Side;
  color: string;
  shape: SocketDef["shape"];
  joined: boolean;
  /** A wire that has to be there. */
  needed: boolean;
}

export interface SceneNode {
  id: string;
  step: Step;
  shape: Shape;
  layout: NodeLayout;
  /** Where the document has it; `Scene.rect` says where it is drawn while it is dragged. */
  rect: Rect;
  title: string;
  /** Its own, or its first output's. */
  color: string;
  sockets: readonly SceneSocket[];
  /** Those that are not drawn: a wire let go over the node may still end there. */
  unused: readonly SceneSocket[];
  /** Of a step that shows only what is joined: what decided. */
  joined: Joined | null;
}

export interface SceneLink {
  id: string;
  link: Link;
  from: SceneNode;
  to: SceneNode;
  bends: readonly Point[];
  curve: Curve;
  bounds: Rect;
  color: string;
  type: string;
  /** Drawn only where one looks. */
  hidden: boolean;
  /** Leads into or out of what does not run, or is led past. */
  idle: boolean;
}

/** What really feeds an input while a step is bypassed. */
export interface SceneGhost {
  id: string;
  curve: Curve;
  color: string;
}
