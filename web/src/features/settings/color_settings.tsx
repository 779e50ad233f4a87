/** Five colours of the theme that is seen; everything else of it follows from them. */
import { RotateCcw } from "lucide-react";
import type { ReactNode } from "react";
import { useEditor, useSettings } from "../../app/context";
import { usualColors } from "../../app/settings";
import { type Choice, chosenFor, hardToRead, NAMES, SETS, withColors } from "../../app/theme_colors";
import { folded } from "../../core/search";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { Line } from "./setting";

type SetName = keyof typeof SETS;
const SET_NAMES = Object.keys(SETS) as SetName[];

export function ColorSettings({ words }: { words: string }): ReactNode {
  const { settings } = useEditor();
  const colors = useSettings((all) => all.colors);
  useSettings((all) => all.theme); // another one is seen then
  useSettings((all) => all.contrast);
  const { theme, contrast } = document.documentElement.dataset;
  const base = theme === "dark" ? "dark" : "light";
  const title = t(`settings.colors-${base}`);
  const shown = [title, ...NAMES.map((name) => t(`color.${name}`))].some((text) => folded(text).includes(words));
  if (!shown) return null;
  const chosen = chosenFor(base, colors);
  const now = { ...usualColors(), ...chosen };
  const choose = (next: Partial<Record<Choice, string>>) =>
    settings.setState({ colors: withColors(settings.getState().colors, base, next) });
  const set = SET_NAMES.find((name) => same(SETS[name][base], chosen));
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {contrast === "more" ? (
        <p className="quiet">{t("settings.colors-contrast")}</p>
      ) : (
        <>
          <Line label={t("settings.colors-set")}>
            {(id) => (
              <select
                id={id}
                className="field"
                value={set ?? ""}
                onChange={(event) => choose(SETS[event.target.value as SetName][base])}
              >
                {set ? null : <option value="">{t("set.own")}</option>}
                {SET_NAMES.map((name) => (
                  <option key={name} value={name}>
                    {t(`set.${name}`)}
                  </option>
                ))}
              </select>
            )}
          </Line>
          {NAMES.map((name) => (
            <Line key={name} label={t(`color.${name}`)}>
              {(id) => (
                <span className="row">
                  {chosen[name] ? (
                    <IconButton
                      tiny
                      label={t("settings.colors-reset", { name: t(`color.${name}`) })}
                      onClick={() => choose({ ...chosen, [name]: undefined })}
                    >
                      <RotateCcw size={14} />
                    </IconButton>
                  ) : null}
                  <input
                    id={id}
                    type="color"
                    value={now[name]}
                    onChange={(event) => choose({ ...chosen, [name]: event.target.value })}
                  />
                </span>
              )}
            </Line>
          ))}
          <div role="status">
            {hardToRead(now).map(({ what, on, ratio }) => (
              <p key={`${what} ${on}`} className="hard">
                {t("settings.hard", { what: t(`color.${what}`), on: t(`color.${on}`), ratio: ratio.toFixed(1) })}
              </p>
            ))}
          </div>
        </>
      )}
    </section>
  );
}

const same = (one: Partial<Record<Choice, string>>, other: Partial<Record<Choice, string>>): boolean =>
  NAMES.every((name) => one[name]?.toLowerCase() === other[name]?.toLowerCase());
