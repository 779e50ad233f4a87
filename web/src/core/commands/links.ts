/** Commands on wires and their bends. */

import { own } from "../document";
import { asJoin, inputJoins, isJoinList, kindShape, rerouteKey, shapeOf, toInput } from "../shape";
import type { Board, InputPlace, Join, Json, Link, Palette, Path, Point, Step } from "../types";
import { fits, inputType, knobWireType, outputType } from "../typing";
import { type Command, onBoard, renumberReroutes, stepOn } from "./board";

/**
 * Join an output to an input. A wire that was there is replaced; an input that takes many gets one more, or, with
 * `index`, another in that place. Whether it fits is `whyNot`'s to say.
 */
export function connect(
  path: Path,
  from: Join,
  to: { step: string; input: string; index?: number },
  palette: Palette,
): Command {
  return onBoard("connect", path, (board, draft) => {
    stepOn(board, from.step);
    const step = stepOn(board, to.step);
    const many = shapeOf(draft, path, to.step, palette).wires.find((one) => one.name === to.input)?.many ?? false;
    feed(step, to.input, from, many, to.index);
  });
}

/** Put a join into an input. */
export function feed(step: Step, input: string, from: Join, many: boolean, index?: number): void {
  const made = toInput(from);
  const value = step.inputs[input];
  if (!many) {
    delete step.reroutes[input];
    step.inputs[input] = made;
    return;
  }
  const list: Json[] = Array.isArray(value) ? [...value] : asJoin(value) ? [value as Json] : [];
  if (!isJoinList(value) && step.reroutes[input]) {
    step.reroutes[`${input}#0`] = step.reroutes[input];
    delete step.reroutes[input];
  }
  if (index !== undefined && index < list.length) {
    list[index] = made;
    delete step.reroutes[`${input}#${index}`];
  } else list.push(made);
  step.inputs[input] = list;
}

/** Cut wires. What a cut leaves open takes its usual value again. */
export function disconnect(path: Path, wires: readonly InputPlace[]): Command {
  return onBoard("disconnect", path, (board) => cut(board, wires));
}

export function cut(board: Board, wires: readonly InputPlace[]): void {
  const byInput = new Map<string, InputPlace[]>();
  for (const wire of wires) {
    const key = JSON.stringify([wire.step, wire.input]);
    byInput.set(key, [...(byInput.get(key) ?? []), wire]);
  }
  for (const some of byInput.values()) {
    const { step: id, input } = some[0]!;
    const step = stepOn(board, id);
    const value = step.inputs[input];
    if (isJoinList(value)) {
      const gone = new Set(some.map((one) => one.index));
      const kept = value.map((_, index) => index).filter((index) => !gone.has(index));
      renumberReroutes(step, input, kept);
      if (kept.length) step.inputs[input] = kept.map((index) => value[index]!);
      else delete step.inputs[input];
    } else if (inputJoins(value).length) {
      delete step.inputs[input];
      delete step.reroutes[input];
    }
  }
}

/** Cut every wire at these steps. */
export const detach = (path: Path, ids: readonly string[]): Command =>
  onBoard("disconnect", path, (board) => {
    const some = new Set(ids);
    const wires: InputPlace[] = [];
    for (const [id, step] of Object.entries(board.steps)) {
      for (const [input, value] of Object.entries(step.inputs)) {
        const list = Array.isArray(value) ? value : [value];
        list.forEach((one, index) => {
          const join = asJoin(one);
          if (join && (some.has(id) || some.has(join.step))) wires.push({ step: id, input, index });
        });
      }
    }
    cut(board, wires);
  });

/** Move the wire's input end from one input to another. */
export function moveEnd(path: Path, wire: InputPlace, to: { step: string; input: string }, palette: Palette): Command {
  return onBoard("connect", path, (board, draft) => {
    const from = joinAt(board, wire);
    cut(board, [wire]);
    const many = shapeOf(draft, path, to.step, palette).wires.find((one) => one.name === to.input)?.many ?? false;
    feed(stepOn(board, to.step), to.input, from, many);
  });
}

