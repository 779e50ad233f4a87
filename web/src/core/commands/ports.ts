/** Commands on the ports of a subgraph. Renaming one renames it in every step that uses it, on every board. */

import { boardAt, definitionAt, subgraphId } from "../document";
import { linksOf } from "../shape";
import type { Definition, Document, Palette, Port } from "../types";
import { inputType, outputType } from "../typing";
import { type Command, mapStepJoins, plain } from "./board";
import { boards } from "./nesting";
import { freshPort } from "./subgraphs";

export type Side = "inputs" | "outputs";

function onPorts<T>(label: string, id: string, change: (definition: Definition, draft: Document) => T): Command<T> {
  return {
    label,
    path: [id],
    change: (draft) => {
      const definition = definitionAt(draft, [id]);
      if (!definition) throw new Error(`there is no subgraph ${JSON.stringify(id)}`);
      return change(definition, draft);
    },
  };
}

/** Publish an input or output of a step inside; gives the port's name. */
export function addPort(id: string, side: Side, step: string, name: string, palette: Palette): Command<string> {
  return onPorts("add-port", id, (definition, draft) => {
    const type =
      side === "inputs"
        ? inputType(draft, [id], { step, input: name }, palette)
        : outputType(draft, [id], { step, output: name }, palette);
    const port: Port = { name: freshPort(definition[side], name), type: type ?? "ANY", inner: [[step, name]] };
    definition[side].push(port);
    return port.name;
  });
}

/** Let a port lead to another end inside: an input to one more, an output to this one instead. */
export const leadPort = (id: string, side: Side, port: string, step: string, name: string): Command =>
  onPorts("lead-port", id, (definition) => {
    const found = portOf(definition, side, port);
    if (side === "outputs") found.inner = [[step, name]];
    else if (!found.inner.some(([a, b]) => a === step && b === name)) found.inner.push([step, name]);
  });

export const renamePort = (id: string, side: Side, from: string, to: string): Command =>
  onPorts("rename-port", id, (definition, draft) => {
    if (from === to) return;
    const found = portOf(definition, side, from);
    if (!to || definition[side].some((one) => one.name === to))
      throw new Error(`there is a port ${JSON.stringify(to)} already`);
    found.name = to;
    eachUse(draft, id, (step, users) => {
      if (side === "outputs") {
        for (const one of users.readers) {
          mapStepJoins(one, (source, output) => ({
            step: source,
            output: source === users.id && output === from ? to : output,
          }));
        }
      } else {
        step.inputs = renamed(step.inputs, from, to);
        step.reroutes = renamed(step.reroutes, from, to);
        step.after = renamed(step.after, from, to);
        step.exposed = step.exposed.map((one) => (one === from ? to : one));
      }
      for (const port of users.outer?.[side] ?? []) {
        port.inner = port.inner.map(([at, name]) => (at === users.id ? [at, renamedEnd(name, from, to)] : [at, name]));
      }
    });
  });

/** Put a port somewhere else among those of its side. */
export const movePort = (id: string, side: Side, from: number, to: number): Command =>
  onPorts("move-port", id, (definition) => {
    const [port] = definition[side].splice(from, 1);
    if (port) definition[side].splice(to, 0, port);
  });

/** Take a port away; wires at it are cut in every step that uses the subgraph. */
export const removePort = (id: string, side: Side, name: string): Command =>
  onPorts("remove-port", id, (definition, draft) => {
    definition[side] = definition[side].filter((one) => one.name !== name);
    eachUse(draft, id, (step, users) => {
      if (side === "outputs") {
        for (const one of users.readers) {
          mapStepJoins(one, (source, output) =>
            source === users.id && output === name ? null : { step: source, output },
          );
        }
      } else {
        for (const key of Object.keys(step.reroutes)) if (renamedEnd(key, name, "") !== key) delete step.reroutes[key];
        delete step.inputs[name];
        delete step.after[name];
        step.exposed = step.exposed.filter((one) => one !== name);
      }
      for (const port of users.outer?.[side] ?? []) {
        port.inner = port.inner.filter(([at, end]) => at !== users.id || renamedEnd(end, name, "") === end);
      }
    });
  });

type AnyStep = Document["steps"][string];

function eachUse(
  draft: Document,
  id: string,
  change: (step: AnyStep, users: { id: string; readers: AnyStep[]; outer: Definition | null }) => void,
): void {
  for (const { path, board: now } of boards(plain(draft))) {
    const uses = Object.keys(now.steps).filter((at) => subgraphId(now.steps[at]!.kind) === id);
    if (!uses.length) continue;
    const board = boardAt(draft, path);
    const links = linksOf(now);
    for (const at of uses) {
      const readers = new Set(links.filter((link) => link.from.step === at).map((link) => link.step));
      change(board.steps[at]!, {
        id: at,
        readers: [...readers].map((one) => board.steps[one]!),
        outer: definitionAt(draft, path),
      });
    }
  }
}

function portOf(definition: Definition, side: Side, name: string): Port {
  const port = definition[side].find((one) => one.name === name);
  if (!port) throw new Error(`there is no port ${JSON.stringify(name)}`);
  return port;
}

const renamedEnd = (end: string, from: string, to: string): string =>
  end === from || end.startsWith(`${from}#`) ? to + end.slice(from.length) : end;

const renamed = <T>(record: Record<string, T>, from: string, to: string): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [renamedEnd(name, from, to), value]));
