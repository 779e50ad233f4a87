/**
 * The names that come closest to a misspelt one: the matches of Python's `difflib.get_close_matches`, so that browser
 * and server suggest the same. Ratcliff/Obershelp: twice the matching characters over all characters.
 */

const CUTOFF = 0.6;

/** Up to `most` of `names`, the best first; those equally good in reverse alphabetical order, as there. */
export function closeMatches(word: string, names: Iterable<string>, most = 3): string[] {
  const wanted = Array.from(word);
  const places = placesIn(wanted);
  const counts = new Map<string, number>();
  for (const char of wanted) counts.set(char, (counts.get(char) ?? 0) + 1);
  const found: [score: number, name: string][] = [];
  for (const name of names) {
    const given = Array.from(name);
    const length = given.length + wanted.length;
    if (length && (2 * Math.min(given.length, wanted.length)) / length < CUTOFF) continue;
    if (length && (2 * common(given, counts)) / length < CUTOFF) continue;
    const score = length ? (2 * matching(given, wanted, places)) / length : 1;
    if (score >= CUTOFF) found.push([score, name]);
  }
  found.sort((a, b) => b[0] - a[0] || byCodePoints(b[1], a[1]));
  return found.slice(0, most).map(([, name]) => name);
}

function placesIn(wanted: string[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  wanted.forEach((char, at) => {
    const known = places.get(char);
    if (known) known.push(at);
    else places.set(char, [at]);
  });
  return places;
}

/** Characters in common, wherever they are: an upper bound of what matches. */
function common(given: string[], counts: Map<string, number>): number {
  const left = new Map(counts);
  let found = 0;
  for (const char of given) {
    const count = left.get(char) ?? 0;
    if (count > 0) {
      left.set(char, count - 1);
      found += 1;
    }
  }
  return found;
}

/** The length of the longest common run, and of those to its left and right, and so on. */
function matching(given: string[], wanted: string[], places: Map<string, number[]>): number {
  let sum = 0;
  const work: [number, number, number, number][] = [[0, given.length, 0, wanted.length]];
  for (let one = work.pop(); one; one = work.pop()) {
    const [a, a2, b, b2] = one;
    const [i, j, length] = longest(given, a, a2, b, b2, places);
    if (!length) continue;
    sum += length;
    work.push([a, i, b, j], [i + length, a2, j + length, b2]);
  }
  return sum;
}

function longest(
  given: string[],
  a: number,
  a2: number,
  b: number,
  b2: number,
  places: Map<string, number[]>,
): [number, number, number] {
  let best: [number, number, number] = [a, b, 0];
  let runs = new Map<number, number>();
  for (let i = a; i < a2; i += 1) {
    const next = new Map<number, number>();
    for (const j of places.get(given[i]!) ?? []) {
      if (j < b) continue;
      if (j >= b2) break;
      const length = (runs.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > best[2]) best = [i - length + 1, j - length + 1, length];
    }
    runs = next;
  }
  return best;
}

function byCodePoints(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let at = 0; at < Math.min(x.length, y.length); at += 1) {
    const by = x[at]!.codePointAt(0)! - y[at]!.codePointAt(0)!;
    if (by) return by;
  }
  return x.length - y.length;
}
