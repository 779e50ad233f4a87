/** What a person chose for this browser. Kept in its storage; broken or missing, the usual. */
import { createStore, type StoreApi } from "zustand/vanilla";

export interface Settings {
  theme: "system" | "light" | "dark";
  contrast: "system" | "normal" | "more";
  text: "small" | "normal" | "large" | "larger";
  motion: "system" | "full" | "reduced";
  snap: boolean;
  minimap: boolean;
  /** Wheel: zooms, or scrolls (with Ctrl it zooms). */
  wheel: "zoom" | "scroll";
  /** Modules that packs bring may run in the page. */
  packWidgets: boolean;
  /** Keys by command id; an empty list means none. Those not named have the usual ones. */
  keys: Readonly<Record<string, readonly string[]>>;
  /** How often each kind of node was added: for the order in the palette. */
  used: Readonly<Record<string, number>>;
}

export const USUAL: Settings = {
  theme: "system",
  contrast: "system",
  text: "normal",
  motion: "system",
  snap: false,
  minimap: true,
  wheel: "zoom",
  packWidgets: true,
  keys: {},
  used: {},
};

export type SettingsStore = StoreApi<Settings>;

const PLACE = "latentloom.settings";

export function readSettings(text: string | null): Settings {
  try {
    const said = JSON.parse(text ?? "{}") as Partial<Record<keyof Settings, unknown>>;
    const kept = Object.entries(said).filter(([name, value]) => typeof value === typeof USUAL[name as keyof Settings]);
    return { ...USUAL, ...Object.fromEntries(kept) };
  } catch {
    return USUAL;
  }
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
  const apply = () => {
    const { theme, contrast, text, motion } = store.getState();
    root.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
    root.dataset.contrast = contrast === "system" ? (more.matches ? "more" : "normal") : contrast;
    root.dataset.text = text;
    root.dataset.motion = motion === "system" ? (still.matches ? "reduced" : "full") : motion;
  };
  apply();
  store.subscribe(apply);
  for (const query of [dark, more, still]) query.addEventListener("change", apply);
}
