/** A socket's colour and shape, by the type of its wire. */

import type { Palette, SocketDef } from "../core/types";

export interface SocketStyle {
  color: string;
  shape: SocketDef["shape"];
}

/** Of types that are in no pack: the knobs' own, and what takes everything. */
const PLAIN: Record<string, SocketStyle> = {
  ANY: { color: "#9aa3b2", shape: "circle" },
  INT: { color: "#7fb8a4", shape: "circle" },
  FLOAT: { color: "#8fb87f", shape: "circle" },
  STRING: { color: "#c9a86a", shape: "square" },
  BOOLEAN: { color: "#b58fb8", shape: "diamond" },
};

/** Of a type nobody describes: a calm colour of its own, from its name. */
function invented(type: string): SocketStyle {
  let hash = 7;
  for (const letter of type) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return { color: hex(hash % 360), shape: (["circle", "square", "diamond", "hexagon"] as const)[hash % 4]! };
}

/** A hue as #rrggbb at one lightness, so that all are equally loud. */
function hex(hue: number): string {
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = 0.66 - 0.45 * 0.34 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

const made = new Map<string, SocketStyle>();

export function socketStyle(type: string, palette: Palette): SocketStyle {
  const first = type.split("|")[0] ?? type;
  const def = palette.sockets.get(first);
  if (def?.color) return { color: def.color, shape: def.shape };
  const plain = PLAIN[first];
  if (plain) return plain;
  let style = made.get(first);
  if (!style) {
    style = invented(first);
    made.set(first, style);
  }
  return style;
}
