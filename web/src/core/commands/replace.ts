/** Another kind in a step's place: its wires and values go over by name, then by type; the plan says what gets lost. */

import { boardAt, own } from "../document";
import { refusal } from "../knobs";
import { asJoin, inputJoins, kindShape, linksFrom, shapeOf } from "../shape";
import type { Document, Input, Json, Palette, Path, Shape, Step } from "../types";
import { fits, knobWireType, outputType } from "../typing";
import { type Command, leadReaders, onBoard, plain, stepOn } from "./board";
import { refuseInside } from "./nesting";
import { freshStep } from "./steps";

export interface ReplacePlan {
  /** Old name → new name. */
  inputs: Record<string, string>;
  outputs: Record<string, string>;
  lost: { what: "wire" | "value" | "output"; name: string }[];
}

/** What a replacement would keep and lose; null when nobody knows the kind. */
export function replacePlan(
  document: Document,
  path: Path,
  id: string,
  kind: string,
  palette: Palette,
): ReplacePlan | null {
  const shape = kindShape(document, kind, palette);
  const step = own(boardAt(document, path).steps, id);
  if (!shape || !step) return null;
  const old = shapeOf(document, path, id, palette);
  const plan: ReplacePlan = { inputs: {}, outputs: {}, lost: [] };
  planWires(document, path, step, shape, palette, plan);
  planValues(step, old, shape, plan);
  planOutputs(document, path, id, old, shape, palette, plan);
  return plan;
}

interface End {
  name: string;
  type: string;
}

const ends = (shape: Shape): End[] => [
  ...shape.wires.map((one) => ({ name: one.name, type: one.type })),
  ...shape.knobs.map((one) => ({ name: one.name, type: knobWireType(one) })),
];

function planWires(
  document: Document,
  path: Path,
  step: Step,
  shape: Shape,
  palette: Palette,
  plan: ReplacePlan,
): void {
  const fed = Object.entries(step.inputs).flatMap(([name, value]) => {
    const joins = inputJoins(value);
    return joins.length ? [{ name, types: joins.map((one) => outputType(document, path, one, palette) ?? "ANY") }] : [];
  });
  const free = new Map(ends(shape).map((one) => [one.name, one]));
  const take = (name: string, found: End | undefined): void => {
    if (!found) return;
    plan.inputs[name] = found.name;
    free.delete(found.name);
  };
  const suits = (types: string[], end: End | undefined): boolean =>
    !!end && types.every((type) => fits(type, end.type));
  for (const { name, types } of fed) if (suits(types, free.get(name))) take(name, free.get(name));
  for (const { name, types } of fed) {
    if (name in plan.inputs) continue;
    const some = [...free.values()].filter((end) => suits(types, end));
    take(name, some.find((end) => types.every((type) => type === end.type)) ?? some[0]);
    if (!(name in plan.inputs)) plan.lost.push({ what: "wire", name });
  }
}

function planValues(step: Step, old: Shape, shape: Shape, plan: ReplacePlan): void {
  const taken = new Set(Object.values(plan.inputs));
  const left: string[] = [];
  for (const [name, value] of Object.entries(step.inputs)) {
    if (value === null || inputJoins(value).length) continue;
    const knob = shape.knobs.find((one) => one.name === name && !taken.has(name));
    if (knob && !refusal(knob, value as Json)) {
      plan.inputs[name] = name;
      taken.add(name);
    } else left.push(name);
  }
  for (const name of left) {
    const value = step.inputs[name] as Json;
    const was = old.knobs.find((one) => one.name === name);
    // By type only where it can mean nothing else: seeds, files of a kind, or one of its type on either side.
    const alike = shape.knobs.filter(
      (one) => was && one.type === was.type && one.seed === was.seed && one.file === was.file && !taken.has(one.name),
    );
    const [only] = alike;
    const single = old.knobs.filter((one) => one.type === was?.type && one.seed === was.seed).length === 1;
    if (only && alike.length === 1 && single && !refusal(only, value)) {
      plan.inputs[name] = only.name;
      taken.add(only.name);
    } else if (!was || JSON.stringify(value) !== JSON.stringify(was.default)) plan.lost.push({ what: "value", name });
  }
}

function planOutputs(
  document: Document,
  path: Path,
  id: string,
  old: Shape,
  shape: Shape,
  palette: Palette,
  plan: ReplacePlan,
): void {
  const links = linksFrom(boardAt(document, path), id);
  for (const name of new Set(links.map((link) => link.from.output))) {
    const wanted = links
      .filter((link) => link.from.output === name)
      .map((link) => {
        const reader = shapeOf(document, path, link.step, palette);
        return ends(reader).find((end) => end.name === link.input)?.type ?? "ANY";
      });
    const suits = (end: End): boolean => wanted.every((type) => fits(end.type, type));
    const was = old.outputs.find((one) => one.name === name)?.type;
    const some = shape.outputs.filter(suits);
    const found = some.find((end) => end.name === name) ?? some.find((end) => end.type === was) ?? some[0];
    if (found) plan.outputs[name] = found.name;
    else plan.lost.push({ what: "output", name });
  }
}

/** Replace a step's kind, keeping its id, place, looks, and what the plan keeps. */
export function replaceKind(path: Path, id: string, kind: string, palette: Palette): Command {
  return onBoard("replace", path, (board, draft) => {
    const plan = replacePlan(plain(draft), path, id, kind, palette);
    if (!plan) throw new Error(`nobody knows the kind ${JSON.stringify(kind)}`);
    refuseInside(draft, path, kind);
    const step = stepOn(board, id);
    const shape = kindShape(draft, kind, palette)!;
    const fresh = freshStep(draft, { kind, position: step.position }, palette);
    const inputs: Record<string, Input> = { ...fresh.inputs };
    const reroutes: Step["reroutes"] = {};
    const after: Step["after"] = {};
    for (const [name, to] of Object.entries(plan.inputs)) {
      const many = shape.wires.find((one) => one.name === to)?.many ?? false;
      const value = step.inputs[name]!;
      const joins = inputJoins(value);
      inputs[to] =
        many && asJoin(value) ? [value as Json] : !many && Array.isArray(value) && joins.length ? value[0]! : value;
      for (const [key, points] of Object.entries(step.reroutes)) {
        if (key === name && !many) reroutes[to] = points;
        else if (key.startsWith(`${name}#`) && many) reroutes[to + key.slice(name.length)] = points;
      }
      if (step.after[name]) after[to] = step.after[name];
    }
    const exposed = step.exposed.flatMap((name) => plan.inputs[name] ?? []);
    Object.assign(step, { kind, version: fresh.version, inputs, reroutes, after, exposed, size: null });
    leadReaders(board, new Set([id]), (from, output) => {
      if (from !== id) return { step: from, output };
      const to = plan.outputs[output];
      return to === undefined ? null : { step: id, output: to };
    });
  });
}
