/** One row of a node: sockets and their names, a knob with its widget, or the line that folds the advanced ones. */

import { memo } from "react";
import { useStore } from "zustand";
import { setAdvanced, setAfter, setValue } from "../../core/commands";
import type { Row } from "../../core/geometry";
import { knobValue } from "../../core/shape";
import type { KnobDef, Problem } from "../../core/types";
import { t } from "../../ui/text";
import { type SeedProps, Widget } from "../../widgets";
import { useStage } from "../context";
import type { SceneNode } from "../scene_types";
import { readable } from "../words";

export function SocketRow({ row }: { row: Row }) {
  return (
    <div className="ll-row ll-row-sockets" style={{ height: row.height }}>
      {row.input && <span className="ll-name">{readable(row.input.name)}</span>}
      {row.output && <span className="ll-name ll-name-out">{readable(row.output.name)}</span>}
    </div>
  );
}

interface KnobRowProps {
  node: SceneNode;
  row: Row;
  knob: KnobDef;
  problem: Problem | undefined;
}

export const KnobRow = memo(function KnobRow({ node, row, knob, problem }: KnobRowProps) {
  const stage = useStage();
  const label = knob.label || readable(knob.name);
  const id = `${node.id}.${knob.name}`;
  const seed = useSeed(node, knob);
  const source = useStore(stage.changes, () =>
    row.fed
      ? stage.scene.linksOf(node.id).find((one) => one.to.id === node.id && one.link.input === knob.name)?.from.title
      : undefined,
  );
  const tall = knob.multiline && !row.fed;
  const className = `ll-row ll-knob ${tall ? "ll-knob-tall" : ""} ${knob.type === "BOOLEAN" ? "ll-knob-toggle" : ""} ${problem ? "ll-wrong" : ""}`;
  return (
    <div
      className={className}
      style={{ height: row.height }}
      data-field={knob.name}
      title={problem ? `${problem.what} ${problem.fix}` : knob.help}
    >
      <label className="ll-name" htmlFor={row.fed ? undefined : id}>
        {label}
      </label>
      {row.fed ? (
        <span className="ll-fed">{t("knob.fed", { node: source ?? "" })}</span>
      ) : (
        <Widget
          id={id}
          def={knob}
          value={knobValue(node.step, knob)}
          label={`${label}, ${node.title}`}
          problem={problem?.what ?? ""}
          problemId={problem ? `${id}.problem` : undefined}
          set={(value, gesture) => stage.run(setValue(stage.path, node.id, knob.name, value), gesture)}
          {...(seed ? { seed } : {})}
        />
      )}
    </div>
  );
});

function useSeed(node: SceneNode, knob: KnobDef): SeedProps | undefined {
  const stage = useStage();
  const lastUsed = useStore(stage.stores.run, (run) => run.seeds[`${stage.runKey(node.id)}.${knob.name}`] ?? null);
  if (!knob.seed) return undefined;
  return {
    after: node.step.after[knob.name] ?? "fixed",
    setAfter: (after) => stage.run(setAfter(stage.path, node.id, knob.name, after)),
    lastUsed,
  };
}

export function FoldRow({ node, row }: { node: SceneNode; row: Row }) {
  const stage = useStage();
  const open = node.step.advanced;
  return (
    <div className="ll-row" style={{ height: row.height }}>
      <button
        type="button"
        className="ll-fold"
        aria-expanded={open}
        onClick={() => stage.run(setAdvanced(stage.path, node.id, !open))}
      >
        {t(open ? "knob.fewer" : "knob.more")}
      </button>
    </div>
  );
}
