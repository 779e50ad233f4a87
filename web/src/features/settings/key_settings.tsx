/** Every command and its shortcut; press on one, then press the keys it shall have. */
import { RotateCcw } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useState } from "react";
import { type Command, nameOf } from "../../app/commands/command";
import { COMMANDS, commandsFor, everyCommand, keysOf } from "../../app/commands/table";
import { useBrought, useEditor, useSettings } from "../../app/context";
import { shortcutOf, spoken } from "../../app/keys";
import { folded } from "../../core/search";
import { Button, IconButton } from "../../ui/button";
import { t } from "../../ui/text";

export function KeySettings({ words }: { words: string }): ReactNode {
  const { settings } = useEditor();
  const brought = useBrought(({ commands }) => commands);
  const changed = useSettings((all) => Object.keys(all.keys).length > 0);
  const all = folded(t("settings.keys")).includes(words);
  const shown = [...COMMANDS, ...brought].filter((one) => all || folded(nameOf(one)).includes(words));
  if (!shown.length) return null;
  return (
    <section>
      <h3>{t("settings.keys")}</h3>
      {shown.map((one) => (
        <KeyLine key={one.id} command={one} />
      ))}
      {changed ? <Button onClick={() => settings.setState({ keys: {} })}>{t("settings.reset")}</Button> : null}
    </section>
  );
}

function KeyLine({ command }: { command: Command }): ReactNode {
  const editor = useEditor();
  const { settings } = editor;
  const now = useSettings((all) => all);
  const [listening, setListening] = useState(false);
  const keys = keysOf(command, now);
  const name = nameOf(command);
  const others = keys.flatMap((key) => commandsFor(key, now, everyCommand(editor))).filter((one) => one !== command);
  const set = (next: readonly string[] | null) => {
    setListening(false);
    settings.setState(({ keys: { [command.id]: _, ...rest } }) => ({
      keys: next ? { ...rest, [command.id]: next } : rest,
    }));
  };
  const heard = (event: KeyboardEvent) => {
    if (!listening) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") setListening(false);
    else if (event.key === "Backspace" || event.key === "Delete") set([]);
    else {
      const shortcut = shortcutOf(event.nativeEvent);
      if (shortcut) set([shortcut]);
    }
  };
  return (
    <div className="setting">
      <span className="spring">{name}</span>
      {others.length ? (
        <span className="badge warn">{t("settings.conflict", { name: others.map(nameOf).join(", ") })}</span>
      ) : null}
      {command.id in now.keys ? (
        <IconButton tiny label={t("settings.reset")} onClick={() => set(null)}>
          <RotateCcw size={14} />
        </IconButton>
      ) : null}
      <button
        type="button"
        className={`key-button ${listening ? "listening" : ""}`}
        aria-label={`${t("settings.change", { name })}: ${keys.map((one) => spoken(one)).join(", ")}`}
        disabled={command.native ?? false}
        onClick={() => setListening(true)}
        onBlur={() => setListening(false)}
        onKeyDown={heard}
      >
        {listening ? t("settings.press") : keys.map((one) => spoken(one)).join(", ") || t("settings.no-key")}
      </button>
    </div>
  );
}
