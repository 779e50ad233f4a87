/** Any documents and any commands, for tests of what holds for all of them. */

import fc from "fast-check";
import * as commands from "../commands";
import { boardAt, emptyDocument, newStep } from "../document";
import type { Command } from "../history";
import { linksOf, shapeOf, toInput } from "../shape";
import type { Board, Definition, Document, Input, Json, Path, Selection } from "../types";
import { fits, knobWireType } from "../typing";
import { palette } from "./fixtures";

const kinds = [...palette.nodes.keys()];

/** Numbers to choose by: as good as random, and shrinkable. */
export type Dice = () => number;

export function diceOf(numbers: readonly number[]): Dice {
  let at = 0;
  return () => numbers[at++ % numbers.length]! + Math.floor(at / numbers.length);
}

export const dice = fc.array(fc.nat(997), { minLength: 1, maxLength: 60 });

/** A board whose wires fit, each step being fed by earlier ones. */
export function fill(document: Document, path: Path, count: number, roll: Dice, more: readonly string[] = []): void {
  const board = boardAt(document, path);
  const choice = [...kinds, ...more, ...more, ...more];
  for (let n = 0; n < count; n += 1) {
    const id = `s${n}`;
    const step = newStep(choice[roll() % choice.length]!, [roll() * 3, roll() * 2]);
    board.steps[id] = step;
    const shape = shapeOf(document, path, id, palette);
    for (const end of [
      ...shape.wires,
      ...shape.knobs.map((one) => ({ ...one, type: knobWireType(one), many: false, knob: true })),
    ]) {
      if ("knob" in end && roll() % 4) continue;
      const sources = Object.keys(board.steps)
        .slice(0, -1)
        .flatMap((from) =>
          shapeOf(document, path, from, palette).outputs.flatMap((out) =>
            fits(out.type, end.type) ? [toInput({ step: from, output: out.name })] : [],
          ),
        );
      if (!sources.length || roll() % 8 === 0) continue;
      const pick = (): Json => sources[roll() % sources.length]!;
      step.inputs[end.name] = end.many && roll() % 3 ? Array.from({ length: 1 + (roll() % 3) }, pick) : pick();
    }
    for (const knob of shape.knobs)
      if (!(knob.name in step.inputs) && roll() % 3 === 0 && knob.default !== null)
        step.inputs[knob.name] = knob.default;
    if (roll() % 7 === 0) step.mode = roll() % 2 ? "muted" : "bypassed";
  }
}

/** A definition with ports at every input that is open and every output, filled beforehand. */
function publish(definition: Definition, document: Document, roll: Dice): void {
  for (const id of Object.keys(definition.steps)) {
    const shape = shapeOf(document, [definition.id], id, palette);
    for (const one of [...shape.wires, ...shape.knobs]) {
      if (one.name in definition.steps[id]!.inputs || roll() % 3 === 0) continue;
      const type = "lazy" in one ? one.type : knobWireType(one);
      definition.inputs.push({ name: `i${definition.inputs.length}`, type, inner: [[id, one.name]] });
    }
    for (const out of shape.outputs) {
      if (roll() % 2)
        definition.outputs.push({ name: `o${definition.outputs.length}`, type: out.type, inner: [[id, out.name]] });
    }
  }
}

export function documentOf(numbers: readonly number[]): Document {
  const roll = diceOf(numbers);
  const document = emptyDocument("any");
  const more: string[] = [];
  for (let n = roll() % 3; n > 0; n -= 1) {
    const id = `d${n}`;
    document.definitions[id] = { id, title: id, steps: {}, groups: {}, notes: {}, inputs: [], outputs: [], extra: {} };
    fill(document, [id], 1 + (roll() % 4), roll, more);
    publish(document.definitions[id], document, roll);
    more.push(`subgraph/${id}`);
  }
  fill(document, [], 1 + (roll() % 8), roll, more);
  for (let n = roll() % 3; n > 0; n -= 1) {
    const rect = { x: roll(), y: roll(), width: 200 + roll(), height: 200 + roll() };
    document.groups[`g${n}`] = {
      id: `g${n}`,
      title: `Group ${n}`,
      color: "",
      rect,
      collapsed: roll() % 4 === 0,
      locked: false,
      members: null,
      extra: {},
    };
    document.notes[`n${n}`] = { id: `n${n}`, text: "note", color: "", rect, extra: {} };
  }
  return document;
}

export const anyDocument = dice.map(documentOf);

export function someOf(ids: readonly string[], roll: Dice): string[] {
  return ids.filter(() => roll() % 2 === 0);
}

export const selectionOf = (board: Board, roll: Dice): Selection => ({
  steps: someOf(Object.keys(board.steps), roll),
  groups: someOf(Object.keys(board.groups), roll),
  notes: someOf(Object.keys(board.notes), roll),
});

