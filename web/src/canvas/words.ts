/** Names as people read them, and what screen readers are told of sockets. */

import { duration, t } from "../ui/text";
import type { Scene } from "./scene";
import type { SceneNode, SceneSocket } from "./scene_types";

/** "text_encoder" → "text encoder". */
export const readable = (name: string): string => name.replaceAll("_", " ");

/** A node's time: milliseconds below a second. */
export const took = (seconds: number): string => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : duration(seconds));

/** "model, MODEL, from Load checkpoint" of an input; "model, MODEL, to 2 inputs" of an output. */
export function socketLabel(scene: Scene, socket: SceneSocket): string {
  const what = { name: readable(socket.name), type: socket.type };
  const links = scene.linksOf(socket.step);
  if (socket.side === "input") {
    const link = links.find(
      (one) => one.to.id === socket.step && one.link.input === socket.name && one.link.index === socket.index,
    );
    return link ? t("socket.from", { ...what, node: link.from.title }) : t("socket.open", what);
  }
  const to = links.filter((one) => one.from.id === socket.step && one.link.from.output === socket.name);
  if (to.length === 0) return t("socket.unused", what);
  return to.length === 1
    ? t("socket.to", { ...what, node: to[0]!.to.title })
    : t("socket.to-many", { ...what, count: to.length });
}

export function nodeLabel({ title, step, shape }: SceneNode): string {
  const name = shape.known ? title : t("node.unknown", { title });
  const said = [name, step.mode === "on" ? "" : t(`node.${step.mode}`), step.locked ? t("node.locked") : ""];
  return said.filter(Boolean).join(", ");
}
