/** How a number knob's value is shown, stepped and kept within its bounds. */

import type { KnobDef } from "../core/types";

export type Bounds = Pick<KnobDef, "type" | "min" | "max" | "step" | "auto">;

/** What the number that leaves the choice to the node is shown as, and may be typed as. */
export const AUTO = "auto";

/** What one notch changes: the knob's own step, else 1 of an integer and 0.01 of a float. */
export function stepOf(def: Bounds): number {
  return def.step && def.step > 0 ? def.step : def.type === "INT" ? 1 : 0.01;
}

/** How many decimals a notch has: 0.05 → 2, at most 10. */
export function decimalsOf(step: number): number {
  const text = step.toString();
  const [mantissa = "", exponent = "0"] = text.split("e");
  const fraction = mantissa.split(".")[1]?.length ?? 0;
  return Math.min(10, Math.max(0, fraction - Number(exponent)));
}

/** `value` within the bounds; whole if the knob is. */
export function bounded(value: number, def: Bounds): number {
  const whole = def.type === "INT" ? Math.round(value) : value;
  return Math.min(def.max ?? Number.POSITIVE_INFINITY, Math.max(def.min ?? Number.NEGATIVE_INFINITY, whole));
}

/** `notches` steps from `value`, without the dust of binary fractions. */
export function stepped(value: number, notches: number, def: Bounds): number {
  const step = stepOf(def);
  const decimals = Math.max(decimalsOf(step), decimalsOf(value)) + 2;
  const moved = value + notches * step;
  return bounded(Math.abs(moved) < 1e15 ? Number(moved.toFixed(Math.min(decimals, 12))) : moved, def);
}

/** What `text` means where a number may be left to the node: its `auto`; null for anything else. */
export function autoOf(text: string, def: Bounds): number | null {
  const said = text.trim().toLowerCase();
  return def.auto != null && (said === AUTO || said === "") ? def.auto : null;
}

/** As shown: "auto", or at least the decimals of a notch for a float up to 3, all that matter otherwise. */
export function shown(value: unknown, def: Bounds): string {
  if (typeof value !== "number") return value === null || value === undefined ? "" : String(value);
  if (def.auto != null && value === def.auto) return AUTO;
  if (def.type === "INT" || !Number.isFinite(value) || Math.abs(value) >= 1e15) return String(value);
  const least = Math.min(3, decimalsOf(stepOf(def)));
  const exact = String(value);
  const has = exact.includes("e") ? 99 : (exact.split(".")[1]?.length ?? 0);
  return has < least ? value.toFixed(least) : exact;
}
