/** Finding things that are there: steps by title, kind, id or value, and notes and groups, on every board. */

import { boards } from "./commands/nesting";
import { folded, match } from "./search";
import { titleOf } from "./shape";
import type { Document, Palette } from "./types";

export interface Found {
  path: string[];
  what: "step" | "group" | "note";
  id: string;
  title: string;
  /** The input whose value matched; "" when it was the title, kind or id. */
  field: string;
  /** What was matched, for a line below the title. */
  text: string;
  score: number;
}

/** The best first; nothing for an empty query. */
export function findInDocument(document: Document, palette: Palette, query: string, most = 100): Found[] {
  const word = folded(query.trim());
  if (!word) return [];
  const found: Found[] = [];
  for (const { path, board } of boards(document)) {
    for (const [id, step] of Object.entries(board.steps)) {
      const title = titleOf(document, path, id, palette);
      const score = Math.max(match(title, word).score, match(id, word).score - 50, match(step.kind, word).score - 200);
      const value = score >= 1000 ? null : valueWith(step.inputs, word);
      if (score > 0 && !value) found.push({ path, what: "step", id, title, field: "", text: step.kind, score });
      else if (value) found.push({ path, what: "step", id, title, ...value, score: 800 });
      if (step.note && folded(step.note).includes(word)) {
        found.push({ path, what: "step", id, title, field: "", text: step.note, score: 700 });
      }
    }
    for (const group of Object.values(board.groups)) {
      const { score } = match(group.title, word);
      if (score) found.push({ path, what: "group", id: group.id, title: group.title, field: "", text: "", score });
    }
    for (const note of Object.values(board.notes)) {
      if (folded(note.text).includes(word)) {
        found.push({
          path,
          what: "note",
          id: note.id,
          title: note.text.split("\n")[0]!,
          field: "",
          text: note.text,
          score: 700,
        });
      }
    }
  }
  return found.sort((a, b) => b.score - a.score).slice(0, most);
}

function valueWith(inputs: Record<string, unknown>, word: string): { field: string; text: string } | null {
  for (const [field, value] of Object.entries(inputs)) {
    const text = typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
    if (text && folded(text).includes(word)) return { field, text };
  }
  return null;
}
