/** Names as people read them, and what screen readers are told of sockets. */

import type { Scene } from "./scene";
import type { SceneNode, SceneSocket } from "./scene_types";

/** "text_encoder" → "text encoder". */
export const readable = (name: string): string => name.replaceAll("_", " ");

export function seconds(value: number): string {
  if (value < 0.0005) return "0 ms";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export function bytes(value: number): string {
  if (value < 1e6) return `${Math.round(value / 1e3)} kB`;
  if (value < 1e9) return `${Math.round(value / 1e6)} MB`;
  return `${(value / 1e9).toFixed(1)} GB`;
}

/** "model, MODEL, from Load checkpoint" of an input; "model, MODEL, to 2 inputs" of an output. */
export function socketLabel(scene: Scene, socket: SceneSocket): string {
  const name = `${readable(socket.name)}, ${socket.type}`;
  const links = scene.linksOf(socket.step);
  if (socket.side === "input") {
    const link = links.find(
      (one) => one.to.id === socket.step && one.link.input === socket.name && one.link.index === socket.index,
    );
    return link ? `${name}, from ${link.from.title}` : `${name}, open input`;
  }
  const to = links.filter((one) => one.from.id === socket.step && one.link.from.output === socket.name);
  if (to.length === 0) return `${name}, unused output`;
  return to.length === 1 ? `${name}, to ${to[0]!.to.title}` : `${name}, to ${to.length} inputs`;
}

export function nodeLabel(node: SceneNode): string {
  const mode = node.step.mode === "on" ? "" : `, ${node.step.mode}`;
  const kind = node.shape.known ? "" : ", of an unknown kind";
  return `${node.title}${mode}${kind}`;
}
