/** A step as an element of the page. Its heights are the core's, so nothing is ever measured. */

import { memo, useLayoutEffect } from "react";
import type { Row } from "../../core/geometry";
import type { Problem } from "../../core/types";
import { useCommitted, useProblems, useSceneNode, useSelected, useStage, useStepRun } from "../context";
import type { SceneNode } from "../scene_types";
import { Hanging, Progress, ResultRow, Veil } from "./foot";
import { Badges, Head } from "./head";
import { FoldRow, KnobRow, SocketRow } from "./row";
import { SocketButton } from "./socket";
import "./node.css";
import "./foot.css";

export const StepNode = memo(function StepNode({ id }: { id: string }) {
  const stage = useStage();
  const node = useSceneNode(id);
  const selected = useSelected(id);
  const state = useStepRun(id, (run) => run?.state ?? "");
  const problems = useProblems(id);

  useLayoutEffect(() => {
    stage.counts.commits[id] = (stage.counts.commits[id] ?? 0) + 1;
  });
  useCommitted(id);

  if (!node) return null;
  const { step, shape, layout } = node;
  const room = layout.rows.some((row) => row.what === "result");
  const classes = [
    "ll-node",
    selected && "ll-selected",
    !shape.known && "ll-unknown",
    step.collapsed && "ll-collapsed",
  ];
  return (
    <div
      className={classes.filter(Boolean).join(" ")}
      data-mode={step.mode}
      data-run={state}
      data-wrong={problems.length > 0 || undefined}
      style={{ height: layout.height, "--tint": node.color } as React.CSSProperties}
    >
      <Badges id={id} />
      <Head node={node} wrong={problems.length > 0} />
      {node.sockets.map((socket) => (
        <SocketButton key={`${socket.side}${socket.name}${socket.index}`} socket={socket} />
      ))}
      {!step.collapsed && (
        <div className="ll-rows">
          {layout.rows.map((row, index) => (
            <RowOf key={row.knob?.name ?? `${row.what}${index}`} node={node} row={row} problems={problems} />
          ))}
        </div>
      )}
      {!step.collapsed && !room && <Veil id={id} title={node.title} />}
      <Progress id={id} title={node.title} />
      {!step.collapsed && !step.locked && <div className="ll-resize" data-resize="" aria-hidden="true" />}
      <Hanging node={node} problems={problems} />
    </div>
  );
});

function RowOf({ node, row, problems }: { node: SceneNode; row: Row; problems: readonly Problem[] }) {
  switch (row.what) {
    case "sockets":
      return <SocketRow row={row} />;
    case "fold":
      return <FoldRow node={node} row={row} />;
    case "result":
      return <ResultRow row={row} id={node.id} title={node.title} />;
    case "knob":
      return (
        row.knob && (
          <KnobRow
            node={node}
            row={row}
            knob={row.knob}
            problem={problems.find((one) => one.field === row.knob?.name && one.step === node.id)}
          />
        )
      );
  }
}
