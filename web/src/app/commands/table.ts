/** Every command, and the shortcuts they have now. */
import type { Editor } from "../editor";
import { shortcutOf } from "../keys";
import type { Settings } from "../settings";
import { type At, type Command, can } from "./command";
import { EDIT } from "./edit";
import { FILE } from "./file";
import { NODE } from "./node";
import { PLACE } from "./place";
import { RUN } from "./run";
import { VIEW } from "./view";

export const COMMANDS: readonly Command[] = [...RUN, ...NODE, ...PLACE, ...EDIT, ...VIEW, ...FILE];

/** The editor's commands, then those that packs have added. */
export function everyCommand(editor: Pick<Editor, "packs">): readonly Command[] {
  const { commands } = editor.packs.store.getState();
  return commands.length ? [...COMMANDS, ...commands] : COMMANDS;
}

const byId = new Map(COMMANDS.map((one) => [one.id, one]));

export function command(id: string, more: readonly Command[] = []): Command {
  const found = byId.get(id) ?? more.find((one) => one.id === id);
  if (!found) throw new Error(`there is no command ${id}`);
  return found;
}

/** The shortcuts of a command: those a person chose, else the usual. */
export function keysOf(one: Command, settings: Pick<Settings, "keys">): readonly string[] {
  return settings.keys[one.id] ?? one.keys;
}

/** Which commands a shortcut stands for; more than one is a conflict that settings show. */
export function commandsFor(
  shortcut: string,
  settings: Pick<Settings, "keys">,
  all: readonly Command[] = COMMANDS,
): Command[] {
  return all.filter((one) => keysOf(one, settings).includes(shortcut));
}

/** Do what a key press asks for. Says whether it was something. */
export function press(event: KeyboardEvent, at: At): boolean {
  const shortcut = shortcutOf(event);
  if (!shortcut) return false;
  const found = commandsFor(shortcut, at.editor.settings.getState(), everyCommand(at.editor)).find(
    (one) => !one.native && can(one, at),
  );
  if (!found) return false;
  found.run(at);
  return true;
}
