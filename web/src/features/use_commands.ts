/** Commands for buttons and menus: what they are called, their keys as one reads them, and doing them. */
import { type At, type Command, can } from "../app/commands/command";
import { command, keysOf } from "../app/commands/table";
import { useEditor, useSettings } from "../app/context";
import { spoken } from "../app/keys";
import type { MenuEntry } from "../ui/menu";
import { t } from "../ui/text";

export interface Commands {
  label(id: string): string;
  keys(id: string): string;
  run(id: string): void;
  can(id: string): boolean;
  /** As a line of a menu. */
  entry(id: string, more?: Partial<MenuEntry>): MenuEntry;
  at(): At | null;
}

export function useCommands(): Commands {
  const editor = useEditor();
  const settings = useSettings((all) => all);
  const at = (): At | null => {
    const open = editor.workspace.active;
    return open ? { editor, open } : null;
  };
  const keys = (one: Command) => {
    const [first] = keysOf(one, settings);
    return first ? spoken(first) : "";
  };
  const run = (id: string) => {
    const now = at();
    const one = command(id);
    if (now && can(one, now)) one.run(now);
  };
  const possible = (id: string) => {
    const now = at();
    return now !== null && can(command(id), now);
  };
  return {
    label: (id) => t(command(id).label),
    keys: (id) => keys(command(id)),
    run,
    can: possible,
    entry: (id, more) => ({
      id,
      label: t(command(id).label),
      keys: keys(command(id)),
      disabled: !possible(id),
      run: () => run(id),
      ...more,
    }),
    at,
  };
}
