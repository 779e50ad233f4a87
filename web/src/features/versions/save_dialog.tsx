import { type ReactNode, useState } from "react";
import { useActive, useEditor } from "../../app/context";
import { saveAs } from "../../app/saving";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { t } from "../../ui/text";
import "./versions.css";

/** Asks under what name the workflow shall be saved. */
export default function SaveDialog(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const [name, setName] = useState(open?.document.getState().title ?? "");
  const [refused, setRefused] = useState("");
  const close = () => editor.shell.setState({ dialog: null });
  const save = async () => {
    if (!open || !name.trim()) return;
    const why = await saveAs(editor, open, name.trim());
    if (why) setRefused(why);
    else close();
  };
  return (
    <Dialog
      title={t("save.title")}
      close={close}
      footer={
        <>
          <Button onClick={close}>{t("cancel")}</Button>
          <Button kind="main" disabled={!name.trim()} onClick={() => void save()}>
            {t("save.do")}
          </Button>
        </>
      }
    >
      <label className="label" htmlFor="save-name">
        {t("save.name")}
      </label>
      <input
        id="save-name"
        className="field"
        value={name}
        maxLength={200}
        aria-invalid={refused !== ""}
        aria-describedby="save-refused"
        onChange={(event) => {
          setName(event.target.value);
          setRefused("");
        }}
        onKeyDown={(event) => event.key === "Enter" && void save()}
      />
      <p id="save-refused" className="refused" role="alert">
        {refused}
      </p>
    </Dialog>
  );
}
