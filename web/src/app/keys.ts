/**
 * Shortcuts as texts: "Mod+Shift+K". Mod is ⌘ on a Mac and Ctrl elsewhere. A key is its character, or the name that the
 * browser gives it ("Enter", "ArrowUp", "F2"); the space bar is "Space".
 */

export const MAC = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);

export interface Pressed {
  key: string;
  code: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

/** What was pressed, as a shortcut; "" for a modifier alone. */
export function shortcutOf(event: Pressed, mac = MAC): string {
  if (["Control", "Shift", "Alt", "Meta", "AltGraph", "Dead"].includes(event.key)) return "";
  const mod = mac ? event.metaKey : event.ctrlKey;
  const other = mac ? event.ctrlKey : event.metaKey;
  let key = event.key === " " ? "Space" : event.key;
  // With Alt, a Mac gives another character; and letters are one key with Shift or without.
  if (event.altKey && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3);
  const shown = key.length === 1 ? key.toUpperCase() : key;
  const letter = /^[A-Z0-9]$/.test(shown) || key.length > 1;
  const parts = [];
  if (mod) parts.push("Mod");
  if (other) parts.push(mac ? "Ctrl" : "Meta");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && letter) parts.push("Shift"); // "?" says already that it was pressed
  parts.push(shown);
  return parts.join("+");
}

const SIGNS: Record<string, string> = { Mod: "⌘", Ctrl: "⌃", Alt: "⌥", Shift: "⇧" };
const NAMES: Record<string, string> = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Enter: "Enter",
  Escape: "Esc",
  Delete: "Del",
  PageUp: "PgUp",
  PageDown: "PgDn",
};

/** As a person reads it: "Ctrl+K", "⌘K". */
export function spoken(shortcut: string, mac = MAC): string {
  const parts = shortcut === "+" ? ["+"] : shortcut.split(/\+(?!$)/);
  const named = parts.map((part) => NAMES[part] ?? (mac ? (SIGNS[part] ?? part) : part === "Mod" ? "Ctrl" : part));
  return named.join(mac ? "" : "+");
}

/** Whether keys belong to what has the focus: a field that is typed into. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range", "color"].includes(target.type);
}

/** Shortcuts that do something in a text field too. */
export function worksWhileTyping(shortcut: string): boolean {
  return /^(Mod|Alt|Ctrl|Meta)\+/.test(shortcut) &&
    !/^Mod\+(Shift\+)?[ACVXZY]$|^Mod\+(Arrow|Backspace|Delete)/.test(shortcut)
    ? true
    : /^F\d+$/.test(shortcut);
}
