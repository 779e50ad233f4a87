/** A node's head: fold, title, and what the run says of it. */

import {
  ChevronDown,
  ChevronRight,
  CircleAlert,
  CircleHelp,
  EyeOff,
  History,
  Lock,
  LogIn,
  StickyNote,
} from "lucide-react";
import { useEffect, useRef } from "react";
import { setCollapsed, setCompact, setTitle } from "../../core/commands";
import { size, t } from "../../ui/text";
import { useStage, useStepRun, useUi } from "../context";
import type { SceneNode } from "../scene_types";
import { took } from "../words";

export function Head({ node, wrong }: { node: SceneNode; wrong: boolean }) {
  const stage = useStage();
  const editing = useUi((ui) => ui.editing === node.id);
  const Fold = node.step.collapsed ? ChevronRight : ChevronDown;
  return (
    <div className="ll-head" title={node.shape.help}>
      <button
        type="button"
        className="ll-icon"
        aria-label={
          node.step.collapsed ? t("node.unfold", { title: node.title }) : t("node.fold", { title: node.title })
        }
        onClick={() => stage.run(setCollapsed(stage.path, [node.id], !node.step.collapsed))}
      >
        <Fold size={14} aria-hidden="true" />
      </button>
      {editing ? <TitleInput node={node} /> : <span className="ll-title">{node.title}</span>}
      {!node.shape.known && (
        <span
          className="ll-step-note"
          role="img"
          aria-label={t("node.kind", { kind: node.step.kind })}
          title={t("node.kind", { kind: node.step.kind })}
        >
          <CircleHelp size={14} aria-hidden="true" />
        </span>
      )}
      {node.unused.length > 0 && <ShowSockets node={node} />}
      {node.step.locked && (
        <span className="ll-step-note" role="img" aria-label={t("node.locked")} title={t("node.locked")}>
          <Lock size={12} aria-hidden="true" />
        </span>
      )}
      {wrong && <CircleAlert size={14} className="ll-alert" aria-hidden="true" />}
      {node.step.note && (
        <span className="ll-step-note" role="img" aria-label={node.step.note} title={node.step.note}>
          <StickyNote size={13} aria-hidden="true" />
        </span>
      )}
      {node.step.mode !== "on" && <span className="ll-mode">{t(`node.${node.step.mode}`)}</span>}
      {node.shape.subgraph && (
        <button
          type="button"
          className="ll-icon"
          aria-label={t("node.open", { title: node.title })}
          data-enter={node.shape.subgraph}
        >
          <LogIn size={13} aria-hidden="true" />
        </button>
      )}
    </div>
  );
}

/** Says that there are more sockets than one sees, and brings them back. */
function ShowSockets({ node }: { node: SceneNode }) {
  const stage = useStage();
  const label = t("node.unused", { title: node.title, count: node.unused.length });
  return (
    <button
      type="button"
      className="ll-icon"
      aria-label={label}
      title={label}
      onClick={() => stage.run(setCompact(stage.path, [node.id], false))}
    >
      <EyeOff size={13} aria-hidden="true" />
    </button>
  );
}

function TitleInput({ node }: { node: SceneNode }) {
  const stage = useStage();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  const done = (keep: boolean) => {
    const title = input.current?.value.trim() ?? "";
    if (keep && title !== node.title) stage.run(setTitle(stage.path, node.id, title === node.shape.title ? "" : title));
    stage.ui.setState({ editing: null });
  };
  return (
    <input
      ref={input}
      className="ll-title-input"
      aria-label={t("node.title")}
      defaultValue={node.title}
      onBlur={() => done(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key !== "Enter" && event.key !== "Escape") return;
        done(event.key === "Enter");
        stage.focusElement(node.id);
      }}
    />
  );
}

/** Above the node: time, memory, and whether the answer was known already. */
export function Badges({ id }: { id: string }) {
  const state = useStepRun(id, (run) => run?.state);
  const time = useStepRun(id, (run) => run?.seconds ?? 0);
  const peak = useStepRun(id, (run) => run?.peakBytes ?? 0);
  const tier = useStepRun(id, (run) => run?.tier ?? "");
  if (state === "reused") {
    return (
      <div className="ll-badges">
        <span className="ll-badge ll-badge-reused" title={tier ? t("node.reused-from", { tier }) : undefined}>
          <History size={10} aria-hidden="true" /> {t("node.reused")}
        </span>
      </div>
    );
  }
  if (state !== "done" && state !== "failed") return null;
  return (
    <div className="ll-badges">
      <span className="ll-badge">{took(time)}</span>
      {peak > 0 && <span className="ll-badge">{size(peak)}</span>}
    </div>
  );
}
