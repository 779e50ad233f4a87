/** Which finished files are pictures, and what is known of how one was made. */
import type { FileMessage } from "../api/wire";
import type { Document, Palette } from "../core/types";

export const isPicture = (file: Pick<FileMessage, "media" | "name">): boolean =>
  file.media.startsWith("image") || /\.(png|webp|jpe?g|gif)$/i.test(file.name);

export interface Said {
  /** "Prompt", the title of its node. */
  of: string;
  knob: string;
  value: string;
  long: boolean;
}

/** The values of a workflow that a person would ask for: texts, files and seeds. */
export function saidIn(document: Document, palette: Palette): Said[] {
  const found: Said[] = [];
  for (const step of Object.values(document.steps)) {
    const def = palette.nodes.get(step.kind);
    if (!def || step.mode !== "on") continue;
    for (const knob of def.knobs) {
      const value = step.inputs[knob.name] ?? knob.default;
      const long = knob.type === "STRING" && knob.multiline;
      if (!long && !knob.seed && knob.type !== "FILE") continue;
      if (typeof value !== "string" && typeof value !== "number") continue;
      if (value !== "")
        found.push({ of: step.title || def.title, knob: knob.label || knob.name, value: String(value), long });
    }
  }
  return found;
}
