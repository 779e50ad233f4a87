/** Above the nodes while something goes on: the wire that is drawn, the box, the line around, the guides. Redrawn only then. */

import { useEffect, useRef } from "react";
import { useStore } from "zustand";
import { setGroupTitle } from "../core/commands";
import { GROUP_HEADER } from "../core/geometry";
import { type LinkStyle, linkCurve } from "../core/links";
import { t } from "../ui/text";
import { toScreen } from "./camera";
import { useStage, useUi } from "./context";
import { reason } from "./fitting";
import type { SceneSocket } from "./scene_types";
import type { Pending, Stage } from "./stage";
import { readable } from "./words";

export function Overlay() {
  const stage = useStage();
  const pending = useUi((ui) => ui.pending);
  const box = useUi((ui) => ui.box);
  const lasso = useUi((ui) => ui.lasso);
  const guides = useUi((ui) => ui.guides);
  const knife = useUi((ui) => ui.knife);
  const active = pending !== null || box !== null || lasso !== null || knife !== null || guides.length > 0;
  const camera = useStore(stage.stores.view, (view) => (active ? view.viewport : null));
  if (!active || !camera) return null;
  const { x, y, zoom } = camera;
  return (
    <>
      <svg className="ll-overlay" aria-hidden="true">
        <g transform={`translate(${x} ${y}) scale(${zoom})`}>
          {box && <rect className="ll-box" {...box} />}
          {lasso && <polygon className="ll-box" points={lasso.map((at) => at.join(" ")).join(" ")} />}
          {guides.map((guide) =>
            guide.axis === "x" ? (
              <line
                key={`x${guide.at}`}
                className="ll-guide"
                x1={guide.at}
                x2={guide.at}
                y1={guide.from}
                y2={guide.to}
              />
            ) : (
              <line
                key={`y${guide.at}`}
                className="ll-guide"
                y1={guide.at}
                y2={guide.at}
                x1={guide.from}
                x2={guide.to}
              />
            ),
          )}
          {knife && <polyline className="ll-knife" points={knife.stroke.map((at) => at.join(" ")).join(" ")} />}
          {pending && (
            <path
              className="ll-wire"
              d={wire(stage.scene.socketPoint(pending.from), pending, stage.scene.style)}
              style={{ "--c": pending.from.color } as React.CSSProperties}
            />
          )}
        </g>
      </svg>
      {pending && <Said pending={pending} />}
    </>
  );
}

/** Beside the end of the wire: why it cannot end there, or where it would, if that is not seen. */
function Said({ pending }: { pending: Pending }) {
  const stage = useStage();
  const camera = useStore(stage.stores.view, (view) => view.viewport);
  const { why, target, at } = pending;
  const text = why ? reason(stage, why) : target && !isDrawn(stage, target) ? readable(target.name) : "";
  if (!text) return null;
  const [left, top] = toScreen(camera, at);
  return (
    <div className="ll-why" style={{ left: left + 14, top: top + 14 }} role="status">
      {text}
    </div>
  );
}

/** Whether a socket has a place of its own: on a folded node none has, and one that is unused may have none. */
function isDrawn(stage: Stage, { step, side, name }: SceneSocket): boolean {
  const node = stage.scene.nodes.get(step);
  return !node?.step.collapsed && !node?.unused.some((one) => one.side === side && one.name === name);
}

function wire(from: readonly [number, number], pending: Pending, style: LinkStyle): string {
  const [a, b] = pending.from.side === "output" ? [from, pending.at] : [pending.at, from];
  const [x, y, ...rest] = [...linkCurve(a, b, [], style)].map((one) => one.toFixed(1));
  return `M${x} ${y}C${rest.join(" ")}`;
}

/** A frame's title, edited where it is painted. */
export function GroupTitle() {
  const stage = useStage();
  const editing = useUi((ui) => ui.editing);
  const group = useStore(stage.changes, () => (editing === null ? undefined : stage.scene.board.groups[editing]));
  const camera = useStore(stage.stores.view, (view) => (group ? view.viewport : null));
  const input = useRef<HTMLInputElement>(null);
  const id = group?.id;
  useEffect(() => {
    if (id !== undefined) input.current?.select();
  }, [id]);
  if (!group || !camera) return null;
  const rect = stage.scene.groupRect(group);
  const [left, top] = toScreen(camera, [rect.x + 10, rect.y]);
  const done = (keep: boolean) => {
    const title = input.current?.value.trim() ?? "";
    if (keep && title !== group.title) stage.run(setGroupTitle(stage.path, group.id, title));
    stage.ui.setState({ editing: null });
    stage.container?.focus({ preventScroll: true });
  };
  return (
    <input
      ref={input}
      data-over=""
      className="ll-title-input ll-group-title"
      aria-label={t("group.title")}
      style={{
        left,
        top,
        height: GROUP_HEADER * camera.zoom,
        fontSize: `calc(${Math.max(12, 14 * camera.zoom)}px * var(--text-scale, 1))`,
        width: (rect.width - 20) * camera.zoom,
      }}
      defaultValue={group.title}
      onBlur={() => done(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") done(true);
        else if (event.key === "Escape") done(false);
      }}
    />
  );
}
