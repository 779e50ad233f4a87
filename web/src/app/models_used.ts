/**
 * The files that a workflow's knobs name: which of them are not on this machine, what could take their place, and what
 * each is by its content, so that a workflow that is given away says more than a name.
 *
 * A document keeps it as `models`: kind of file → name → fingerprint.
 */
import type { ModelMessage } from "../api/wire";
import { closeMatches } from "../core/close";
import { isObject, own, subgraphId, writeDocument } from "../core/document";
import type { Board, Document, Json, Palette, Path, Problem } from "../core/types";

export interface UsedFile {
  /** The board it is on, and what the step is called in a run. */
  path: Path;
  step: string;
  runId: string;
  knob: string;
  /** "checkpoint" */
  kind: string;
  name: string;
  /** The step's title. */
  title: string;
}

export interface Match {
  name: string;
  /** The same content under another name, or only a name that is much like it. */
  by: "content" | "name";
}

export interface Missing extends UsedFile {
  matches: readonly Match[];
}

/** What this machine has, as far as a worker has said. */
export interface Shelf {
  names: Readonly<Record<string, readonly string[]>>;
  folders: Readonly<Record<string, readonly string[]>>;
  models: readonly ModelMessage[];
}

export function filesIn(document: Document, palette: Palette): UsedFile[] {
  const found: UsedFile[] = [];
  const visit = (board: Board, path: Path, prefix: string, inside: readonly string[]) => {
    for (const [id, step] of Object.entries(board.steps)) {
      const definition = subgraphId(step.kind);
      const inner = definition && !inside.includes(definition) ? own(document.definitions, definition) : undefined;
      if (inner) visit(inner, [...path, definition], `${prefix}${id}/`, [...inside, definition]);
      const def = palette.nodes.get(step.kind);
      for (const knob of def?.knobs ?? []) {
        const value = step.inputs[knob.name] ?? knob.default;
        if (knob.type !== "FILE" || typeof value !== "string" || !value) continue;
        const title = step.title || def?.title || id;
        found.push({ path, step: id, runId: prefix + id, knob: knob.name, kind: knob.file, name: value, title });
      }
    }
  };
  visit(document, [], "", []);
  return found;
}

/** Files that are named and not here; nothing is said of kinds whose names nobody has told yet. */
export function missingIn(document: Document, palette: Palette, shelf: Shelf): Missing[] {
  return filesIn(document, palette)
    .filter(({ kind, name }) => own(shelf.names, kind)?.includes(name) === false)
    .map((used) => ({ ...used, matches: matchesFor(used, shelf, marksOf(document)) }));
}

/** What could take a file's place: of the same content first, then with a name like it. */
function matchesFor({ kind, name }: UsedFile, shelf: Shelf, marks: Marks): Match[] {
  const here = own(shelf.names, kind) ?? [];
  const wanted = marks[kind]?.[name] ?? "";
  const same = new Set(
    shelf.models.filter(({ fingerprint }) => wanted && fingerprint === wanted).map((one) => one.name),
  );
  const byContent = here.filter((one) => same.has(one)).map((one) => ({ name: one, by: "content" as const }));
  const stems = new Map<string, string>();
  for (const one of here) if (!same.has(one)) stems.set(stem(one), one);
  const byName = closeMatches(stem(name), stems.keys()).map((one) => ({
    name: stems.get(one) ?? one,
    by: "name" as const,
  }));
  return [...byContent, ...byName].slice(0, 3);
}

/** What of a name says which model it is: no folder, no suffix, one kind of letter. */
const stem = (name: string): string =>
  name
    .replace(/^.*[\\/]/, "")
    .replace(/\.(safetensors|sft|gguf|png|webp|jpe?g)$/i, "")
    .toLowerCase();

export function problemOf(one: Missing, shelf: Shelf): Problem {
  const places = own(shelf.folders, one.kind) ?? [];
  const looked = places.length ? `; looked in ${places.join(", ")}` : "";
  const [best] = one.matches;
  const fix = best
    ? `Use ${best.name}, which has ${best.by === "content" ? "the same content" : "a name like it"}.`
    : "Put the file there, or choose another.";
  const what = `there is no ${one.kind.replaceAll("_", " ")} ${one.name} here${looked}.`;
  return { code: "no-file", place: one.title, what, fix, step: one.runId, field: one.knob };
}

type Marks = Readonly<Record<string, Readonly<Record<string, string>>>>;

function marksOf(document: Document): Marks {
  const said = document.extra.models;
  return isObject(said) ? (said as unknown as Marks) : {};
}

/** The document as it is given away: with what each of its models is by its content. What is not here keeps what was said. */
export function signed(document: Document, palette: Palette, models: readonly ModelMessage[]): Record<string, Json> {
  const marks: Record<string, Record<string, string>> = {};
  const before = marksOf(document);
  for (const { kind, name } of filesIn(document, palette)) {
    const mark = models.find((one) => one.name === name && one.fingerprint)?.fingerprint ?? before[kind]?.[name];
    if (typeof mark !== "string") continue;
    marks[kind] ??= {};
    marks[kind][name] = mark;
  }
  const json = writeDocument(document);
  if (Object.keys(marks).length) json.models = marks;
  else delete json.models;
  return json;
}
