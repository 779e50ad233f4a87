/** The packs there are: what is wrong with them, whether their modules may run in the page, and their own settings. */
import type { ReactNode } from "react";
import type { ProblemMessage } from "../../api/wire";
import { useBrought, useEditor, useServer, useSettings } from "../../app/context";
import type { PackSetting } from "../../app/packs/contract";
import type { Added } from "../../app/packs/pack_host";
import { settingOf } from "../../app/packs/pack_host";
import { folded } from "../../core/search";
import { t } from "../../ui/text";
import { Check, Line } from "./setting";

interface About {
  name: string;
  title: string;
  place: string;
  nodes: number;
  /** It has modules for the page. */
  modules: boolean;
  problems: readonly ProblemMessage[];
}

const aboutOf = (pack: Record<string, unknown>): About => ({
  name: String(pack.name),
  title: String(pack.title || pack.name),
  place: String(pack.place ?? ""),
  nodes: Array.isArray(pack.nodes) ? pack.nodes.length : 0,
  modules: Boolean(pack.editor) || Object.keys((pack.widgets as object | undefined) ?? {}).length > 0,
  problems: Array.isArray(pack.problems) ? (pack.problems as ProblemMessage[]) : [],
});

export function PackSettings({ words }: { words: string }): ReactNode {
  const { settings } = useEditor();
  const packs = useServer((server) => server.packs);
  const all = useSettings(({ packWidgets }) => packWidgets);
  const brought = useBrought((state) => state.settings);
  const general = ["settings.packs", "settings.widgets"] as const;
  const every = general.some((key) => folded(t(key)).includes(words));
  const shown = packs.map(aboutOf).filter(({ name, title }) => {
    const own = brought.filter(({ pack }) => pack === name).map(({ given }) => given.label);
    return every || [name, title, ...own].some((text) => folded(text).includes(words));
  });
  if (!every && !shown.length) return null;
  return (
    <section>
      <h3>{t("settings.packs")}</h3>
      <Check label={t("settings.widgets")} value={all} set={(packWidgets) => settings.setState({ packWidgets })} />
      <ul className="packs">
        {shown.map((one) => (
          <Pack key={one.name} about={one} allowed={all} own={brought.filter(({ pack }) => pack === one.name)} />
        ))}
      </ul>
    </section>
  );
}

interface Props {
  about: About;
  allowed: boolean;
  own: readonly Added<PackSetting>[];
}

function Pack({ about, allowed, own }: Props): ReactNode {
  const { settings } = useEditor();
  const off = useSettings(({ packsOff }) => packsOff.includes(about.name));
  const thrown = useBrought(({ problems }) => problems[about.name]);
  const problems = [...about.problems, ...(thrown ?? [])];
  const turn = (on: boolean) =>
    settings.setState(({ packsOff }) => {
      const others = packsOff.filter((one) => one !== about.name);
      return { packsOff: on ? others : [...others, about.name] };
    });
  return (
    <li>
      <div className="row">
        <div className="spring pack">
          <strong>{about.title}</strong>
          <span className="quiet small cut" title={about.place}>
            {t("settings.pack-nodes", { count: about.nodes })} · {about.place}
          </span>
        </div>
        {about.modules ? (
          <input
            type="checkbox"
            aria-label={t("settings.pack", { name: about.title })}
            title={t("settings.pack", { name: about.title })}
            checked={allowed && !off}
            disabled={!allowed}
            onChange={(event) => turn(event.target.checked)}
          />
        ) : null}
      </div>
      {problems.map((one, index) => (
        <p key={index} className="wrong small">
          {one.what} {one.fix}
        </p>
      ))}
      {own.map((one) => (
        <Own key={one.name} setting={one} />
      ))}
    </li>
  );
}

/** A pack's own setting; what kind of field it is, its usual value says. */
function Own({ setting: { name, given } }: { setting: Added<PackSetting> }): ReactNode {
  const { settings } = useEditor();
  useSettings(({ packSettings }) => packSettings[name]);
  const value = settingOf(settings, name, given);
  const set = (next: boolean | number | string) =>
    settings.setState(({ packSettings }) => ({ packSettings: { ...packSettings, [name]: next } }));
  if (typeof value === "boolean") return <Check label={given.label} value={value} set={set} />;
  const number = typeof value === "number";
  return (
    <Line label={given.label}>
      {(id) => (
        <input
          id={id}
          className="field"
          type={number ? "number" : "text"}
          value={value}
          onChange={({ target }) => {
            if (!number) set(target.value);
            else if (Number.isFinite(target.valueAsNumber)) set(target.valueAsNumber);
          }}
        />
      )}
    </Line>
  );
}
