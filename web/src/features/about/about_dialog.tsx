/** What this is, and what it is built with: each library with its licence, collected when the editor was built. */

import licences from "virtual:licences";
import type { ReactNode } from "react";
import { useEditor, useServer } from "../../app/context";
import { Dialog } from "../../ui/dialog";
import { t } from "../../ui/text";
import "./about.css";

export default function AboutDialog(): ReactNode {
  const { shell } = useEditor();
  const version = useServer((server) => server.version);
  return (
    <Dialog title={t("about.title")} close={() => shell.setState({ dialog: null })} size="wide">
      <p>{t("about.version", { version })}</p>
      <p className="quiet">{t("about.uses")}</p>
      <ul className="licences">
        {licences.map((one) => (
          <li key={`${one.name} ${one.version}`}>
            <details>
              <summary aria-label={t("about.text", { name: one.name })}>
                <span className="spring">{one.name}</span>
                <span className="quiet small number">{one.version}</span>
                <span className="badge">{one.licence}</span>
              </summary>
              <pre>{one.text}</pre>
            </details>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
