import { X } from "lucide-react";
import type { ReactNode } from "react";
import { useEditor, useShell } from "../../app/context";
import { forget } from "../../app/editor";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import "./notices.css";

/** What went wrong or was done: said to screen readers, gone after a while. */
export function Notices(): ReactNode {
  const editor = useEditor();
  const notices = useShell((shell) => shell.notices);
  return (
    <div className="notices" role="status" aria-live="polite">
      {notices.map((one) => (
        <div key={one.id} className={`notice ${one.kind}`}>
          <div className="spring">
            <p>{one.text}</p>
            {one.fix ? <p className="quiet">{one.fix}</p> : null}
          </div>
          <IconButton tiny label={t("close")} onClick={() => forget(editor, one.id)}>
            <X size={14} />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
