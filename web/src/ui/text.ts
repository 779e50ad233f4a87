/**
 * Every text that a person reads, under a key. English first; another language is another table of the same keys.
 *
 * "{name}" stands for a value. Numbers, times and sizes are written by `Intl`.
 */
import { CANVAS_TEXTS } from "./text_canvas";
import { COMMAND_TEXTS } from "./text_commands";
import { PANEL_TEXTS } from "./text_panels";

export const TEXTS = { ...CANVAS_TEXTS, ...COMMAND_TEXTS, ...PANEL_TEXTS } as const;

export type Key = keyof typeof TEXTS;

/** The text of a key, with its values. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const text: string = TEXTS[key];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Seconds as a person says them: "0.4 s", "12 s", "3 min 20 s". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${NUMBERS.format(seconds)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Bytes as a person says them: "512 B", "1.4 MB". */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${NUMBERS.format(value)} ${units[at]}`;
}

const TIME = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** A moment (seconds since 1970): the time today, the day before. */
export function moment(seconds: number, now = Date.now()): string {
  const date = new Date(seconds * 1000);
  const today = new Date(now).toDateString() === date.toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)}, ${TIME.format(date)}`;
}
