/** A note: Markdown on a sheet. Double-click to write. */

import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import { setNoteText } from "../../core/commands";
import { t } from "../../ui/text";
import { newGesture } from "../../widgets";
import { useCommitted, useSelected, useStage, useUi } from "../context";
import { safeColor } from "../paint/palette";
import "./note.css";

export function NoteNode({ id }: { id: string }) {
  const stage = useStage();
  const note = useStore(stage.changes, () => stage.scene.board.notes[id]);
  const editing = useUi((ui) => ui.editing === id);
  const selected = useSelected(id);
  useCommitted(id);
  if (!note) return null;
  const color = safeColor(note.color, "");
  return (
    <div
      className={selected ? "ll-note ll-selected" : "ll-note"}
      data-note={id}
      style={color ? ({ "--note": color } as React.CSSProperties) : undefined}
    >
      {editing ? <NoteText id={id} text={note.text} /> : <Markdown text={note.text} />}
      <div className="ll-resize" data-resize="" aria-hidden="true" />
    </div>
  );
}

/** The text as written until what reads Markdown is there: no note, nothing loaded. */
function Markdown({ text }: { text: string }) {
  const [html, setHtml] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    import("../markdown").then(
      ({ markdown }) => wanted && setHtml(markdown(text)),
      () => {}, // It stays as it was written.
    );
    return () => {
      wanted = false;
    };
  }, [text]);
  if (html === null) {
    return (
      <div className="ll-markdown ll-plain" data-scrolls="">
        {text}
      </div>
    );
  }
  // biome-ignore lint/security/noDangerouslySetInnerHtml: markdown() cleans what it makes.
  return <div className="ll-markdown" data-scrolls="" dangerouslySetInnerHTML={{ __html: html }} />;
}

function NoteText({ id, text }: { id: string; text: string }) {
  const stage = useStage();
  const area = useRef<HTMLTextAreaElement>(null);
  const gesture = useRef("");
  useEffect(() => {
    gesture.current = newGesture(`note ${id}`);
    area.current?.focus();
  }, [id]);
  return (
    <textarea
      ref={area}
      className="ll-textarea"
      aria-label={t("note.text")}
      data-scrolls=""
      value={text}
      onChange={(event) => stage.run(setNoteText(stage.path, id, event.target.value), gesture.current)}
      onBlur={() => stage.ui.setState({ editing: null })}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        event.currentTarget.blur();
      }}
    />
  );
}
