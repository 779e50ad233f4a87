/** Every version that was saved; restoring one opens it in place, and saving makes it the newest. */
import { type ReactNode, useEffect, useState } from "react";
import type { VersionMessage } from "../../api/wire";
import { useActive, useEditor } from "../../app/context";
import { attempt, say } from "../../app/editor";
import { type Difference, difference } from "../../core/diff";
import { readDocument } from "../../core/document";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { moment, t } from "../../ui/text";
import { Changes } from "./changes";
import "./versions.css";

export default function VersionsDialog(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const [versions, setVersions] = useState<readonly VersionMessage[]>([]);
  const [compared, setCompared] = useState<{ version: number; found: Difference } | null>(null);
  const workflow = open?.file.getState().workflow ?? "";
  useEffect(() => {
    void attempt(editor, async () => setVersions((await editor.client.versions(workflow)).versions));
  }, [editor, workflow]);
  const close = () => editor.shell.setState({ dialog: null });
  const load = async (version: number) => {
    const found = await editor.client.version(workflow, version);
    return readDocument((await editor.client.open(found.document)).document);
  };
  const compare = (version: number) =>
    attempt(editor, async () => {
      if (!open) return;
      const found = difference(await load(version), open.document.getState(), editor.server.getState().palette);
      setCompared({ version, found });
    });
  const restore = (version: number) =>
    attempt(editor, async () => {
      if (!open) return;
      const read = await load(version);
      // One change, so that it can be undone.
      open.document.run({ label: "restore", change: (draft) => void Object.assign(draft, read) });
      open.view.setState({ path: [], scope: [], selection: new Set() });
      close();
      say(editor, "good", t("versions.restored", { version }));
    });
  return (
    <Dialog title={t("versions.title", { name: open?.document.getState().title ?? "" })} close={close}>
      <ul className="versions">
        {versions.map((one, index) => (
          <li key={one.version}>
            <div className="row">
              <div className="spring">
                <strong>{t("versions.version", { version: one.version })}</strong>
                {index === 0 ? <span className="badge">{t("versions.newest")}</span> : null}
                <p className="quiet small">
                  {moment(one.saved)}
                  {one.note ? ` · ${one.note}` : ""}
                </p>
              </div>
              <Button
                aria-expanded={compared?.version === one.version}
                onClick={() => (compared?.version === one.version ? setCompared(null) : void compare(one.version))}
              >
                {t(compared?.version === one.version ? "versions.hide" : "versions.compare")}
              </Button>
              <Button onClick={() => void restore(one.version)}>{t("versions.open")}</Button>
            </div>
            {compared?.version === one.version ? <Changes version={one.version} found={compared.found} /> : null}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
