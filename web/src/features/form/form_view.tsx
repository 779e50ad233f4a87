/** A workflow as a simple form: a few of its knobs in a column, the button that runs it, and what it made. */
import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { type ReactNode, useId, useMemo, useState } from "react";
import { useDocument, useEditor, useRun, useServer, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { isPicture } from "../../app/pictures";
import { setAfter, setValue } from "../../core/commands";
import { movePinned, pinKnob, showForm, unpinKnob } from "../../core/commands/form";
import { allFields, type FormField, formFields } from "../../core/form";
import { knobValue } from "../../core/shape";
import type { KnobDef } from "../../core/types";
import { Button, IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { type SeedProps, Widget, type WidgetServices, WidgetServicesContext } from "../../widgets";
import { RunButton } from "../topbar/run_button";
import "../gallery/gallery.css";
import "./form.css";

export default function FormView({ open, widgets }: { open: OpenDocument; widgets: WidgetServices }): ReactNode {
  const document = useDocument(open, (state) => state);
  const palette = useServer((server) => server.palette);
  const readOnly = useView(open, (view) => view.readOnly);
  const fields = useMemo(() => formFields(document, palette), [document, palette]);
  return (
    <WidgetServicesContext value={widgets}>
      <div className="form-view">
        <section className="form" aria-label={t("form.title")}>
          <header className="row">
            <h2 className="spring cut">{document.title || t("untitled")}</h2>
            <Button onClick={() => open.document.run(showForm(false))}>{t("form.canvas")}</Button>
          </header>
          <fieldset disabled={readOnly}>
            <legend className="hidden-text">{t("form.fields")}</legend>
            {fields.length ? null : <p className="empty">{t("form.none")}</p>}
            {fields.map((field, index) => (
              <Field
                key={`${field.step} ${field.knob.name}`}
                open={open}
                field={field}
                first={index === 0}
                last={index === fields.length - 1}
              />
            ))}
          </fieldset>
          <Add open={open} shown={fields} />
          <footer className="row">
            <RunButton disabled={false} />
          </footer>
        </section>
        <Made open={open} />
      </div>
    </WidgetServicesContext>
  );
}

interface Props {
  open: OpenDocument;
  field: FormField;
  first: boolean;
  last: boolean;
}

function Field({ open, field, first, last }: Props): ReactNode {
  const { step, knob, title } = field;
  const { server } = useEditor();
  const id = useId();
  const now = useDocument(open, (state) => state.steps[step]);
  const lastUsed = useRun(open, ({ seeds }) => seeds[`${step}.${knob.name}`] ?? null);
  if (!now) return null;
  const name = knob.label || knob.name.replaceAll("_", " ");
  // The title says more than "prompt" does, where it is the person's own.
  const label = knob.multiline && now.title ? now.title : name;
  const seed: SeedProps | null = knob.seed
    ? {
        after: now.after[knob.name] ?? "fixed",
        setAfter: (after) => open.document.run(setAfter([], step, knob.name, after)),
        lastUsed,
      }
    : null;
  const place = [step, knob.name] as const;
  const palette = () => server.getState().palette;
  return (
    <div className={`form-field ${isNarrow(knob) ? "" : "full"}`} data-step={step} data-knob={knob.name}>
      <div className="row">
        <label htmlFor={id}>{label}</label>
        <span className="quiet small cut spring">{label === title ? "" : title}</span>
        <span className="arrange">
          <IconButton
            tiny
            label={t("form.up", { name: label })}
            disabled={first}
            onClick={() => open.document.run(movePinned(place, -1, palette()))}
          >
            <ArrowUp size={14} />
          </IconButton>
          <IconButton
            tiny
            label={t("form.down", { name: label })}
            disabled={last}
            onClick={() => open.document.run(movePinned(place, 1, palette()))}
          >
            <ArrowDown size={14} />
          </IconButton>
          <IconButton
            tiny
            label={t("form.unpin", { name: label })}
            onClick={() => open.document.run(unpinKnob(place, palette()))}
          >
            <X size={14} />
          </IconButton>
        </span>
      </div>
      <div className="ll-knob" title={knob.help}>
        <Widget
          id={id}
          def={knob}
          value={knobValue(now, knob)}
          label={`${label}, ${title}`}
          problem=""
          problemId={undefined}
          set={(value, gesture) => open.document.run(setValue([], step, knob.name, value), gesture)}
          {...(seed ? { seed } : {})}
        />
      </div>
    </div>
  );
}

/** Two plain numbers fit beside each other. */
const isNarrow = (knob: KnobDef): boolean =>
  (knob.type === "INT" || knob.type === "FLOAT") && !knob.seed && !knob.slider && !knob.widget;

/** Any other knob of the workflow, to be put into the form. */
function Add({ open, shown }: { open: OpenDocument; shown: readonly FormField[] }): ReactNode {
  const { server } = useEditor();
  const id = useId();
  const document = useDocument(open, (state) => state);
  const palette = useServer((state) => state.palette);
  const rest = useMemo(() => {
    const there = new Set(shown.map(({ step, knob }) => `${step} ${knob.name}`));
    return allFields(document, palette).filter(({ step, knob }) => !there.has(`${step} ${knob.name}`));
  }, [document, palette, shown]);
  if (!rest.length) return null;
  return (
    <div className="row form-add">
      <Plus size={14} aria-hidden="true" />
      <label className="hidden-text" htmlFor={id}>
        {t("form.add")}
      </label>
      <select
        id={id}
        className="field"
        value=""
        onChange={(event) => {
          const found = rest[Number(event.target.value)];
          if (found) open.document.run(pinKnob([found.step, found.knob.name], server.getState().palette));
        }}
      >
        <option value="">{t("form.add")}</option>
        {rest.map(({ step, knob, title }, index) => (
          <option key={`${step} ${knob.name}`} value={index}>
            {title} · {knob.label || knob.name.replaceAll("_", " ")}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Small pictures are shown larger, pixel by pixel. */
function Picture({ src }: { src: string }): ReactNode {
  const [small, setSmall] = useState(false);
  return (
    <img
      src={src}
      alt=""
      className={small ? "pixels" : ""}
      onLoad={(event) => setSmall(event.currentTarget.naturalWidth < 256)}
    />
  );
}

/** What the newest run shows so far, or has made. */
function Made({ open }: { open: OpenDocument }): ReactNode {
  const { client, shell } = useEditor();
  const status = useRun(open, (run) => run.status);
  const steps = useRun(open, (run) => run.steps);
  const problems = useRun(open, (run) => run.problems);
  const files = Object.values(steps).flatMap((one) => one.files.filter(isPicture));
  const preview = Object.values(steps).find((one) => one.state === "running" && one.preview)?.preview;
  return (
    <section className="form-made" aria-label={t("form.made")} aria-live="polite">
      {files.map((file, at) => (
        <button
          key={file.id}
          type="button"
          aria-label={file.name}
          onClick={() => shell.setState({ viewer: { files, at, against: null } })}
        >
          <Picture src={client.fileUrl(file.id)} />
        </button>
      ))}
      {!files.length && preview ? <img className="preview" src={preview} alt={t("form.preview")} /> : null}
      {!files.length && !preview ? (
        <p className="empty">{status === "running" || status === "queued" ? t(`status.${status}`) : t("form.empty")}</p>
      ) : null}
      {status === "failed" && problems[0] ? (
        <p className="wrong">
          {problems[0].place}: {problems[0].what} {problems[0].fix}
        </p>
      ) : null}
    </section>
  );
}
