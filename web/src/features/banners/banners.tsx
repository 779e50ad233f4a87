/** What a person has to know: the server is away, somebody else changed this document, nothing can run. */
import { CircleAlert, CloudOff, LoaderCircle, PauseCircle, Users } from "lucide-react";
import type { ReactNode } from "react";
import { useActive, useEditor, useFile, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import type { OpenDocument } from "../../app/open_document";
import { Button } from "../../ui/button";
import { t } from "../../ui/text";
import { MissingFiles } from "./missing_files";
import "./banners.css";

export function Banners(): ReactNode {
  const open = useActive();
  return (
    <div role="status">
      <Connection />
      {open ? <Conflict open={open} /> : null}
      <Workers />
      {open ? <MissingFiles open={open} /> : null}
    </div>
  );
}

function Connection(): ReactNode {
  const { feed } = useEditor();
  const connection = useServer((server) => server.connection);
  if (connection === "refused") {
    return (
      <div className="banner">
        <CircleAlert size={16} />
        <p>{t("banner.refused")}</p>
      </div>
    );
  }
  if (connection !== "lost") return null;
  return (
    <div className="banner">
      <CloudOff size={16} />
      <p>{t("banner.lost")}</p>
      <Button onClick={feed.reconnect}>{t("banner.retry")}</Button>
    </div>
  );
}

function Conflict({ open }: { open: OpenDocument }): ReactNode {
  const editor = useEditor();
  const journal = useFile(open, (file) => file.journal);
  if (journal !== "conflict") return null;
  return (
    <div className="banner">
      <Users size={16} />
      <p>{t("banner.conflict")}</p>
      <Button onClick={() => void attempt(editor, () => editor.workspace.reload(open.id))}>{t("banner.reload")}</Button>
      <Button onClick={() => editor.workspace.copy(open.id)}>{t("banner.copy")}</Button>
    </div>
  );
}

/** Whether anything can run. Reasons are joined into one text, so that a component is drawn anew only when it changes. */
function Workers(): ReactNode {
  const editor = useEditor();
  const state = useServer((server) => {
    if (server.connection !== "live" || !server.workers.length) return "";
    if (server.workers.some((one) => one.state === "ready" || one.state === "running")) return "";
    return server.workers.some((one) => one.state === "starting") ? "starting" : "failed";
  });
  const what = useServer((server) => server.workers.flatMap((one) => one.problems.map((each) => each.what)).join(" "));
  const paused = useServer((server) => server.queue.paused.filter((one) => one !== "boot").join(", "));
  return (
    <>
      {state === "starting" ? (
        <div className="banner calm">
          <LoaderCircle size={16} />
          <p>{t("banner.starting")}</p>
        </div>
      ) : null}
      {state === "failed" ? (
        <div className="banner">
          <CircleAlert size={16} />
          <p>{t("banner.workers", { what })}</p>
        </div>
      ) : null}
      {paused ? (
        <div className="banner calm">
          <PauseCircle size={16} />
          <p>{t("banner.paused", { why: paused })}</p>
          <Button
            onClick={() =>
              void attempt(editor, async () => editor.server.setState({ queue: await editor.client.resume() }))
            }
          >
            {t("c.resume")}
          </Button>
        </div>
      ) : null}
    </>
  );
}
