/** What a person chose for this browser. Kept in its storage; broken or missing, the usual. */
import { createStore, type StoreApi } from "zustand/vanilla";
import { inFull } from "../core/color";
import type { Json } from "../core/types";
import { CHOICES, type Choice, chosenFor, NAMES, VARIABLES, variables } from "./theme_colors";

export type Wheel = "auto" | "zoom" | "pan";
/** How wires run from end to end. */
export type LinkStyle = "spline" | "straight" | "orthogonal";

export interface Settings {
  theme: "system" | "light" | "dark";
  /** Colours of a person's own: "dark.accent": "#rrggbb" (`theme_colors`). */
  colors: Readonly<Record<string, string>>;
  contrast: "system" | "normal" | "more";
  text: "small" | "normal" | "large" | "larger";
  motion: "system" | "full" | "reduced";
  snap: boolean;
  minimap: boolean;
  /** What a wheel does: tell a mouse (zooms) from a trackpad (pans), or always the same. With Ctrl it zooms. */
  wheel: Wheel;
  linkStyle: LinkStyle;
  /** Modules that packs bring may run in the page. */
  packWidgets: boolean;
  /** Names of packs whose modules may not. */
  packsOff: readonly string[];
  /** What was chosen for the settings that packs bring, by "pack.setting". */
  packSettings: Readonly<Record<string, Json>>;
  /** Keys by command id; an empty list means none. Those not named have the usual ones. */
  keys: Readonly<Record<string, readonly string[]>>;
  /** How often each kind of node was added: for the order in the palette. */
  used: Readonly<Record<string, number>>;
}

export const USUAL: Settings = {
  theme: "system",
  colors: {},
  contrast: "system",
  text: "normal",
  motion: "system",
  snap: false,
  minimap: true,
  wheel: "auto",
  linkStyle: "spline",
  packWidgets: true,
  packsOff: [],
  packSettings: {},
  keys: {},
  used: {},
};

export type SettingsStore = StoreApi<Settings>;

const PLACE = "latentloom.settings";

/** What each setting with a few possible values may be. */
export const OPTIONS = {
  theme: ["system", "light", "dark"],
  contrast: ["system", "normal", "more"],
  text: ["small", "normal", "large", "larger"],
  motion: ["system", "full", "reduced"],
  wheel: ["auto", "zoom", "pan"],
  linkStyle: ["spline", "straight", "orthogonal"],
} as const satisfies { [Name in keyof Settings]?: readonly Settings[Name][] };

export type Option = keyof typeof OPTIONS;

export function readSettings(text: string | null): Settings {
  try {
    const said = JSON.parse(text ?? "{}") as Partial<Record<keyof Settings, unknown>>;
    const kept = Object.entries(said).filter(([name, value]) => fits(name as keyof Settings, value));
    return { ...USUAL, ...Object.fromEntries(kept) };
  } catch {
    return USUAL;
  }
}

/** Whether a kept value is one that the setting may have; those of another program version may be others. */
function fits(name: keyof Settings, value: unknown): boolean {
  const usual = USUAL[name];
  if (Object.hasOwn(OPTIONS, name)) return (OPTIONS[name as Option] as readonly unknown[]).includes(value);
  if (Array.isArray(usual)) return Array.isArray(value) && value.every((one) => typeof one === "string");
  return typeof value === typeof usual && value !== null && !Array.isArray(value);
}

export function createSettings(storage: Storage = localStorage): SettingsStore {
  const store = createStore<Settings>(() => readSettings(storage.getItem(PLACE)));
  store.subscribe((state) => {
    try {
      storage.setItem(PLACE, JSON.stringify(state));
    } catch {
      // Full or forbidden: it holds until the page is closed.
    }
  });
  return store;
}

/** Put what the page's style sheets look at on the root element; again whenever it or the system changes. */
export function followTheme(store: SettingsStore, root: HTMLElement = document.documentElement): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const more = matchMedia("(prefers-contrast: more)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let painted = "";
  const apply = () => {
    const { theme, colors, contrast, text, motion } = store.getState();
    root.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
    root.dataset.contrast = contrast === "system" ? (more.matches ? "more" : "normal") : contrast;
    root.dataset.text = text;
    root.dataset.motion = motion === "system" ? (still.matches ? "reduced" : "full") : motion;
    const wanted = JSON.stringify([root.dataset.theme, root.dataset.contrast, colors]);
    if (wanted === painted) return;
    painted = wanted;
    paint(root, root.dataset.contrast === "more" ? {} : colors);
  };
  apply();
  store.subscribe(apply);
  for (const query of [dark, more, still]) query.addEventListener("change", apply);
}

/** What the theme in use has by itself for each of the colours that may be chosen. */
export function usualColors(root: HTMLElement = document.documentElement): Record<Choice, string> {
  const own = VARIABLES.map((name) => [name, root.style.getPropertyValue(name)] as const).filter(([, value]) => value);
  for (const [name] of own) root.style.removeProperty(name);
  const style = getComputedStyle(root);
  const found = NAMES.map((name) => [name, inFull(style.getPropertyValue(CHOICES[name]).trim())]);
  for (const [name, value] of own) root.style.setProperty(name, value);
  return Object.fromEntries(found);
}

/** Give the page the colours that were chosen for the theme it is in. */
function paint(root: HTMLElement, colors: Settings["colors"]): void {
  const chosen = chosenFor(root.dataset.theme === "dark" ? "dark" : "light", colors);
  const wanted = Object.keys(chosen).length ? variables(chosen, usualColors(root)) : {};
  for (const name of VARIABLES) {
    const value = wanted[name] ?? "";
    if (root.style.getPropertyValue(name) === value) continue;
    if (value) root.style.setProperty(name, value);
    else root.style.removeProperty(name);
  }
}
