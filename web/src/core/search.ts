/**
 * Finding a node to add: exact before prefix before word before fuzzy, those used often first among equals.
 *
 * A query is words and filters: `blur in:IMAGE out:LATENT pack:core`. All words have to be found.
 */

import { isInside } from "./commands/nesting";
import { SUBGRAPH } from "./document";
import { kindShape } from "./shape";
import type { Document, Palette, Path, Shape } from "./types";
import { ANY, fits, knobWireType } from "./typing";

export interface Query {
  words: string[];
  in: string[];
  out: string[];
  pack: string[];
}

export function parseQuery(text: string): Query {
  const query: Query = { words: [], in: [], out: [], pack: [] };
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const found = /^(in|out|pack):(.*)$/i.exec(part);
    if (!found) query.words.push(folded(part));
    else if (found[2]) query[found[1]!.toLowerCase() as "in" | "out" | "pack"].push(found[2]);
  }
  return query;
}

/** Small letters without accents: what is compared. As long as the text where that can be. */
export function folded(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** How well a word is found in a text; 0 not at all. The thousands say how: 4 exactly, 3 at the start, 2 at a word, 1 loosely. */
export function match(text: string, word: string): { score: number; ranges: [start: number, end: number][] } {
  const where = folded(text);
  if (!word) return { score: 1, ranges: [] };
  if (where === word) return { score: 4000, ranges: [[0, word.length]] };
  const shorter = Math.max(0, 200 - where.length);
  if (where.startsWith(word)) return { score: 3000 + shorter, ranges: [[0, word.length]] };
  for (let at = where.indexOf(word); at >= 0; at = where.indexOf(word, at + 1)) {
    if (startsWord(text, where, at))
      return { score: 2000 + shorter - Math.min(at, 100), ranges: [[at, at + word.length]] };
  }
  const inside = where.indexOf(word);
  if (inside >= 0 && word.length > 1)
    return { score: 1400 + shorter - Math.min(inside, 100), ranges: [[inside, inside + word.length]] };
  const ranges = loosely(text, where, word);
  return ranges
    ? { score: Math.max(1, 1000 + shorter - 40 * ranges.length - where.length), ranges }
    : { score: 0, ranges: [] };
}

function startsWord(text: string, where: string, at: number): boolean {
  if (at === 0 || /[^\p{L}\p{N}]/u.test(where[at - 1]!)) return true;
  return where.length === text.length && /\p{Lu}/u.test(text[at]!) && !/\p{Lu}/u.test(text[at - 1]!);
}

/** All letters in order, the first at the start of a word, in few pieces. */
function loosely(text: string, where: string, word: string): [number, number][] | null {
  if (word.length < 2) return null;
  for (let start = where.indexOf(word[0]!); start >= 0; start = where.indexOf(word[0]!, start + 1)) {
    if (!startsWord(text, where, start)) continue;
    const ranges: [number, number][] = [];
    let at = start;
    for (const letter of word) {
      const found = where.indexOf(letter, at);
      if (found < 0) break;
      const last = ranges.at(-1);
      if (last && last[1] === found) last[1] = found + 1;
      else ranges.push([found, found + 1]);
      at = found + 1;
    }
    const letters = ranges.reduce((sum, [a, b]) => sum + b - a, 0);
    if (letters === word.length && ranges.length <= Math.ceil(word.length / 2)) return ranges;
  }
  return null;
}

export interface NodeHit {
  kind: string;
  shape: Shape;
  score: number;
  /** What is to be marked in the title. */
  ranges: [start: number, end: number][];
  /** The input or output that a dragged wire would be joined to; "" when none is asked for. */
  socket: string;
}

export interface NodeSearch {
  /** How often each kind was added. */
  uses?: ReadonlyMap<string, number>;
  /** A wire that ended in empty space: from an output of this type, or into an input of this type. */
  wire?: { from: string } | { to: string };
  most?: number;
}

/** Kinds that may be added to a board, the best first; without words all, by use and then by category and title. */
export function searchNodes(
  document: Document,
  path: Path,
  palette: Palette,
  text: string,
  options: NodeSearch = {},
): NodeHit[] {
  const query = parseQuery(text);
  const own = Object.keys(document.definitions).map((id) => SUBGRAPH + id);
  const hits: NodeHit[] = [];
  for (const kind of [...palette.nodes.keys(), ...own]) {
    const shape = kindShape(document, kind, palette);
    if (!shape || (shape.subgraph && isInside(document, path, kind)) || !filtered(shape, query)) continue;
    const socket = options.wire ? socketFor(shape, options.wire) : "";
    if (socket === null) continue;
    const found = wordsIn(shape, query.words);
    if (!found) continue;
    const uses = Math.min(199, Math.round(40 * Math.log2(1 + (options.uses?.get(kind) ?? 0))));
    const score = found.score + uses - (shape.deprecated ? 500 : 0);
    hits.push({ kind, shape, score, ranges: found.ranges, socket });
  }
  const title = (hit: NodeHit): string => `${hit.shape.category}\n${hit.shape.title}\n${hit.kind}`;
  hits.sort((a, b) => b.score - a.score || (title(a) < title(b) ? -1 : 1));
  return hits.slice(0, options.most ?? 200);
}

/** Each word is worth what its best place is: the title before the kind's name before category, sockets and help. */
function wordsIn(shape: Shape, words: readonly string[]): Pick<NodeHit, "score" | "ranges"> | null {
  const whole = match(shape.title, words.join(" "));
  if (words.length && whole.score >= 2000) return whole;
  let score = 0;
  const ranges: NodeHit["ranges"] = [];
  const name = shape.kind.split("/").at(-1)!.replaceAll("_", " ");
  for (const word of words) {
    const title = match(shape.title, word);
    const others = Math.max(
      match(name, word).score - 100,
      match(shape.category, word).score >= 1400 ? 900 : 0,
      [...shape.wires, ...shape.outputs].some((one) => folded(one.type) === word || folded(one.name) === word)
        ? 600
        : 0,
      word.length > 3 && folded(shape.help).includes(word) ? 300 : 0,
    );
    if (!title.score && others <= 0) return null;
    if (title.score >= others) ranges.push(...title.ranges);
    score += Math.max(title.score, others);
  }
  return { score: words.length ? score / words.length : 0, ranges: ranges.sort((a, b) => a[0] - b[0]) };
}

function filtered(shape: Shape, query: Query): boolean {
  const pack = shape.subgraph ? "subgraph" : shape.kind.split("/")[0]!;
  return (
    query.in.every((type) => takes(shape, type.toUpperCase()) !== null) &&
    query.out.every((type) => gives(shape, type.toUpperCase()) !== null) &&
    query.pack.every((one) => folded(pack).startsWith(folded(one)))
  );
}

const socketFor = (shape: Shape, wire: { from: string } | { to: string }): string | null =>
  "from" in wire ? takes(shape, wire.from) : gives(shape, wire.to);

/** The first input that an output of this type fits: exactly rather than somehow, wires rather than knobs. */
export function takes(shape: Shape, type: string): string | null {
  const wires = shape.wires.map((one) => ({ name: one.name, type: one.type }));
  const knobs = shape.knobs.map((one) => ({ name: one.name, type: knobWireType(one) }));
  return (
    best(
      wires,
      (one) => one.type === type,
      (one) => fits(type, one.type),
      type,
    ) ??
    best(
      knobs,
      (one) => one.type === type,
      (one) => fits(type, one.type),
      type,
    )
  );
}

/** The first output that fits an input of this type. */
export function gives(shape: Shape, type: string): string | null {
  return best(
    shape.outputs,
    (one) => one.type === type,
    (one) => fits(one.type, type),
    type,
  );
}

interface End {
  name: string;
  type: string;
}

function best(
  ends: readonly End[],
  exact: (one: End) => boolean,
  fit: (one: End) => boolean,
  type: string,
): string | null {
  const some = ends.filter(fit);
  const found = some.find(exact) ?? some.find((one) => one.type !== ANY || type === ANY) ?? some[0];
  return found?.name ?? null;
}
