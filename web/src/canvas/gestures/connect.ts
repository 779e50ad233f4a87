/**
 * Drawing a wire: dragged from a socket, or begun and ended by two clicks, taps or key presses. An input's wire is taken
 * off by dragging from it. Let go over a node it takes the first socket that fits, also one that is not drawn while nothing
 * is joined to it; over nothing it opens the palette.
 */

import { connect, disconnect, moveEnd } from "../../core/commands";
import { t } from "../../ui/text";
import { canEnd, reason, whyNotHere } from "../fitting";
import { knobAt, nodeAt, socketNear } from "../hit";
import { publishAt } from "../ports";
import type { SceneSocket } from "../scene_types";
import type { Pending, Stage } from "../stage";
import { readable } from "../words";
import type { Gesture, Pointer } from "./gesture";

/** The socket that an element is. */
export function socketOf(stage: Stage, target: Element): SceneSocket | null {
  const element = target.closest<HTMLElement>("[data-socket]");
  const step = element?.closest<HTMLElement>("[data-step]")?.dataset.step;
  if (!element || step === undefined) return null;
  const { socket, side, index } = element.dataset;
  const node = stage.scene.nodes.get(step);
  return node?.sockets.find((one) => one.name === socket && one.side === side && one.index === Number(index)) ?? null;
}

export function drawWire(stage: Stage, socket: SceneSocket): Gesture | null {
  if (stage.readOnly || !begin(stage, socket, false)) return null;
  return {
    pans: true,
    cursor: "crosshair",
    move: (pointer) => aim(stage, pointer),
    end: (pointer) => finish(stage, pointer),
    cancel: () => stage.ui.setState({ pending: null }),
  };
}

/** The first of two presses. */
export function pressSocket(stage: Stage, socket: SceneSocket): void {
  if (stage.readOnly) return;
  // A press keeps the wire that is there: it begins another at the same output, or another into the same input.
  begin(stage, socket, true);
  const what = t(socket.side === "output" ? "wire.an-input" : "wire.an-output");
  stage.say(t("wire.from", { name: readable(socket.name), what }));
}

/** The second press: on a socket, on a node, or on nothing. */
export function endWire(stage: Stage, socket: SceneSocket | null, pointer: Pointer): void {
  const { pending } = stage.ui.getState();
  if (!pending) return;
  if (socket && isSame(socket, pending.from)) {
    cancelWire(stage);
    return;
  }
  if (socket) aimAt(stage, pending, socket);
  else aim(stage, pointer);
  finish(stage, pointer);
}

export function cancelWire(stage: Stage): void {
  stage.ui.setState({ pending: null, says: "" });
}

/** A wire begun by a press follows the pointer. */
export function followPending(stage: Stage, target: Element, pointer: Pointer): void {
  const { pending } = stage.ui.getState();
  const socket = socketOf(stage, target);
  if (pending && socket && !isSame(socket, pending.from)) aimAt(stage, pending, socket);
  else aim(stage, pointer);
}

function begin(stage: Stage, socket: SceneSocket, sticky: boolean): boolean {
  const link = sticky ? undefined : wireInto(stage, socket);
  const from = link
    ? link.from.sockets.find((one) => one.side === "output" && one.name === link.link.from.output)
    : socket;
  if (!from) return false;
  const taken = link ? { step: socket.step, input: socket.name, index: socket.index } : null;
  // A new object each time: what fits is remembered by it.
  stage.ui.setState({
    pending: { from: { ...from }, taken, at: stage.scene.socketPoint(socket), target: null, why: null, sticky },
  });
  return true;
}

function wireInto(stage: Stage, socket: SceneSocket) {
  if (socket.side !== "input" || !socket.joined) return undefined;
  return stage.scene
    .linksOf(socket.step)
    .find(({ to, link }) => to.id === socket.step && link.input === socket.name && link.index === socket.index);
}

/** Find what the wire would end at now. */
function aim(stage: Stage, pointer: Pointer): void {
  const { pending } = stage.ui.getState();
  if (!pending) return;
  const near = socketNear(stage, pointer.at, pointer.touch, (socket) => !isSame(socket, pending.from));
  if (near) {
    const why = whyNotHere(stage, pending, near);
    const better =
      why === null ? near : socketNear(stage, pointer.at, pointer.touch, (one) => canEnd(stage, pending, one));
    aimAt(stage, pending, better ?? near, pointer);
    return;
  }
  const node = nodeAt(stage, pointer.at);
  const knob = node && knobAt(stage, node, pointer.at);
  if (knob && knob.side !== pending.from.side && canEnd(stage, pending, knob)) {
    aimAt(stage, pending, knob, pointer);
    return;
  }
  const fitting =
    node && node.id !== pending.from.step
      ? [...node.sockets, ...node.unused].filter((one) => canEnd(stage, pending, one))
      : [];
  const open = fitting.find((one) => !one.joined || one.side === "output") ?? fitting[0] ?? null;
  stage.ui.setState({
    pending: { ...pending, at: open ? stage.scene.socketPoint(open) : pointer.at, target: open, why: null },
  });
}

function aimAt(stage: Stage, pending: Pending, socket: SceneSocket, pointer?: Pointer): void {
  const why = whyNotHere(stage, pending, socket);
  const at = why === null ? stage.scene.socketPoint(socket) : (pointer?.at ?? stage.scene.socketPoint(socket));
  stage.ui.setState({ pending: { ...pending, at, target: why === null ? socket : null, why } });
}

function finish(stage: Stage, pointer: Pointer): void {
  if (publishAt(stage, pointer.screen)) return;
  const { pending } = stage.ui.getState();
  stage.ui.setState({ pending: null, says: "" });
  if (!pending) return;
  const { target, why, taken, from } = pending;
  if (target) join(stage, pending, target);
  else if (why) stage.say(reason(stage, why));
  else if (taken && !nodeAt(stage, pointer.at)) stage.run(disconnect(stage.path, [taken]));
  else if (!nodeAt(stage, pointer.at)) {
    const { step, name, side, type } = from;
    stage.stores.view.setState({
      palette: { at: pointer.at, screen: pointer.screen, from: { step, name, side, type } },
    });
  }
}

export function join(stage: Stage, { from, taken }: Pending, target: SceneSocket): void {
  const { palette } = stage.stores.server.getState();
  const [output, input] = from.side === "output" ? [from, target] : [target, from];
  if (taken) {
    if (taken.step === input.step && taken.input === input.name) return;
    stage.run(moveEnd(stage.path, taken, { step: input.step, input: input.name }, palette));
  } else {
    const to = { step: input.step, input: input.name, index: input.index };
    stage.run(connect(stage.path, { step: output.step, output: output.name }, to, palette));
  }
  const title = (id: string) => stage.scene.nodes.get(id)?.title ?? id;
  stage.say(
    t("wire.joined", {
      output: readable(output.name),
      from: title(output.step),
      input: readable(input.name),
      to: title(input.step),
    }),
  );
}

export const isSame = (a: SceneSocket, b: SceneSocket): boolean =>
  a.step === b.step && a.side === b.side && a.name === b.name && a.index === b.index;
