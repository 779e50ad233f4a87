import { expect, it } from "vitest";
import { type Pressed, shortcutOf, spoken, worksWhileTyping } from "./keys";

const press = (key: string, more: Partial<Pressed> = {}): Pressed => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});

it("a shortcut is written the same however it is typed", () => {
  expect(shortcutOf(press("k", { ctrlKey: true }), false)).toBe("Mod+K");
  expect(shortcutOf(press("k", { metaKey: true }), true)).toBe("Mod+K");
  expect(shortcutOf(press("K", { ctrlKey: true, shiftKey: true }), false)).toBe("Mod+Shift+K");
  expect(shortcutOf(press("?", { shiftKey: true }), false)).toBe("?");
  expect(shortcutOf(press(" "), false)).toBe("Space");
  expect(shortcutOf(press("ArrowUp", { shiftKey: true }), false)).toBe("Shift+ArrowUp");
  expect(shortcutOf(press("˜", { altKey: true, code: "KeyN" }), true)).toBe("Alt+N");
});

it("a modifier alone is none", () => {
  expect(shortcutOf(press("Control", { ctrlKey: true }), false)).toBe("");
});

it("is read as the machine's owner would", () => {
  expect(spoken("Mod+Shift+K", false)).toBe("Ctrl+Shift+K");
  expect(spoken("Mod+Shift+K", true)).toBe("⌘⇧K");
  expect(spoken("Mod++", false)).toBe("Ctrl++");
  expect(spoken("+", false)).toBe("+");
});

it("in a text field the field's own keys are the field's", () => {
  for (const own of ["Mod+C", "Mod+Z", "Mod+Shift+Z", "Delete", "Space", "A", "Mod+A"])
    expect(worksWhileTyping(own)).toBe(false);
  for (const ours of ["Mod+Enter", "Mod+K", "Mod+S", "F2", "Alt+N"]) expect(worksWhileTyping(ours)).toBe(true);
});
