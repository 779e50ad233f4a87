/**
 * Colours of a person's own: five are chosen, for light and dark apart, and every other one of a theme follows from them.
 */
import { contrast, isColor, mixed, readableOn } from "../core/color";

/** What is chosen, and the variable of ui/theme.css that it is. */
export const CHOICES = {
  canvas: "--canvas-bg",
  surface: "--surface",
  node: "--node-bg",
  text: "--text",
  accent: "--accent",
} as const;

export type Choice = keyof typeof CHOICES;
export type Base = "light" | "dark";
export const NAMES = Object.keys(CHOICES) as Choice[];

/** Variables that are so much of one choice over another. */
const FOLLOWING: Readonly<Record<string, readonly [Choice, Choice, number]>> = {
  "--canvas-grid": ["text", "canvas", 0.1],
  "--canvas-group": ["text", "canvas", 0.15],
  "--surface-2": ["text", "surface", 0.04],
  "--surface-3": ["text", "surface", 0.09],
  "--line": ["text", "surface", 0.14],
  "--line-2": ["text", "surface", 0.5],
  "--text-quiet": ["text", "surface", 0.74],
  "--node-head": ["text", "node", 0.05],
  "--node-line": ["text", "node", 0.2],
  "--field": ["canvas", "node", 0.5],
  "--accent-2": ["text", "accent", 0.2],
  "--accent-soft": ["accent", "surface", 0.16],
  "--focus": ["accent", "accent", 1],
  "--run-running": ["accent", "accent", 1],
};

export const VARIABLES: readonly string[] = [...Object.values(CHOICES), ...Object.keys(FOLLOWING), "--on-accent"];

/** The values of all variables that what was chosen changes. `usual` is what the theme has by itself. */
export function variables(
  chosen: Partial<Record<Choice, string>>,
  usual: Readonly<Record<Choice, string>>,
): Record<string, string> {
  const now = { ...usual, ...chosen };
  const found: Record<string, string> = {};
  for (const name of NAMES) if (chosen[name]) found[CHOICES[name]] = now[name];
  for (const [variable, [over, under, part]] of Object.entries(FOLLOWING))
    if (chosen[over] || chosen[under]) found[variable] = mixed(now[over], now[under], part);
  if (chosen.accent) found["--on-accent"] = readableOn(chosen.accent);
  return found;
}

/** What is chosen for a theme, of the kept colours "dark.accent": "#rrggbb". */
export function chosenFor(base: Base, colors: Readonly<Record<string, string>>): Partial<Record<Choice, string>> {
  const found = NAMES.map((name) => [name, colors[`${base}.${name}`]] as const);
  return Object.fromEntries(found.filter(([, color]) => isColor(color)));
}

/** Kept colours with other ones for a theme. */
export function withColors(
  colors: Readonly<Record<string, string>>,
  base: Base,
  chosen: Partial<Record<Choice, string>>,
): Record<string, string> {
  const others = Object.entries(colors).filter(([key]) => !key.startsWith(`${base}.`));
  const mine = Object.entries(chosen).filter(([, color]) => isColor(color));
  return Object.fromEntries([...others, ...mine.map(([name, color]) => [`${base}.${name}`, color])]);
}

/** What is hard to read with these colours: what, on what, and their contrast; WCAG asks for 4.5 of text, 3 of marks. */
export function hardToRead(colors: Readonly<Record<Choice, string>>): { what: Choice; on: Choice; ratio: number }[] {
  const pairs: [Choice, Choice, number][] = [
    ["text", "surface", 4.5],
    ["text", "node", 4.5],
    ["text", "canvas", 4.5],
    ["accent", "surface", 3],
    ["accent", "node", 3],
  ];
  return pairs
    .map(([what, on, least]) => ({ what, on, least, ratio: contrast(colors[what], colors[on]) }))
    .filter(({ ratio, least }) => ratio < least)
    .map(({ what, on, ratio }) => ({ what, on, ratio }));
}

const colors = (...five: string[]) =>
  Object.fromEntries(NAMES.map((name, at) => [name, five[at]])) as Record<Choice, string>;

/** Sets to start from; the theme's own is the empty one. */
export const SETS: Readonly<
  Record<"usual" | "graphite" | "paper" | "forest", Record<Base, Partial<Record<Choice, string>>>>
> = {
  usual: { light: {}, dark: {} },
  graphite: {
    light: colors("#e6e6e6", "#fafafa", "#ffffff", "#1c1c1c", "#a35200"),
    dark: colors("#161616", "#212121", "#2a2a2a", "#ebebeb", "#ffb74d"),
  },
  paper: {
    light: colors("#ece4d6", "#fbf7ef", "#fffdf8", "#2a2118", "#95450f"),
    dark: colors("#191512", "#241f1b", "#2c2621", "#f0e7db", "#f0a878"),
  },
  forest: {
    light: colors("#dfe9e2", "#f8fcf9", "#ffffff", "#14241b", "#17693f"),
    dark: colors("#0f1613", "#18211d", "#1e2a24", "#e4eee8", "#7fd6a4"),
  },
};
