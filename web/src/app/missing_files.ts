/** Models and other files that a workflow names and this machine does not have. */
import type { Palette } from "../core/types";

type Steps = Record<string, { kind?: unknown; inputs?: Record<string, unknown> }>;

export function missingFiles(
  document: Readonly<Record<string, unknown>>,
  palette: Palette,
  names: Readonly<Record<string, readonly string[]>>,
): string[] {
  const missing = new Set<string>();
  for (const step of Object.values((document.steps ?? {}) as Steps)) {
    for (const knob of palette.nodes.get(String(step.kind))?.knobs ?? []) {
      const value = step.inputs?.[knob.name] ?? knob.default;
      const known = names[knob.file];
      if (knob.type === "FILE" && typeof value === "string" && value && known && !known.includes(value))
        missing.add(value);
    }
  }
  return [...missing];
}
