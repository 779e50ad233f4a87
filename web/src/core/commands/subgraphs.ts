/** Commands that make subgraphs, and unpack them. Ports are in `ports.ts`. */

import { boardAt, definitionAt, freshId, newStep, own, SUBGRAPH, subgraphId } from "../document";
import { deliver, placeOf } from "../flatten";
import { forgetMembers, renamedMembers, withContent } from "../frames";
import { around, center, NODE_WIDTH, nodeRect } from "../geometry";
import { asJoin, inputJoins, isJoinList, toInput } from "../shape";
import type {
  Board,
  Definition,
  Document,
  Input,
  Join,
  Json,
  Palette,
  Path,
  Point,
  Port,
  Selection,
  Step,
} from "../types";
import { inputType, outputType } from "../typing";
import { type Command, leadReaders, mapStepJoins, moved, onBoard, plain, renumberReroutes, stepOn } from "./board";
import { bendBrought, followLists, joinLists, keepBends } from "./carried_bends";
import { usesOf } from "./nesting";
import { slug } from "./steps";

/** Put what is selected into a subgraph, and a step that uses it in its place. Wires across become ports. */
export function makeSubgraph(
  path: Path,
  chosen: Selection,
  title: string,
  palette: Palette,
): Command<{ definition: string; step: string }> {
  return onBoard("make-subgraph", path, (board, draft) => {
    const now = plain(draft);
    const selection = withContent(now, path, chosen, palette);
    const ids = selection.steps.filter((id) => Object.hasOwn(board.steps, id));
    const rect = around(ids.map((id) => nodeRect(now, path, id, palette)));
    if (!rect) throw new Error("no step is selected");
    const id = freshId(draft.definitions, slug(title) || "subgraph");
    const made: Definition = { id, title, inputs: [], outputs: [], steps: {}, groups: {}, notes: {}, extra: {} };
    const step = freshId(board.steps, id);
    const work: Making = { draft, now, path, board, inside: new Set(ids), made, step, palette, fed: {}, reroutes: {} };
    for (const one of ids) portsInto(work, one);
    portsOut(work);
    outerPorts(work);
    for (const one of ids) {
      made.steps[one] = board.steps[one]!;
      delete board.steps[one];
    }
    for (const what of ["groups", "notes"] as const) {
      for (const one of selection[what]) {
        if (!Object.hasOwn(board[what], one)) continue;
        (made[what] as Record<string, unknown>)[one] = board[what][one];
        delete board[what][one];
      }
    }
    forgetMembers(board, { steps: work.inside, groups: new Set(selection.groups), notes: new Set(selection.notes) });
    const [x, y] = center(rect);
    draft.definitions[id] = made;
    const at: Point = [Math.round(x - NODE_WIDTH / 2), Math.round(y - rect.height / 4)]; // see `offset`
    board.steps[step] = newStep(SUBGRAPH + id, at, { inputs: work.fed, reroutes: work.reroutes });
    if (!path.length && draft.targets.some((one) => work.inside.has(one))) {
      draft.targets = draft.targets.map((one) => (work.inside.has(one) ? `${step}/${one}` : one));
    }
    return { definition: id, step };
  });
}

interface Making {
  draft: Document;
  /** The document before. */
  now: Document;
  path: Path;
  board: Board;
  inside: Set<string>;
  made: Definition;
  /** The id of the step that will use it. */
  step: string;
  palette: Palette;
  /** The inputs of that step. */
  fed: Record<string, Input>;
  /** The bends of the wires into it. */
  reroutes: Record<string, Point[]>;
}

/** Cut the wires that come from outside into one step, and let ports bring them. One source is one port. */
function portsInto(work: Making, id: string): void {
  const step = stepOn(work.board, id);
  const outside = (join: Join | null): join is Join => join !== null && !work.inside.has(join.step);
  for (const [input, value] of Object.entries(step.inputs)) {
    if (!inputJoins(value).some(outside)) continue;
    if (!isJoinList(value)) {
      bring(work, asJoin(value)!, id, input, input, step.reroutes[input]);
      delete step.inputs[input];
      delete step.reroutes[input];
      continue;
    }
    const kept: number[] = [];
    const taken = takenPlaces(work, id, input);
    let place = 0;
    value.forEach((one, at) => {
      while (taken.has(place)) place += 1;
      const join = asJoin(one);
      if (outside(join)) bring(work, join, id, input, `${input}#${place}`, step.reroutes[`${input}#${at}`]);
      else kept.push(at);
      place += 1;
    });
    const left = kept.map((at) => value[at]!);
    renumberReroutes(step, input, kept);
    if (left.length) step.inputs[input] = left;
    else delete step.inputs[input];
  }
}

