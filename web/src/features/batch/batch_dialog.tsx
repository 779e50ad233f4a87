/** One run for each value of a knob, or for each pair of two. */
import { type ReactNode, useId, useMemo, useState } from "react";
import { useActive, useEditor, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import { type Axis, axesOf, type GridMeta, MOST_RUNS, valuesOf, varied } from "../../app/grid";
import { newId } from "../../app/open_document";
import type { Json } from "../../core/types";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { t } from "../../ui/text";
import "./batch.css";

export default function BatchDialog(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const palette = useServer((server) => server.palette);
  const axes = useMemo(() => (open ? axesOf(open.document.getState(), palette) : []), [open, palette]);
  const usual = Math.max(
    0,
    axes.findIndex(({ knob }) => knob.seed),
  );
  const [x, setX] = useState(usual);
  const [y, setY] = useState(-1);
  const [xText, setXText] = useState("1..4");
  const [yText, setYText] = useState("");
  const [across, down] = [axes[x], axes[y]];
  const xs = across ? valuesOf(xText, across.knob) : [];
  const ys = down ? valuesOf(yText, down.knob) : [];
  const count = xs.length * (down ? ys.length : 1);
  const close = () => editor.shell.setState({ dialog: null });

  const go = () =>
    attempt(editor, async () => {
      if (!open || !across) return;
      const grid = newId();
      const named = (values: readonly Json[]) => values.map(String);
      const about = { id: grid, xTitle: across.title, yTitle: down?.title ?? "", xs: named(xs), ys: named(ys) };
      close();
      for (const [row, yValue] of (down ? ys : [null]).entries()) {
        for (const [column, value] of xs.entries()) {
          const changes: { axis: Axis; value: Json }[] = [{ axis: across, value }];
          if (down) changes.push({ axis: down, value: yValue });
          const meta: GridMeta = { ...about, cell: { x: column, y: row } };
          const sent = await editor.runner.submit(open, varied(open.document.getState(), changes), {
            meta: { grid: meta },
          });
          if (!sent) return;
        }
      }
      editor.shell.setState({ grid });
    });

  return (
    <Dialog
      title={t("batch.title")}
      close={close}
      footer={
        <>
          <span className="quiet spring">
            {count > MOST_RUNS ? t("batch.many", { most: MOST_RUNS }) : t("batch.count", { count })}
          </span>
          <Button onClick={close}>{t("cancel")}</Button>
          <Button kind="main" disabled={!count || count > MOST_RUNS} onClick={() => void go()}>
            {t("batch.run", { count })}
          </Button>
        </>
      }
    >
      <p className="quiet">{t("batch.about")}</p>
      <AxisFields title={t("batch.x")} axes={axes} at={x} setAt={setX} text={xText} setText={setXText} />
      <AxisFields title={t("batch.y")} axes={axes} at={y} setAt={setY} text={yText} setText={setYText} optional />
    </Dialog>
  );
}

interface FieldsProps {
  title: string;
  axes: readonly Axis[];
  at: number;
  setAt: (at: number) => void;
  text: string;
  setText: (text: string) => void;
  optional?: boolean;
}

function AxisFields({ title, axes, at, setAt, text, setText, optional = false }: FieldsProps): ReactNode {
  const id = useId();
  const choices = axes[at]?.knob.choices ?? [];
  return (
    <div className="axis">
      <div>
        <label className="label" htmlFor={`${id}knob`}>
          {title}
        </label>
        <select
          id={`${id}knob`}
          className="field"
          value={at}
          onChange={(event) => {
            const next = Number(event.target.value);
            setAt(next);
            const some = axes[next]?.knob.choices ?? [];
            if (some.length) setText(some.map(String).join("\n"));
          }}
        >
          {optional ? <option value={-1}>{t("batch.none")}</option> : null}
          {axes.map((one, index) => (
            <option key={`${one.step} ${one.knob.name}`} value={index}>
              {one.title}
            </option>
          ))}
        </select>
      </div>
      <div>
        <label className="label" htmlFor={`${id}values`}>
          {t("batch.values")}
        </label>
        <textarea
          id={`${id}values`}
          className="field"
          rows={Math.max(3, Math.min(8, choices.length))}
          value={text}
          disabled={at < 0}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
    </div>
  );
}
