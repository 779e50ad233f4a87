/**
 * Which rectangles are near: a grid of cells, so that a question costs what it finds and a move costs one rectangle.
 *
 * Rectangles over very many cells (large groups) are kept in a list of their own and looked at each time.
 */

import { overlap } from "./geometry";
import type { Point, Rect } from "./types";

const CELL = 512;
const MANY_CELLS = 64;

interface Entry<K> {
  key: K;
  rect: Rect;
  cells: number[] | null;
}

export class SpatialIndex<K = string> {
  private readonly entries = new Map<K, Entry<K>>();
  private readonly cells = new Map<number, Set<Entry<K>>>();
  private readonly large = new Set<Entry<K>>();

  constructor(rects: Iterable<readonly [K, Rect]> = []) {
    for (const [key, rect] of rects) this.set(key, rect);
  }

  get size(): number {
    return this.entries.size;
  }

  rect(key: K): Rect | undefined {
    return this.entries.get(key)?.rect;
  }

  /** Put a rectangle there, or move it. */
  set(key: K, rect: Rect): void {
    const known = this.entries.get(key);
    const cells = cellsOf(rect);
    if (known && same(known.cells, cells)) {
      known.rect = rect;
      return;
    }
    if (known) this.takeOut(known);
    const entry = { key, rect, cells };
    this.entries.set(key, entry);
    if (cells === null) this.large.add(entry);
    for (const cell of cells ?? []) {
      const there = this.cells.get(cell);
      if (there) there.add(entry);
      else this.cells.set(cell, new Set([entry]));
    }
  }

  delete(key: K): void {
    const known = this.entries.get(key);
    if (!known) return;
    this.takeOut(known);
    this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
    this.cells.clear();
    this.large.clear();
  }

  /** The keys of all that overlap `rect`, each once, in no order. */
  query(rect: Rect): K[] {
    const found: K[] = [];
    for (const entry of this.candidates(rect)) if (overlap(entry.rect, rect)) found.push(entry.key);
    return found;
  }

  /** All whose rectangle holds the point. */
  at([x, y]: Point): K[] {
    return this.query({ x: x - 1e-6, y: y - 1e-6, width: 2e-6, height: 2e-6 });
  }

  /** The key whose rectangle is closest, at most `reach` away (0 inside); null if none is. */
  nearest([x, y]: Point, reach: number, wanted: (key: K) => boolean = () => true): K | null {
    let best: K | null = null;
    let least = reach;
    for (const { key, rect } of this.candidates({ x: x - reach, y: y - reach, width: 2 * reach, height: 2 * reach })) {
      const dx = Math.max(rect.x - x, 0, x - rect.x - rect.width);
      const dy = Math.max(rect.y - y, 0, y - rect.y - rect.height);
      const distance = Math.hypot(dx, dy);
      if ((distance < least || (best === null && distance <= least)) && wanted(key)) {
        best = key;
        least = distance;
      }
    }
    return best;
  }

  private candidates(rect: Rect): Iterable<Entry<K>> {
    const cells = cellsOf(rect);
    if (cells === null && cellCount(rect) > this.cells.size) return this.entries.values();
    const found = new Set(this.large);
    for (const cell of cells ?? allCells(rect)) {
      for (const entry of this.cells.get(cell) ?? []) found.add(entry);
    }
    return found;
  }

  private takeOut(entry: Entry<K>): void {
    this.large.delete(entry);
    for (const cell of entry.cells ?? []) {
      const there = this.cells.get(cell);
      there?.delete(entry);
      if (there?.size === 0) this.cells.delete(cell);
    }
  }
}

const SPAN = 1 << 20;
const numberOf = (x: number, y: number): number => (x + SPAN / 2) * SPAN + (y + SPAN / 2);
const cellAt = (at: number): number => Math.max(-SPAN / 2, Math.min(SPAN / 2 - 1, Math.floor(at / CELL)));

function ends(rect: Rect): [number, number, number, number] {
  return [cellAt(rect.x), cellAt(rect.y), cellAt(rect.x + rect.width), cellAt(rect.y + rect.height)];
}

function cellCount(rect: Rect): number {
  const [x, y, x2, y2] = ends(rect);
  return (x2 - x + 1) * (y2 - y + 1);
}

/** The cells under a rectangle; null when they are very many. */
function cellsOf(rect: Rect): number[] | null {
  return cellCount(rect) > MANY_CELLS ? null : allCells(rect);
}

function allCells(rect: Rect): number[] {
  const [x, y, x2, y2] = ends(rect);
  const cells: number[] = [];
  for (let i = x; i <= x2; i += 1) for (let j = y; j <= y2; j += 1) cells.push(numberOf(i, j));
  return cells;
}

const same = (a: number[] | null, b: number[] | null): boolean =>
  a === b || (a !== null && b !== null && a.length === b.length && a[0] === b[0] && a.at(-1) === b.at(-1));
