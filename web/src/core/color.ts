/** Colours as #rrggbb, or #rgb as a minifier writes some: mixed, and how well one is read on another. */

export const isColor = (text: unknown): text is string =>
  typeof text === "string" && /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(text);

/** #rrggbb of either form; others as they are. */
export const inFull = (color: string): string =>
  /^#[0-9a-f]{3}$/i.test(color) ? color.replace(/[0-9a-f]/gi, (digit) => digit + digit) : color;

function channels(color: string): number[] {
  const full = inFull(color);
  return [1, 3, 5].map((at) => Number.parseInt(full.slice(at, at + 2), 16));
}

const mixes = new Map<string, string>();

/** So much of one colour over another; the first as it is if either has another form. */
export function mixed(over: string, under: string, part: number): string {
  const key = over + under + part;
  let made = mixes.get(key);
  if (made === undefined) {
    made = over;
    if (isColor(over) && isColor(under)) {
      const below = channels(under);
      const bytes = channels(over).map((one, at) => Math.round(one * part + below[at]! * (1 - part)));
      made = `#${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    }
    mixes.set(key, made);
  }
  return made;
}

/** Relative luminance, 0 to 1: WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance. */
function luminance(color: string): number {
  const [r, g, b] = channels(color).map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

/** Contrast of two colours, 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio. */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

/** Black or white, whichever is read better on a colour. */
export const readableOn = (color: string): string =>
  contrast(color, "#000000") >= contrast(color, "#ffffff") ? "#000000" : "#ffffff";
