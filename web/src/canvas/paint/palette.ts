/** The colours that are painted with, read from the page's CSS variables, so that themes need no code. */
import { inFull, isColor, mixed } from "../../core/color";

export interface Paints {
  canvas: string;
  grid: string;
  node: string;
  nodeHead: string;
  nodeLine: string;
  text: string;
  textQuiet: string;
  accent: string;
  running: string;
  done: string;
  reused: string;
  failed: string;
  group: string;
  note: string;
  unknown: string;
  /** How much of a wire's own colour is drawn, in per cent; the rest is the text's, for contrast. */
  ink: string;
  font: string;
  /** What the text-size setting multiplies sizes by: "1", "1.35", … */
  scale: string;
}

const NAMES: Record<keyof Paints, string> = {
  canvas: "--canvas-bg",
  grid: "--canvas-grid",
  node: "--node-bg",
  nodeHead: "--node-head",
  nodeLine: "--node-line",
  text: "--text",
  textQuiet: "--text-quiet",
  accent: "--accent",
  running: "--run-running",
  done: "--run-done",
  reused: "--run-reused",
  failed: "--run-failed",
  group: "--canvas-group",
  note: "--canvas-note",
  unknown: "--node-unknown",
  ink: "--wire-ink",
  font: "--font",
  scale: "--text-scale",
};

export function readPaints(element: Element): Paints {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, read(name)])) as unknown as Paints;
}

/** How large text is painted, after the text-size setting. */
export const textScale = (paints: Pick<Paints, "scale">): number => Number.parseFloat(paints.scale) || 1;

/** Calls back when the theme changes: by the page's attributes, or by the system. Returns what ends it. */
export function onThemeChange(heard: () => void): () => void {
  const observer = new MutationObserver(heard);
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, {
      attributes: true,
      attributeFilter: ["class", "style", "data-theme", "data-contrast", "data-text"],
    });
  }
  const queries = ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"].map((query) => matchMedia(query));
  for (const query of queries) query.addEventListener("change", heard);
  return () => {
    observer.disconnect();
    for (const query of queries) query.removeEventListener("change", heard);
  };
}

/** A colour that any text may be: "#64b5f6", or the one usual. Unknown input never reaches CSS. */
export function safeColor(color: string, usual: string): string {
  return /^#[0-9a-f]{3,8}$/i.test(color) || /^[a-z]{3,20}$/i.test(color) ? color : usual;
}

const faded = new Map<number, Map<string, string>>();

/** A colour of hexadecimal digits with an opacity from 0 to 1; other forms as they are. */
export function withAlpha(color: string, alpha: number): string {
  let made = faded.get(alpha);
  if (!made) {
    made = new Map();
    faded.set(alpha, made);
  }
  let known = made.get(color);
  if (known === undefined) {
    const byte = Math.round(alpha * 255)
      .toString(16)
      .padStart(2, "0");
    known = isColor(color) ? `${inFull(color)}${byte}` : color;
    made.set(color, known);
  }
  return known;
}

/** A wire's or socket's colour as this theme draws it: pale ones are darkened on a light ground. */
export function inked(color: string, paints: Paints): string {
  const part = Number.parseFloat(paints.ink) / 100;
  return part < 1 ? mixed(color, paints.text, part) : color;
}
