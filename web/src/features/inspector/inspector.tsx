/** What the selected node does, from its docstring; its title and note; what its last run took. */
import { type ReactNode, useMemo } from "react";
import { useStore } from "zustand";
import { useActive, useDocument, useRun, useServer, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { runId } from "../../app/stores";
import { readable } from "../../canvas";
import { setStepNote, setTitle } from "../../core/commands";
import { findBoard } from "../../core/document";
import { shapeOf } from "../../core/shape";
import type { KnobDef, Shape } from "../../core/types";
import { duration, size, t } from "../../ui/text";
import { Side } from "../side";
import "./inspector.css";

export default function Inspector(): ReactNode {
  const open = useActive();
  return (
    <Side side="right" title={t("inspector.title")} className="inspector">
      <div className="scroll">{open ? <Selected key={open.id} open={open} /> : null}</div>
    </Side>
  );
}

function Selected({ open }: { open: OpenDocument }): ReactNode {
  const path = useView(open, (view) => view.path);
  const selection = useView(open, (view) => view.selection);
  const steps = useDocument(open, (document) => findBoard(document, path)?.steps);
  const ids = [...selection].filter((id) => steps && Object.hasOwn(steps, id));
  const [id] = ids;
  if (id === undefined) return <p className="empty">{t("inspector.none")}</p>;
  if (ids.length > 1) return <p className="empty">{t("inspector.many", { count: ids.length })}</p>;
  return <About key={id} open={open} id={id} />;
}

function About({ open, id }: { open: OpenDocument; id: string }): ReactNode {
  const path = useView(open, (view) => view.path);
  const document = useDocument(open, (state) => state);
  const palette = useServer((server) => server.palette);
  const shape = useMemo(() => shapeOf(document, path, id, palette), [document, path, id, palette]);
  const step = findBoard(document, path)?.steps[id];
  const readOnly = useView(open, (view) => view.readOnly);
  if (!step) return null;
  return (
    <>
      <div>
        <label className="label" htmlFor="inspector-title">
          {t("inspector.name")}
        </label>
        <input
          id="inspector-title"
          className="field"
          value={step.title}
          placeholder={shape.title}
          readOnly={readOnly}
          onChange={(event) => open.document.run(setTitle(path, id, event.target.value), `title ${id}`)}
        />
      </div>
      <Wrong open={open} id={id} />
      <LastRun open={open} id={id} />
      <div>
        <h3>{shape.title}</h3>
        <p className="help">{shape.known ? shape.help : t("inspector.unknown")}</p>
      </div>
      <Inputs shape={shape} />
      {shape.outputs.length ? (
        <div>
          <h3>{t("inspector.outputs")}</h3>
          <dl>
            {shape.outputs.map((one) => (
              <Item key={one.name} name={readable(one.name)} type={one.type} help={one.help} />
            ))}
          </dl>
        </div>
      ) : null}
      <div>
        <label className="label" htmlFor="inspector-note">
          {t("inspector.note")}
        </label>
        <textarea
          id="inspector-note"
          className="field"
          rows={3}
          value={step.note}
          readOnly={readOnly}
          onChange={(event) => open.document.run(setStepNote(path, id, event.target.value), `note ${id}`)}
        />
      </div>
      <p className="quiet small">
        {t("inspector.kind")}: {step.kind}
      </p>
    </>
  );
}

function Inputs({ shape }: { shape: Shape }): ReactNode {
  if (!shape.wires.length && !shape.knobs.length) return null;
  return (
    <div>
      <h3>{t("inspector.inputs")}</h3>
      <dl>
        {shape.wires.map((one) => (
          <Item
            key={one.name}
            name={readable(one.name)}
            type={one.optional ? `${one.type}, ${t("inspector.optional")}` : one.type}
            help={one.help}
          />
        ))}
        {shape.knobs.map((one) => (
          <Item key={one.name} name={one.label || readable(one.name)} type={bounds(one)} help={one.help} />
        ))}
      </dl>
    </div>
  );
}

function Item({ name, type, help }: { name: string; type: string; help: string }): ReactNode {
  return (
    <div>
      <dt>
        {name} <span className="type">{type}</span>
      </dt>
      {help ? <dd>{help}</dd> : null}
    </div>
  );
}

function bounds(knob: KnobDef): string {
  const usual = typeof knob.default === "string" || typeof knob.default === "number" ? String(knob.default) : "";
  const range = knob.min !== null && knob.max !== null && knob.max < 2 ** 31 ? `${knob.min} … ${knob.max}` : "";
  return [range, usual && usual.length < 24 ? t("inspector.usual", { value: usual }) : ""].filter(Boolean).join(", ");
}

function Wrong({ open, id }: { open: OpenDocument; id: string }): ReactNode {
  const scope = useView(open, (view) => view.scope);
  const now = useStore(open.problems, ({ problems }) => problems);
  const ran = useRun(open, ({ steps }) => steps[runId(scope, id)]?.problems);
  const problems = now.filter(({ step }) => step === runId(scope, id));
  return [...problems, ...(problems.length ? [] : (ran ?? []))].map((one, index) => (
    <div key={index} className="problem">
      <p>{one.what}</p>
      <p>{one.fix}</p>
    </div>
  ));
}

function LastRun({ open, id }: { open: OpenDocument; id: string }): ReactNode {
  const scope = useView(open, (view) => view.scope);
  const ran = useRun(open, ({ steps }) => steps[runId(scope, id)]);
  if (!ran || (ran.state !== "done" && ran.state !== "reused")) return null;
  const took = t("inspector.took", { time: duration(ran.seconds), memory: size(ran.peakBytes) });
  return (
    <div>
      <h3>{t("inspector.last")}</h3>
      <p>
        {ran.state === "reused"
          ? t("inspector.reused", { tier: ran.tier })
          : ran.peakBytes
            ? took
            : duration(ran.seconds)}
      </p>
      {Object.entries(ran.outputs).map(([name, line]) => (
        <p key={name} className="quiet small">
          {readable(name)}: {line}
        </p>
      ))}
    </div>
  );
}