/** A command that can be run on the document as it is, or one that throws. */
export function commandOf(document: Document, roll: Dice): Command<unknown> {
  const all = commands.boards(document);
  const { path, board } = all[roll() % all.length]!;
  const ids = Object.keys(board.steps);
  const id = ids[roll() % Math.max(1, ids.length)] ?? "none";
  const group = Object.keys(board.groups)[0] ?? "none";
  const definition =
    Object.keys(document.definitions)[roll() % Math.max(1, Object.keys(document.definitions).length)] ?? "none";
  const links = linksOf(board);
  const link = links[roll() % Math.max(1, links.length)];
  const shape = shapeOf(document, path, id, palette);
  const input =
    [...shape.wires, ...shape.knobs][roll() % Math.max(1, shape.wires.length + shape.knobs.length)]?.name ?? "none";
  const selection = selectionOf(board, roll);
  const other = ids[roll() % Math.max(1, ids.length)] ?? "none";
  const output = shapeOf(document, path, other, palette).outputs[0]?.name ?? "none";
  const point = [roll(), roll()] as const;
  const title = `T${roll() % 5}`;
  const port =
    document.definitions[definition]?.inputs[0]?.name ?? document.definitions[definition]?.outputs[0]?.name ?? "none";
  const side = document.definitions[definition]?.inputs.length ? "inputs" : "outputs";
  const choices: (() => Command<unknown>)[] = [
    () => commands.addStep(path, { kind: kinds[roll() % kinds.length]!, position: point }, palette),
    () => commands.removeSteps(path, selection.steps, palette, roll() % 2 === 0),
    () => commands.removeItems(path, selection, palette, roll() % 2 === 0),
    () => commands.moveSteps(path, { [id]: point }),
    () => commands.resizeStep(path, id, roll() % 3 ? [200 + roll(), 100 + roll()] : null),
    () => commands.setValue(path, id, input, (roll() % 5) as Input & number),
    () => commands.setMode(path, selection.steps, (["on", "muted", "bypassed"] as const)[roll() % 3]!),
    () => commands.toggleMode(path, selection.steps, "bypassed"),
    () => commands.setCollapsed(path, selection.steps, roll() % 2 === 0),
    () => commands.setLocked(path, [...selection.steps, ...selection.groups], roll() % 2 === 0),
    () => commands.setCompact(path, selection.steps, roll() % 3 > 0),
    () => commands.setHidden(path, links.slice(0, roll() % 4), roll() % 2 === 0),
    () => commands.setTitle(path, id, title),
    () => commands.exposeKnob(path, id, input),
    () => commands.unexposeKnob(path, id, input),
    () => commands.setAfter(path, id, input, (["fixed", "random", "increment"] as const)[roll() % 3]!),
    () => commands.connect(path, { step: other, output }, { step: id, input, index: roll() % 4 }, palette),
    () => commands.disconnect(path, link ? [link] : []),
    () => commands.detach(path, selection.steps),
    () => commands.extractSteps(path, selection.steps, palette),
    () => (link ? commands.addReroute(path, link, 0, point) : commands.addNote(path, point, title)),
    () => (link ? commands.moveReroute(path, link, 0, point) : commands.addNote(path, point, title)),
    () => (link ? commands.removeReroute(path, link, 0) : commands.addNote(path, point, title)),
    () => (link ? commands.insertOnLink(path, link, id, palette) : commands.addNote(path, point, title)),
    () => (link ? commands.moveEnd(path, link, { step: id, input }, palette) : commands.addNote(path, point, title)),
    () => commands.groupSelection(path, selection, palette, title),
    () => commands.moveGroup(path, group, point, palette, roll() % 2 === 0),
    () => commands.setGroupCollapsed(path, group, roll() % 2 === 0, palette),
    () => commands.fitGroup(path, group, palette),
    () => commands.duplicate(path, selection, [20, 20], palette, roll() % 2 === 0),
    () =>
      commands.paste(path, commands.copy(document, path, selection, palette), { at: point, outer: roll() % 2 === 0 }),
    () => commands.replaceKind(path, id, kinds[roll() % kinds.length]!, palette),
    () => commands.alignItems(path, selection, (["left", "middle", "bottom"] as const)[roll() % 3]!, palette),
    () => commands.distributeItems(path, selection, roll() % 2 ? "x" : "y", palette),
    () => commands.straighten(path, selection.steps, palette),
    () => commands.arrange(path, { [id]: point }, palette),
    () => commands.makeSubgraph(path, selection, title, palette),
    () => commands.unpack(path, ids.find((one) => board.steps[one]!.kind.startsWith("subgraph/")) ?? id, palette),
    () => commands.forkSubgraph(path, id),
    () => commands.renamePort(definition, side, port, title),
    () => commands.removePort(definition, side, port),
    () => commands.movePort(definition, side, 0, roll() % 3),
    () =>
      commands.addPort(
        definition,
        "inputs",
        Object.keys(document.definitions[definition]?.steps ?? {})[0] ?? "none",
        input,
        palette,
      ),
    () => commands.removeSubgraph(definition),
    () => commands.applySeeds(commands.seedsAfterRun(document, palette, () => (roll() % 100) / 100)),
    () => commands.setTargets(path.length ? [] : selection.steps),
  ];
  return choices[roll() % choices.length]!();
}
