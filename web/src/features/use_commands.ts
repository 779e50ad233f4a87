/** Commands for buttons and menus: what they are called, their keys as one reads them, and doing them. */
import { type At, type Command, can, nameOf } from "../app/commands/command";
import { command, keysOf } from "../app/commands/table";
import { useBrought, useEditor, useSettings } from "../app/context";
import { spoken } from "../app/keys";
import type { MenuEntry } from "../ui/menu";

export interface Commands {
  label(id: string): string;
  keys(id: string): string;
  run(id: string): void;
  can(id: string): boolean;
  /** As a line of a menu. */
  entry(id: string, more?: Partial<MenuEntry>): MenuEntry;
  at(): At | null;
  /** Ids of the commands that packs have added. */
  brought: readonly Command[];
}

export function useCommands(): Commands {
  const editor = useEditor();
  const settings = useSettings((all) => all);
  const brought = useBrought(({ commands }) => commands);
  const find = (id: string) => command(id, brought);
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
    const one = find(id);
    if (now && can(one, now)) one.run(now);
  };
  const possible = (id: string) => {
    const now = at();
    return now !== null && can(find(id), now);
  };
  return {
    label: (id) => nameOf(find(id)),
    keys: (id) => keys(find(id)),
    run,
    can: possible,
    entry: (id, more) => ({
      id,
      label: nameOf(find(id)),
      keys: keys(find(id)),
      disabled: !possible(id),
      run: () => run(id),
      ...more,
    }),
    at,
    brought,
  };
}
