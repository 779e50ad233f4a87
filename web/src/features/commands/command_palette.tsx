/** Every command and every node of the workflow, found by typing. */
import { type ReactNode, useMemo, useState } from "react";
import { can, nameOf } from "../../app/commands/command";
import { everyCommand, keysOf } from "../../app/commands/table";
import { useActive, useEditor, useServer, useSettings } from "../../app/context";
import { showStep } from "../../app/go_to";
import { spoken } from "../../app/keys";
import { findInDocument } from "../../core/find";
import { folded, match } from "../../core/search";
import { Dialog } from "../../ui/dialog";
import { Marked, Picker } from "../../ui/picker";
import { t } from "../../ui/text";

interface Item {
  id: string;
  title: string;
  ranges: [number, number][];
  where: string;
  keys: string;
  score: number;
  run: () => void;
}

const MOST = 60;

export default function CommandPalette(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const settings = useSettings((all) => all);
  const palette = useServer((server) => server.palette);
  const [query, setQuery] = useState("");

  const items = useMemo<Item[]>(() => {
    if (!open) return [];
    const at = { editor, open };
    const words = folded(query.trim());
    const found: Item[] = [];
    for (const one of everyCommand(editor)) {
      if (one.id === "app.commands" || !can(one, at)) continue;
      const title = nameOf(one);
      const { score, ranges } = match(title, words);
      if (!score) continue;
      const [key] = keysOf(one, settings);
      const where = t(`group.${one.group}`);
      found.push({ id: one.id, title, ranges, where, keys: key ? spoken(key) : "", score, run: () => one.run(at) });
    }
    if (words) {
      for (const one of findInDocument(open.document.getState(), palette, query, 20)) {
        if (one.what !== "step") continue;
        const run = () => showStep(open, { path: one.path, scope: [], step: one.id }, one.field);
        const where = one.field ? `${one.field}: ${one.text}` : t("commands.node");
        const { ranges } = match(one.title, words);
        found.push({
          id: `step ${one.path.join("/")} ${one.id} ${one.field}`,
          title: one.title,
          ranges,
          where,
          keys: "",
          score: one.score,
          run,
        });
      }
      found.sort((a, b) => b.score - a.score);
    }
    return found.slice(0, MOST);
  }, [editor, open, palette, query, settings]);

  const close = () => editor.shell.setState({ dialog: null });
  return (
    <Dialog title={t("commands.title")} close={close} size="high" bare>
      <Picker
        label={t("commands.title")}
        placeholder={t("commands.search")}
        query={query}
        setQuery={setQuery}
        items={items}
        none={t("commands.none")}
        close={close}
        pick={(item) => {
          close();
          // The dialog gives the focus back first.
          setTimeout(item.run);
        }}
        show={(item) => (
          <>
            <span className="cut">
              <Marked text={item.title} ranges={item.ranges} />
            </span>
            <span className="where cut">{item.where}</span>
            {item.keys ? <kbd>{item.keys}</kbd> : null}
          </>
        )}
      />
    </Dialog>
  );
}