/** Places in a list that ports of the subgraph we are in fill. */
function takenPlaces(work: Making, id: string, input: string): Set<number> {
  const ports = definitionAt(work.draft, work.path)?.inputs ?? [];
  const ends = ports.flatMap((port) => port.inner).filter(([step]) => step === id);
  return new Set(ends.flatMap(([, end]) => (placeOf(end).input === input ? (placeOf(end).at ?? []) : [])));
}

function bring(
  work: Making,
  from: Join,
  id: string,
  input: string,
  end: string,
  bends: readonly Point[] | undefined,
): void {
  const wanted = inputType(work.now, work.path, { step: id, input }, work.palette) ?? "ANY";
  const given = outputType(work.now, work.path, from, work.palette) ?? "ANY";
  const known = work.made.inputs.find((port) => {
    const join = asJoin(work.fed[port.name]);
    return join?.step === from.step && join.output === from.output;
  });
  if (known) {
    known.inner.push([id, end]);
    keepBends(known, id, end, bends);
    if (known.type !== wanted) known.type = given === "ANY" ? known.type : given;
    return;
  }
  const name = freshPort(work.made.inputs, input);
  work.made.inputs.push({ name, type: wanted === "ANY" ? given : wanted, inner: [[id, end]] });
  work.fed[name] = toInput(from);
  if (bends?.length) work.reroutes[name] = [...bends];
}

/** Let steps outside take from ports what they took from the steps inside. */
function portsOut(work: Making): void {
  const lead = (from: string, output: string): Join =>
    work.inside.has(from) ? { step: work.step, output: outPort(work, from, output) } : { step: from, output };
  leadReaders(work.board, work.inside, lead, work.inside);
}

function outPort(work: Making, step: string, output: string): string {
  const known = work.made.outputs.find(({ inner: [end] }) => end?.[0] === step && end[1] === output);
  if (known) return known.name;
  const type = outputType(work.now, work.path, { step, output }, work.palette) ?? "ANY";
  const name = freshPort(work.made.outputs, output);
  work.made.outputs.push({ name, type, inner: [[step, output]] });
  return name;
}

/** Inside another subgraph, its own ports may lead to what is moved. */
function outerPorts(work: Making): void {
  const outer = definitionAt(work.draft, work.path);
  for (const port of outer?.inputs ?? []) {
    port.inner = port.inner.map(([id, end]) => {
      if (!work.inside.has(id)) return [id, end];
      const name = freshPort(work.made.inputs, port.name);
      work.made.inputs.push({ name, type: port.type, inner: [[id, end]] });
      return [work.step, name];
    });
  }
  for (const port of outer?.outputs ?? []) {
    port.inner = port.inner.map(([id, output]) =>
      work.inside.has(id) ? [work.step, outPort(work, id, output)] : [id, output],
    );
  }
}

export function freshPort(ports: readonly Port[], name: string): string {
  return freshId(Object.fromEntries(ports.map((one) => [one.name, true])), name);
}

/** Put what is in a subgraph in the place of a step that uses it; gives what was put there. */
export function unpack(path: Path, id: string, palette: Palette): Command<Selection> {
  return onBoard("unpack", path, (board, draft) => {
    const user = stepOn(board, id);
    const now = plain(draft);
    const inside = own(now.definitions, subgraphId(user.kind));
    if (!inside) throw new Error(`${id} is no subgraph that is there`);
    const taken: Record<string, unknown> = { ...plain(board.steps) };
    delete taken[id];
    const ids = new Map<string, string>();
    for (const one of Object.keys(inside.steps)) {
      const fresh = freshId(taken, one.replaceAll("/", "_"));
      taken[fresh] = true;
      ids.set(one, fresh);
    }
    const outputs = new Map(inside.outputs.map((port) => [port.name, port.inner[0]] as const));
    leadReaders(board, new Set([id]), (from, output) => {
      if (from !== id) return { step: from, output };
      const end = outputs.get(output);
      const to = end && ids.get(end[0]);
      return to === undefined ? null : { step: to, output: end![1] };
    });
    const by = offset(now, inside, user, palette);
    const copies = JSON.parse(JSON.stringify(inside.steps)) as Record<string, Step>;
    for (const [one, step] of Object.entries(copies)) {
      mapStepJoins(step, (from, output) => ({ step: ids.get(from) ?? from, output }));
      const lists = joinLists(step);
      const inputs = new Map(Object.entries(step.inputs));
      deliver(inputs, broughtTo(inside, user, one));
      step.inputs = Object.fromEntries(inputs);
      step.position = moved(step.position, by);
      for (const points of Object.values(step.reroutes))
        points.splice(0, points.length, ...points.map((at) => moved(at, by)));
      followLists(step, lists);
      bendBrought(inside, user, one, step, lists, by);
      if (user.mode !== "on" && step.mode === "on") step.mode = user.mode;
    }
    delete board.steps[id];
    for (const [one, step] of Object.entries(copies)) board.steps[ids.get(one)!] = step;
    leadPortsIn(draft, path, id, inside, ids);
    return { steps: [...ids.values()], ...bringFrames(board, inside, ids, by) };
  });
}

