/** At a node's foot: how far it is, what it has made, and what is wrong with it. */

import { useEffect, useRef } from "react";
import type { Row } from "../../core/geometry";
import type { Problem } from "../../core/types";
import { t } from "../../ui/text";
import { useStage, useStepRun } from "../context";
import { useNodeServices } from "../services";
import { readable } from "../words";

/** How far a step is. It hears the run itself and moves a bar; React has no part in it. */
export function Progress({ id, title }: { id: string; title: string }) {
  const stage = useStage();
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { run } = stage.stores;
    const show = () => {
      const step = run.getState().steps[stage.runKey(id)];
      const part = step?.state === "running" && step.total > 0 ? Math.min(1, step.done / step.total) : 0;
      const element = bar.current;
      if (!element) return;
      element.style.transform = `scaleX(${part})`;
      element.parentElement?.setAttribute("aria-valuenow", String(Math.round(part * 100)));
      element.parentElement?.toggleAttribute("hidden", step?.state !== "running");
    };
    show();
    return run.subscribe(show);
  }, [stage, id]);
  return (
    <div
      className="ll-progress"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-label={t("node.progress", { title })}
      hidden
    >
      <div ref={bar} />
    </div>
  );
}

/** The newest picture: a preview while it runs, then what was written. */
export function Picture({ id, title }: { id: string; title: string }) {
  const services = useNodeServices();
  const preview = useStepRun(id, (run) => run?.preview ?? "");
  const files = useStepRun(id, (run) => run?.files);
  const file = files?.find((one) => one.media.startsWith("image"));
  const more = (files?.length ?? 0) - 1;
  if (preview) return <img className="ll-picture" src={preview} alt={t("node.preview", { title })} draggable={false} />;
  if (!file) return null;
  return (
    <button
      type="button"
      className="ll-picture-button"
      onClick={() => services.openFile(file)}
      aria-label={t("node.picture", { name: file.name })}
    >
      <img className="ll-picture" src={services.thumbnailUrl(file.id, 512)} alt={file.name} draggable={false} />
      {more > 0 && <span className="ll-more">+{more}</span>}
    </button>
  );
}

export function ResultRow({ row, id, title }: { row: Row; id: string; title: string }) {
  const text = useStepRun(id, (run) => (run ? Object.values(run.outputs).join("\n") : ""));
  return (
    <div className="ll-row ll-result" style={{ height: row.height }}>
      <Picture id={id} title={title} />
      {text && <span className="ll-result-text">{text}</span>}
    </div>
  );
}

/**
 * A preview on a node whose kind has not said that it gives any: laid over its rows while it runs, never over other nodes.
 * Under the pointer or the keyboard the rows are there.
 */
export function Veil({ id, title }: { id: string; title: string }) {
  const preview = useStepRun(id, (run) => (run?.state === "running" ? run.preview : ""));
  if (!preview) return null;
  return (
    <div className="ll-veil">
      <img className="ll-picture" src={preview} alt={t("node.preview", { title })} draggable={false} />
    </div>
  );
}

/** Hangs under the node, outside of its computed height: what is wrong with it. */
export function Hanging({ node, problems }: { node: { id: string }; problems: readonly Problem[] }) {
  if (problems.length === 0) return null;
  return (
    <div className="ll-hanging">
      <ul className="ll-problems">
        {problems.slice(0, 4).map((problem) => (
          <li
            key={`${problem.code} ${problem.field}`}
            id={problem.field ? `${node.id}.${problem.field}.problem` : undefined}
          >
            {problem.field && <strong>{readable(problem.field)}</strong>} {problem.what} <span>{problem.fix}</span>
          </li>
        ))}
        {problems.length > 4 && <li>{t("node.problems-more", { count: problems.length - 4 })}</li>}
      </ul>
    </div>
  );
}
