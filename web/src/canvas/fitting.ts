/** Which sockets a wire that is being drawn may end at, and why it may not at others. */

import { type WhyNot, whyNot } from "../core/typing";
import { t } from "../ui/text";
import type { SceneSocket } from "./scene_types";
import type { Pending, Stage } from "./stage";

const asked = new WeakMap<object, Map<string, WhyNot | null | "side">>();

/** Why `pending` cannot end at `socket`; null if it can; "side" if both are inputs or both outputs. Kept while it lasts. */
export function whyNotHere(stage: Stage, pending: Pending, socket: SceneSocket): WhyNot | null | "side" {
  let known = asked.get(pending.from);
  if (!known) {
    known = new Map();
    asked.set(pending.from, known);
  }
  const key = `${socket.step}\n${socket.side}\n${socket.name}\n${socket.index}`;
  let why = known.get(key);
  if (why === undefined) {
    why = ask(stage, pending, socket);
    known.set(key, why);
  }
  return why;
}

function ask(stage: Stage, { from, taken }: Pending, socket: SceneSocket): WhyNot | null | "side" {
  if (from.side === socket.side) return "side";
  const [output, input] = from.side === "output" ? [from, socket] : [socket, from];
  const { document, server } = stage.stores;
  const why = whyNot(
    document.getState(),
    stage.path,
    { step: output.step, output: output.name },
    { step: input.step, input: input.name },
    server.getState().palette,
  );
  // A wire that was just taken off may be put back where it was.
  const back = taken && taken.step === input.step && taken.input === input.name;
  return why?.key === "already-joined" && back ? null : why;
}

/** Whether `pending` can end at `socket`. */
export const canEnd = (stage: Stage, pending: Pending, socket: SceneSocket): boolean =>
  whyNotHere(stage, pending, socket) === null;

/** For the socket's look: "" for the end it began at, "yes" or "no". */
export function socketFit(stage: Stage, pending: Pending, socket: SceneSocket): "" | "yes" | "no" {
  const { from } = pending;
  if (from.step === socket.step && from.name === socket.name && from.side === socket.side) return "";
  return whyNotHere(stage, pending, socket) === null ? "yes" : "no";
}

/** The reason as a sentence. */
export function reason(stage: Stage, why: WhyNot | "side"): string {
  if (why === "side") return t("why.side");
  switch (why.key) {
    case "wrong-type":
      return t("why.wrong-type", { given: why.given, wanted: why.wanted });
    case "cycle":
      return t("why.cycle", { way: why.steps.map((id) => stage.scene.nodes.get(id)?.title ?? id).join(" → ") });
    default:
      return t(`why.${why.key}`);
  }
}