/** How far what is inside is moved, so that it lies around its step: not at all if that is where it was made. */
function offset(draft: Document, inside: Definition, user: Step, palette: Palette): Point {
  const rect = around(Object.keys(inside.steps).map((one) => nodeRect(draft, [inside.id], one, palette)));
  if (!rect) return [0, 0];
  const [x, y] = center(rect);
  const [ux, uy] = user.position;
  return [ux - Math.round(x - NODE_WIDTH / 2), uy - Math.round(y - rect.height / 4)];
}

function broughtTo(inside: Definition, user: Step, step: string) {
  return inside.inputs.flatMap((port) => {
    const value = own(user.inputs, port.name) ?? null;
    if (value === null) return [];
    return port.inner.filter(([id]) => id === step).map(([, end]) => ({ ...placeOf(end), value: value as Json }));
  });
}

/** Ports of the subgraph we are in that led to the step now lead to what came out of it. */
function leadPortsIn(draft: Document, path: Path, id: string, inside: Definition, ids: Map<string, string>): void {
  const outer = definitionAt(draft, path);
  const renamed = (ends: Port["inner"]): Port["inner"] =>
    ends.flatMap(([step, name]): Port["inner"] => (ids.has(step) ? [[ids.get(step)!, name]] : []));
  for (const [ports, inner] of [
    [outer?.inputs ?? [], inside.inputs],
    [outer?.outputs ?? [], inside.outputs],
  ] as const) {
    for (const port of ports) {
      port.inner = port.inner.flatMap(([step, name]): Port["inner"] => {
        if (step !== id) return [[step, name]];
        return renamed(inner.find((one) => one.name === placeOf(name).input)?.inner ?? []);
      });
    }
  }
  if (!path.length && draft.targets.some((one) => one === id || one.startsWith(`${id}/`))) {
    draft.targets = draft.targets.flatMap((one) => {
      if (one === id) return [...ids.values()];
      if (!one.startsWith(`${id}/`)) return [one];
      const [first, ...rest] = one.slice(id.length + 1).split("/");
      return [[ids.get(first!) ?? first, ...rest].join("/")];
    });
  }
}

function bringFrames(
  board: Board,
  inside: Definition,
  steps: ReadonlyMap<string, string>,
  by: Point,
): Pick<Selection, "groups" | "notes"> {
  const put = (what: "groups" | "notes"): Map<string, string> =>
    new Map(
      Object.values(inside[what]).map((one) => {
        const items = board[what] as Record<string, unknown>;
        const id = freshId(items, one.id);
        items[id] = {
          ...JSON.parse(JSON.stringify(one)),
          id,
          rect: { ...one.rect, x: one.rect.x + by[0], y: one.rect.y + by[1] },
        };
        return [one.id, id];
      }),
    );
  const [groups, notes] = [put("groups"), put("notes")];
  for (const [old, id] of groups) {
    board.groups[id]!.members = renamedMembers(inside.groups[old]!, { steps, groups, notes });
  }
  return { groups: [...groups.values()], notes: [...notes.values()] };
}

/** Let one step use a copy of its subgraph, so that changes to it stay there; gives the copy's id. */
export function forkSubgraph(path: Path, step: string): Command<string> {
  return onBoard("fork-subgraph", path, (board, draft) => {
    const user = stepOn(board, step);
    const old = own(draft.definitions, subgraphId(user.kind));
    if (!old) throw new Error(`${step} is no subgraph that is there`);
    const id = freshId(draft.definitions, old.id);
    draft.definitions[id] = { ...(JSON.parse(JSON.stringify(old)) as Definition), id };
    user.kind = SUBGRAPH + id;
    return id;
  });
}

export const setSubgraphTitle = (id: string, title: string): Command => ({
  label: "set-title",
  path: [id],
  change: (draft) => {
    (boardAt(draft, [id]) as Definition).title = title;
  },
});

/** Remove a definition that no step uses. */
export const removeSubgraph = (id: string): Command => ({
  label: "remove-subgraph",
  change: (draft) => {
    if (usesOf(draft, id).length) throw new Error(`the subgraph ${JSON.stringify(id)} is in use`);
    delete draft.definitions[id];
  },
});
