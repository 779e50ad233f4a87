/** A file by its name: picked from what the server has, or, for pictures, brought in by upload or drop. */

import { type DragEvent, useEffect, useRef, useState } from "react";
import { t } from "../ui/text";
import { Listbox } from "./listbox";
import { useWidgetServices, type WidgetProps } from "./props";

const UPLOADED = new Set(["image", "mask"]);

export function FileWidget({ id, def, value, set, label, problem, problemId }: WidgetProps) {
  const services = useWidgetServices();
  const [open, setOpen] = useState(false);
  const [says, setSays] = useState("");
  const button = useRef<HTMLButtonElement>(null);
  const names = useNames(def.file, open);
  const upload = useUpload(set, setSays);
  const takes = UPLOADED.has(def.file);
  const name = typeof value === "string" ? value : "";

  const thumbnail = name ? services.thumbnail(def.file, name) : "";

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const drop = takes && {
    onDragOver: (event: DragEvent) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
    },
    onDrop: (event: DragEvent) => {
      const file = event.dataTransfer.files[0];
      if (!file) return;
      event.preventDefault();
      event.stopPropagation();
      upload(file);
    },
  };

  return (
    <span className="ll-file" {...drop}>
      <button
        ref={button}
        id={id}
        type="button"
        className="ll-choice"
        role="combobox"
        aria-label={`${label}: ${name || t("file.none")}`}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-controls={undefined}
        aria-invalid={problem !== "" || undefined}
        aria-describedby={problemId}
        title={says || name}
        onClick={() => setOpen(!open)}
      >
        {thumbnail && !says && <img className="ll-thumb" src={thumbnail} alt="" draggable={false} />}
        <span>{says || name || t(takes ? "file.choose-or-drop" : "file.choose")}</span>
      </button>
      {open && button.current && (
        <Listbox
          anchor={button.current}
          options={names.list}
          value={name}
          label={def.label || def.name}
          picture={(option) => services.thumbnail(def.file, option)}
          head={
            <>
              {takes && <UploadButton upload={upload} done={close} />}
              {names.problem && <p className="ll-listbox-none">{names.problem}</p>}
            </>
          }
          pick={(option) => {
            set(option);
            close();
          }}
          close={close}
        />
      )}
    </span>
  );
}

function UploadButton({ upload, done }: { upload(file: File): void; done(): void }) {
  return (
    <label className="ll-upload">
      {t("file.upload")}
      <input
        type="file"
        accept="image/*"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) upload(file);
          done();
        }}
      />
    </label>
  );
}

/** The names there are, asked for each time the list is opened: files come and go. */
function useNames(kind: string, wanted: boolean): { list: readonly string[]; problem: string } {
  const services = useWidgetServices();
  const [state, setState] = useState<{ list: readonly string[]; problem: string }>({ list: [], problem: "" });
  useEffect(() => {
    if (!wanted) return;
    const stop = new AbortController();
    services.names(kind, stop.signal).then(
      (list) => !stop.signal.aborted && setState({ list, problem: "" }),
      (error: unknown) =>
        !stop.signal.aborted && setState({ list: [], problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => stop.abort();
  }, [services, kind, wanted]);
  return state;
}

function useUpload(set: WidgetProps["set"], say: (text: string) => void): (file: File) => void {
  const services = useWidgetServices();
  return (file) => {
    say(t("file.uploading", { name: file.name }));
    services.upload(file).then(
      (name) => {
        say("");
        set(name);
      },
      (error: unknown) => say(error instanceof Error ? error.message : String(error)),
    );
  };
}
