import type { ReactNode } from "react";
import { type Group, nameOf } from "../../app/commands/command";
import { everyCommand, keysOf } from "../../app/commands/table";
import { useEditor, useSettings } from "../../app/context";
import { spoken } from "../../app/keys";
import { GESTURES } from "../../canvas";
import { Dialog } from "../../ui/dialog";
import { t } from "../../ui/text";
import "./settings.css";

const GROUPS: readonly Group[] = ["run", "node", "edit", "view", "file", "app", "pack"];

/** All shortcuts there are now. */
export default function HelpDialog(): ReactNode {
  const editor = useEditor();
  const { shell } = editor;
  const settings = useSettings((all) => all);
  const all = everyCommand(editor).filter((one) => keysOf(one, settings).length > 0);
  return (
    <Dialog title={t("help.title")} close={() => shell.setState({ dialog: null })} size="wide">
      <div className="keys-list">
        {GROUPS.filter((group) => all.some((one) => one.group === group)).map((group) => (
          <section key={group}>
            <h3>{t(`group.${group}`)}</h3>
            {all
              .filter((one) => one.group === group)
              .map((one) => (
                <div key={one.id} className="setting">
                  <span>{nameOf(one)}</span>
                  <kbd>
                    {keysOf(one, settings)
                      .map((key) => spoken(key))
                      .join(", ")}
                  </kbd>
                </div>
              ))}
          </section>
        ))}
        <section>
          <h3>{t("help.gestures")}</h3>
          {GESTURES.map(([what, how]) => (
            <div key={what} className="setting">
              <span>{t(what)}</span>
              <kbd>{t(how)}</kbd>
            </div>
          ))}
        </section>
      </div>
      <p className="quiet">{t("help.note")}</p>
    </Dialog>
  );
}
