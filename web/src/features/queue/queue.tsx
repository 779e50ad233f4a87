/** What runs, what waits in which order, and what is over. */
import { Pause, Play, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { RunMessage } from "../../api/wire";
import { useEditor, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import { isOver } from "../../app/run_feed";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import "../gallery/gallery.css";
import { Side } from "../side";
import { useCommands } from "../use_commands";
import "./queue.css";
import { RunItem } from "./run_item";

const OVER = 50;

export default function QueuePanel(): ReactNode {
  const runs = useServer((server) => server.runs);
  const waiting = useServer((server) => server.queue.waiting);
  const paused = useServer((server) => server.queue.paused.length > 0);
  const { label, run } = useCommands();
  const place = new Map(waiting.map((one) => [one.run, one]));
  const queued = runs
    .filter(({ status }) => status === "queued" || status === "crashed")
    .sort((a, b) => (place.get(a.id)?.position ?? 1e9) - (place.get(b.id)?.position ?? 1e9));
  const over = runs.filter(({ status }) => isOver(status)).slice(0, OVER);
  return (
    <Side
      side="right"
      title={t("queue.title")}
      className="queue"
      tools={
        <>
          <IconButton
            label={label(paused ? "run.resume" : "run.pause")}
            aria-pressed={paused}
            onClick={() => run(paused ? "run.resume" : "run.pause")}
          >
            {paused ? <Play size={16} /> : <Pause size={16} />}
          </IconButton>
          <IconButton label={label("run.clear")} disabled={!over.length} onClick={() => run("run.clear")}>
            <Trash2 size={16} />
          </IconButton>
        </>
      }
    >
      <div className="scroll">
        {runs.length ? null : <p className="empty">{t("queue.none")}</p>}
        <Part title={t("queue.running")} runs={runs.filter(({ status }) => status === "running")} />
        <Waiting runs={queued} />
        <Part title={t("queue.done")} runs={over} />
      </div>
    </Side>
  );
}

function Part({ title, runs }: { title: string; runs: readonly RunMessage[] }): ReactNode {
  if (!runs.length) return null;
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <ul>
        {runs.map((run) => (
          <li key={run.id}>
            <RunItem run={run} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Waiting runs: dragged, or moved by their menu. */
function Waiting({ runs }: { runs: readonly RunMessage[] }): ReactNode {
  const editor = useEditor();
  const [dragged, setDragged] = useState("");
  const { label, run: runCommand } = useCommands();
  if (!runs.length) return null;
  const ids = runs.map(({ id }) => id);
  const order = (next: string[]) =>
    void attempt(editor, () => editor.client.order(next).then(() => editor.feed.refreshQueue()));
  const move = (id: string, to: number) => {
    const rest = ids.filter((one) => one !== id);
    rest.splice(Math.max(0, Math.min(rest.length, to)), 0, id);
    order(rest);
  };
  return (
    <section aria-label={t("queue.waiting")}>
      <div className="row">
        <h3 className="spring">{t("queue.waiting")}</h3>
        <IconButton tiny label={label("run.empty")} onClick={() => runCommand("run.empty")}>
          <Trash2 size={14} />
        </IconButton>
      </div>
      <ol>
        {runs.map((run, index) => (
          <li
            key={run.id}
            draggable
            onDragStart={(event) => {
              event.dataTransfer.effectAllowed = "move";
              setDragged(run.id);
            }}
            onDragEnd={() => setDragged("")}
            onDragOver={(event) => dragged && event.preventDefault()}
            onDrop={(event) => {
              event.preventDefault();
              if (dragged && dragged !== run.id) move(dragged, index);
            }}
          >
            <RunItem run={run} dragged={dragged === run.id} move={(by) => move(run.id, index + by)} />
          </li>
        ))}
      </ol>
    </section>
  );
}
