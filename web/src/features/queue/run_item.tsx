/** One run: what it is, how far, what it made, and what can be done with it. */
import { Ellipsis, X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import type { RunMessage } from "../../api/wire";
import { useEditor, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import { gridOf } from "../../app/grid";
import { isPicture } from "../../app/pictures";
import { isOver } from "../../app/run_feed";
import { readDocument } from "../../core/document";
import { IconButton } from "../../ui/button";
import { Menu, type MenuPart } from "../../ui/menu";
import { duration, moment, t } from "../../ui/text";

interface Props {
  run: RunMessage;
  dragged?: boolean;
  /** Of one that waits: move it so many places. */
  move?: (by: number) => void;
}

export function RunItem({ run, dragged = false, move }: Props): ReactNode {
  const editor = useEditor();
  const { client, shell } = editor;
  const title = typeof run.meta.title === "string" && run.meta.title ? run.meta.title : t("untitled");
  const pictures = run.files.filter(isPicture);
  const cancel = (force = false) => void attempt(editor, () => client.cancel(run.id, force));
  const [first] = run.problems;
  return (
    <article
      className={`run-item ${dragged ? "dragged" : ""}`}
      aria-label={`${title}, ${t(`status.${run.status}`)}`}
      data-run-id={run.id}
    >
      <div className="head">
        <i className={`state ${run.status}`} title={t(`status.${run.status}`)} />
        <span className="name cut">{title}</span>
        <span className="quiet small number">#{run.number}</span>
        <Menu parts={() => partsFor(editor, run, move)} align="end">
          <IconButton tiny label={t("more")}>
            <Ellipsis size={14} />
          </IconButton>
        </Menu>
        {isOver(run.status) ? null : (
          <IconButton tiny label={t("queue.cancel")} onClick={() => cancel(run.cancelling)}>
            <X size={14} />
          </IconButton>
        )}
      </div>
      <Facts run={run} />
      {run.status === "running" ? <Bar run={run.id} /> : null}
      {run.status === "failed" && first ? (
        <p className="wrong">
          {first.place}: {first.what}
        </p>
      ) : null}
      {pictures.length ? (
        <div className="made">
          {pictures.map((file, at) => (
            <button
              key={file.id}
              type="button"
              className="picture"
              aria-label={file.name}
              onClick={() => shell.setState({ viewer: { files: pictures, at, against: null } })}
            >
              <img src={client.thumbnailUrl(file.id, 128)} alt="" loading="lazy" />
            </button>
          ))}
        </div>
      ) : null}
    </article>
  );
}

function Facts({ run }: { run: RunMessage }): ReactNode {
  const starts = useServer(({ queue }) => queue.waiting.find((one) => one.run === run.id)?.starts_in ?? null);
  const parts = [t(`status.${run.status}`)];
  if (run.status === "queued" && starts) parts.push(t("queue.starts", { time: duration(starts) }));
  if (run.attempt > 1) parts.push(t("queue.attempt", { number: run.attempt }));
  if (run.seconds !== null) parts.push(duration(run.seconds));
  if (run.ended) parts.push(moment(run.ended));
  return <p className="facts-line number">{parts.join(" · ")}</p>;
}

/** Moved by hand, ten times a second, without React. */
function Bar({ run }: { run: string }): ReactNode {
  const { server } = useEditor();
  const bar = useRef<HTMLElement>(null);
  const text = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const show = () => {
      const ahead = server.getState().progress[run];
      if (bar.current) bar.current.style.transform = `scaleX(${ahead?.part ?? 0})`;
      if (text.current)
        text.current.textContent = ahead?.left ? t("run.left", { time: duration(Math.ceil(ahead.left)) }) : "";
    };
    show();
    return server.subscribe((now, before) => now.progress !== before.progress && show());
  }, [server, run]);
  return (
    <>
      <div className="bar">
        <i ref={bar} />
      </div>
      <p ref={text} className="facts-line number" />
    </>
  );
}

function partsFor(editor: ReturnType<typeof useEditor>, run: RunMessage, move?: (by: number) => void): MenuPart[] {
  const { client, feed, shell, workspace } = editor;
  const act = (id: string, key: Parameters<typeof t>[0], work: () => Promise<unknown>, bad = false) => ({
    id,
    label: t(key),
    bad,
    run: () => void attempt(editor, work),
  });
  const parts: MenuPart[] = [];
  const grid = gridOf(run);
  if (grid) parts.push({ id: "grid", label: t("batch.show"), run: () => shell.setState({ grid: grid.id }) });
  parts.push(
    act("open", "queue.open", async () => {
      const { document } = await client.runGraph(run.id);
      if (document) workspace.openNew(readDocument((await client.open(document)).document));
    }),
  );
  if (move) {
    parts.push(
      "line",
      act("front", "queue.front", () => client.move(run.id, "front").then(() => feed.refreshQueue())),
      { id: "up", label: t("queue.up"), run: () => move(-1) },
      { id: "down", label: t("queue.down"), run: () => move(1) },
    );
  }
  parts.push("line");
  if (isOver(run.status)) {
    parts.push(
      act("retry", "queue.retry", async () => feed.begun(await client.retry(run.id))),
      act("remove", "queue.remove", () => client.removeRun(run.id).then(() => feed.refreshRuns()), true),
    );
  } else {
    parts.push(act("cancel", "queue.cancel", () => client.cancel(run.id), true));
    if (run.status === "running") parts.push(act("kill", "queue.kill", () => client.cancel(run.id, true), true));
  }
  return parts;
}
