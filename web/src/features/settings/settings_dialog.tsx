/** What can be chosen for this browser; shortcuts; packs and what they bring. */
import { Search } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useEditor, useSettings } from "../../app/context";
import { OPTIONS, type Option, type Settings } from "../../app/settings";
import { folded } from "../../core/search";
import { Dialog } from "../../ui/dialog";
import { type Key, t } from "../../ui/text";
import { ColorSettings } from "./color_settings";
import { KeySettings } from "./key_settings";
import { PackSettings } from "./pack_settings";
import { Check, Line } from "./setting";
import "./settings.css";

type Checked = "snap" | "minimap";

const LOOK: readonly (readonly [Option, Key])[] = [
  ["theme", "settings.theme"],
  ["contrast", "settings.contrast"],
  ["text", "settings.text"],
  ["motion", "settings.motion"],
];
const CANVAS: readonly (readonly [Option, Key])[] = [
  ["wheel", "settings.wheel"],
  ["linkStyle", "settings.link-style"],
];
const CHECKS: readonly (readonly [Checked, Key])[] = [
  ["snap", "settings.snap"],
  ["minimap", "settings.minimap"],
];

export default function SettingsDialog(): ReactNode {
  const { shell } = useEditor();
  const [query, setQuery] = useState("");
  const words = folded(query.trim());
  const has = (key: Key) => folded(t(key)).includes(words);
  const look = LOOK.filter(([, key]) => has(key));
  const canvas = CANVAS.filter(([, key]) => has(key));
  const checks = CHECKS.filter(([, key]) => has(key));
  return (
    <Dialog title={t("settings.title")} close={() => shell.setState({ dialog: null })} size="wide">
      <div className="settings">
        <label className="search">
          <Search size={14} />
          <input
            className="field"
            type="search"
            aria-label={t("settings.search")}
            placeholder={t("settings.search")}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
        {look.length ? (
          <section>
            <h3>{t("settings.look")}</h3>
            {look.map(([name, key]) => (
              <Select key={name} name={name} label={t(key)} />
            ))}
          </section>
        ) : null}
        <ColorSettings words={words} />
        {canvas.length || checks.length ? (
          <section>
            <h3>{t("settings.canvas")}</h3>
            {canvas.map(([name, key]) => (
              <Select key={name} name={name} label={t(key)} />
            ))}
            {checks.map(([name, key]) => (
              <Toggle key={name} name={name} label={t(key)} />
            ))}
          </section>
        ) : null}
        <PackSettings words={words} />
        <KeySettings words={words} />
      </div>
    </Dialog>
  );
}

function Select({ name, label }: { name: Option; label: string }): ReactNode {
  const { settings } = useEditor();
  const value = useSettings((all) => all[name]);
  return (
    <Line label={label}>
      {(id) => (
        <select
          id={id}
          className="field"
          value={value}
          onChange={(event) => settings.setState({ [name]: event.target.value } as Partial<Settings>)}
        >
          {OPTIONS[name].map((one) => (
            <option key={one} value={one}>
              {t(`option.${one}`)}
            </option>
          ))}
        </select>
      )}
    </Line>
  );
}

function Toggle({ name, label }: { name: Checked; label: string }): ReactNode {
  const { settings } = useEditor();
  const value = useSettings((all) => all[name]);
  return <Check label={label} value={value} set={(next) => settings.setState({ [name]: next })} />;
}
