/** One tab for each open workflow; a double click renames it. */
import { Plus, X } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useState } from "react";
import { useStore } from "zustand";
import { useDocument, useEditor, useFile, useRun } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { setDocumentTitle } from "../../core/commands";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { useCommands } from "../use_commands";

export function Tabs(): ReactNode {
  const editor = useEditor();
  const { open, active } = useStore(editor.workspace.store);
  const { label, keys } = useCommands();
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const at = open.findIndex(({ id }) => id === active);
    const next = open[(at + by + open.length) % open.length];
    if (!next) return;
    editor.workspace.activate(next.id);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <>
      <div className="tabs" role="tablist" aria-label={t("tab.list")} tabIndex={-1} onKeyDown={step}>
        {open.map((one) => (
          <Tab key={one.id} open={one} active={one.id === active} />
        ))}
      </div>
      <IconButton label={label("file.new")} keys={keys("file.new")} onClick={() => editor.workspace.openNew()}>
        <Plus size={16} />
      </IconButton>
    </>
  );
}

function Tab({ open, active }: { open: OpenDocument; active: boolean }): ReactNode {
  const { workspace } = useEditor();
  const title = useDocument(open, (document) => document.title) || t("untitled");
  const dirty = useFile(open, (file) => file.dirty);
  const conflict = useFile(open, (file) => file.journal === "conflict");
  const busy = useRun(open, ({ status }) => status === "running" || status === "queued");
  const [editing, setEditing] = useState(false);
  const state = conflict ? "bad" : busy ? "busy" : "";
  const rename = (name: string) => {
    setEditing(false);
    if (name.trim() && name !== title) open.document.run(setDocumentTitle(name.trim()));
  };
  return (
    <div className={`tab ${active ? "active" : ""}`} role="presentation">
      {editing ? (
        <input
          className="field"
          aria-label={t("save.name")}
          defaultValue={title}
          // biome-ignore lint/a11y/noAutofocus: it was asked for by a double click on this very place.
          autoFocus
          onFocus={(event) => event.target.select()}
          onBlur={(event) => rename(event.target.value)}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") rename(event.currentTarget.value);
            if (event.key === "Escape") setEditing(false);
          }}
        />
      ) : (
        <button
          type="button"
          role="tab"
          aria-selected={active}
          tabIndex={active ? 0 : -1}
          data-tab={open.id}
          title={dirty ? `${title} — ${t("tab.unsaved")}` : title}
          onClick={() => workspace.activate(open.id)}
          onDoubleClick={() => setEditing(true)}
          onKeyDown={(event) => {
            if (event.key === "F2") setEditing(true);
            if (event.key === "Delete") void workspace.close(open.id);
          }}
        >
          {dirty || state ? <i className={`dot ${state}`} /> : null}
          <span className="cut">{title}</span>
        </button>
      )}
      {/* For the pointer only: a list of tabs has nothing but tabs in it. By keyboard it is Delete. */}
      <IconButton
        tiny
        label={t("tab.close", { name: title })}
        aria-hidden="true"
        tabIndex={-1}
        onClick={() => void workspace.close(open.id)}
      >
        <X size={14} />
      </IconButton>
    </div>
  );
}
