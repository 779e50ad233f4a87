/** Saved workflows, what was not saved yet, and templates that say whether their models are there. */
import { FileUp, Trash2 } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { useStore } from "zustand";
import type { DraftMessage, TemplateMessage, WorkflowMessage } from "../../api/wire";
import { useActive, useEditor, useFile, useServer } from "../../app/context";
import { attempt, openJson } from "../../app/editor";
import { missingFiles } from "../../app/missing_files";
import type { OpenDocument } from "../../app/open_document";
import { Button, IconButton } from "../../ui/button";
import { moment, t } from "../../ui/text";
import { Side } from "../side";
import { useCommands } from "../use_commands";
import "./workflows.css";

export default function Workflows(): ReactNode {
  const open = useActive();
  const { run } = useCommands();
  return (
    <Side side="left" title={t("workflows.title")} className="workflows">
      <div className="tools">
        <Button className="spring" onClick={() => run("file.open-file")}>
          <FileUp size={14} />
          {t("workflows.file")}
        </Button>
      </div>
      <div className="scroll">
        {open ? <Saved open={open} /> : null}
        <Templates />
      </div>
    </Side>
  );
}

function Saved({ open }: { open: OpenDocument }): ReactNode {
  const editor = useEditor();
  const [saved, setSaved] = useState<readonly WorkflowMessage[]>([]);
  const [drafts, setDrafts] = useState<readonly DraftMessage[]>([]);
  const tabs = useStore(editor.workspace.store, (state) => state.open);
  const basedOn = useFile(open, (file) => `${file.workflow} ${file.basedOn}`);
  const look = useCallback(async () => {
    const [first, second] = await Promise.all([editor.client.workflows(), editor.client.drafts()]);
    setSaved(first.workflows);
    setDrafts(second.drafts.filter(({ workflow }) => !workflow));
  }, [editor]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is saved has changed when these have.
  useEffect(() => void look().catch(() => null), [look, basedOn, tabs]);
  const closed = drafts.filter(({ id }) => !tabs.some((one) => one.id === id));
  const remove = (one: WorkflowMessage) => {
    if (!confirm(t("workflows.sure", { name: one.name }))) return;
    void attempt(editor, async () => {
      await editor.client.removeWorkflow(one.id);
      await look();
    });
  };
  return (
    <>
      <h3>{t("workflows.saved")}</h3>
      {saved.length ? null : <p className="empty">{t("workflows.none")}</p>}
      {saved.map((one) => (
        <div key={one.id} className="line">
          <button
            type="button"
            className="card"
            onClick={() => void attempt(editor, () => editor.workspace.openWorkflow(one.id))}
          >
            <strong className="cut">{one.name}</strong>
            <span className="quiet small">
              {t("workflows.version", { version: one.version, time: moment(one.changed) })}
            </span>
          </button>
          <IconButton tiny label={t("workflows.delete", { name: one.name })} onClick={() => remove(one)}>
            <Trash2 size={14} />
          </IconButton>
        </div>
      ))}
      {closed.length ? <h3>{t("workflows.drafts")}</h3> : null}
      {closed.map((one) => (
        <button
          key={one.id}
          type="button"
          className="card"
          data-draft={one.id}
          onClick={() => void attempt(editor, () => editor.workspace.openDraft(one.id))}
        >
          <strong className="cut">{one.name || t("untitled")}</strong>
          <span className="quiet small">{moment(one.changed)}</span>
        </button>
      ))}
    </>
  );
}

function Templates(): ReactNode {
  const editor = useEditor();
  const [templates, setTemplates] = useState<readonly TemplateMessage[]>([]);
  const names = useServer((server) => server.names);
  const palette = useServer((server) => server.palette);
  useEffect(() => {
    editor.client
      .templates()
      .then((found) => setTemplates(found.templates))
      .catch(() => null);
  }, [editor]);
  return (
    <>
      <h3>{t("workflows.templates")}</h3>
      {templates.map((one) => {
        const missing = missingFiles(one.document, palette, names);
        return (
          <button
            key={one.id}
            type="button"
            className="card"
            onClick={() => void attempt(editor, () => openJson(editor, one.document))}
          >
            <strong>{one.title}</strong>
            <p>{one.about}</p>
            {missing.length ? (
              <span className="badge warn">{t("workflows.missing", { what: missing.join(", ") })}</span>
            ) : (
              <span className="badge good">{t("workflows.ready")}</span>
            )}
          </button>
        );
      })}
    </>
  );
}