function joinAt(board: Board, wire: InputPlace): Join {
  const value = stepOn(board, wire.step).inputs[wire.input];
  const join = asJoin(isJoinList(value) ? value[wire.index] : value);
  if (!join) throw new Error(`nothing feeds ${wire.step}.${wire.input}`);
  return join;
}

/** Draw the wires into these inputs only where one looks, or always again. */
export const setHidden = (
  path: Path,
  inputs: readonly Pick<InputPlace, "step" | "input">[],
  hidden: boolean,
): Command =>
  onBoard(hidden ? "hide-wire" : "show-wire", path, (board) => {
    for (const { step: id, input } of inputs) {
      const step = stepOn(board, id);
      if (step.hidden.includes(input) === hidden) continue;
      step.hidden = hidden ? [...step.hidden, input] : step.hidden.filter((one) => one !== input);
    }
  });

// ── bends ──

/** Add a bend to a wire, before the bend that is now number `at`. */
export const addReroute = (path: Path, wire: InputPlace, at: number, point: Point): Command =>
  onBoard("add-reroute", path, (board) => {
    const step = stepOn(board, wire.step);
    joinAt(board, wire);
    const key = rerouteKey(step, wire.input, wire.index);
    const points = step.reroutes[key];
    if (!points) step.reroutes[key] = [point];
    else points.splice(at, 0, point);
  });

export const moveReroute = (path: Path, wire: InputPlace, at: number, point: Point): Command =>
  onBoard("move-reroute", path, (board) => {
    const step = stepOn(board, wire.step);
    const points = own(step.reroutes, rerouteKey(step, wire.input, wire.index));
    if (points?.[at]) points[at] = point;
  });

export const removeReroute = (path: Path, wire: InputPlace, at: number): Command =>
  onBoard("remove-reroute", path, (board) => {
    const step = stepOn(board, wire.step);
    const key = rerouteKey(step, wire.input, wire.index);
    const points = own(step.reroutes, key);
    if (points && points.length > 1) points.splice(at, 1);
    else delete step.reroutes[key];
  });

// ── a step on a wire ──

/** The input and output by which a step could be put on a wire; null if none fit. */
export function fitsOnLink(
  document: Parameters<Command["change"]>[0],
  path: Path,
  link: Link,
  kind: string,
  palette: Palette,
): { input: string; output: string } | null {
  const given = outputType(document, path, link.from, palette);
  const wanted = inputType(document, path, link, palette);
  const shape = kindShape(document, kind, palette);
  if (given === null || wanted === null || !shape) return null;
  const inputs = [
    ...shape.wires.map((one) => ({ name: one.name, type: one.type })),
    ...shape.knobs.map((one) => ({ name: one.name, type: knobWireType(one) })),
  ];
  const exactly = <T extends { type: string }>(some: T[], type: string): T | undefined =>
    some.find((one) => one.type === type);
  const input = exactly(inputs, given) ?? inputs.find((one) => fits(given, one.type));
  const output = exactly(shape.outputs, wanted) ?? shape.outputs.find((one) => fits(one.type, wanted));
  return input && output ? { input: input.name, output: output.name } : null;
}

/** Put a step that is there on a wire: what fed the wire feeds the step, and the step feeds what the wire fed. */
export function insertOnLink(path: Path, link: Link, id: string, palette: Palette): Command {
  return onBoard("insert-on-link", path, (board, draft) => {
    const step = stepOn(board, id);
    const way = fitsOnLink(draft, path, link, step.kind, palette);
    if (!way || link.step === id || link.from.step === id) throw new Error("the step does not fit on this wire");
    const reader = stepOn(board, link.step);
    const many = (at: string, input: string): boolean =>
      shapeOf(draft, path, at, palette).wires.find((one) => one.name === input)?.many ?? false;
    feed(step, way.input, link.from, many(id, way.input));
    feed(reader, link.input, { step: id, output: way.output }, many(link.step, link.input), link.index);
  });
}
