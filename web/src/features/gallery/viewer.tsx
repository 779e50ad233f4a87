/** A picture as large as it goes, how it was made, and beside another one. */
import { ArrowLeft, ArrowRight, Download, GitCompareArrows, Workflow, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import type { FileMessage } from "../../api/wire";
import { useEditor, useServer, useShell } from "../../app/context";
import { attempt } from "../../app/editor";
import { type Said, saidIn } from "../../app/pictures";
import { readDocument } from "../../core/document";
import { Button, IconButton } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { duration, moment, size, t } from "../../ui/text";
import { Closer, Pane } from "./closer";
import { Compare } from "./compare";
import "./gallery.css";

export default function Viewer(): ReactNode {
  const { shell, client } = useEditor();
  const viewer = useShell((state) => state.viewer);
  const [picking, setPicking] = useState(false);
  if (!viewer) return null;
  const { files, at, against } = viewer;
  const file = files[at];
  if (!file) return null;
  const seen = ({ id, name }: { id: string; name: string }) => ({ src: client.fileUrl(id), name });
  const other = files.find(({ id }) => id === against);
  const close = () => shell.setState({ viewer: null });
  const turn = (by: number) => shell.setState({ viewer: { ...viewer, at: (at + by + files.length) % files.length } });
  const choose = (index: number) => {
    const id = files[index]?.id ?? null;
    // The picture that is compared with becomes the one that is looked at: they change places.
    const other = id === against ? file.id : against;
    shell.setState({ viewer: picking ? { ...viewer, against: id } : { ...viewer, at: index, against: other } });
    setPicking(false);
  };
  const compare = () => {
    if (against) shell.setState({ viewer: { ...viewer, against: null } });
    else if (files.length === 2) shell.setState({ viewer: { ...viewer, against: files[1 - at]?.id ?? null } });
    else setPicking(!picking);
  };
  const comparing = t(against ? "gallery.stop" : "gallery.compare");
  return (
    <Dialog title={file.name} close={close} size="full" bare>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrows turn pages wherever the focus is; there are buttons too. */}
      <div
        className="viewer"
        onKeyDown={(event) => {
          if (event.target instanceof HTMLInputElement) return;
          if (event.key === "ArrowRight") turn(1);
          if (event.key === "ArrowLeft") turn(-1);
        }}
      >
        <div className="look">
          <Closer key={`${file.id} ${against}`}>
            {other ? (
              <Compare one={seen(file)} other={seen(other)} />
            ) : (
              <Pane src={client.fileUrl(file.id)} alt={file.name} />
            )}
          </Closer>
          {files.length > 1 && !against ? (
            <>
              <IconButton className="turn back" label={t("gallery.previous")} onClick={() => turn(-1)}>
                <ArrowLeft size={16} />
              </IconButton>
              <IconButton className="turn on" label={t("gallery.next")} onClick={() => turn(1)}>
                <ArrowRight size={16} />
              </IconButton>
            </>
          ) : null}
          {picking ? <p className="empty">{t("gallery.pick")}</p> : null}
          {files.length > 1 ? (
            <div className="strip">
              {files.slice(0, 60).map((one, index) => (
                <button
                  key={one.id}
                  type="button"
                  className="picture"
                  aria-label={one.name}
                  aria-pressed={index === at || one.id === against}
                  onClick={() => choose(index)}
                >
                  <img src={client.thumbnailUrl(one.id, 128)} alt="" loading="lazy" />
                </button>
              ))}
            </div>
          ) : null}
        </div>
        <Facts file={file} close={close}>
          <Button
            aria-pressed={picking || against !== null}
            disabled={files.length < 2}
            title={comparing}
            onClick={compare}
          >
            <GitCompareArrows size={14} />
            <span>{comparing}</span>
          </Button>
        </Facts>
      </div>
    </Dialog>
  );
}

function Facts({ file, close, children }: { file: FileMessage; close: () => void; children: ReactNode }): ReactNode {
  const editor = useEditor();
  const run = useServer(({ runs }) => runs.find(({ id }) => id === file.run));
  const [said, setSaid] = useState<readonly Said[]>([]);
  useEffect(() => {
    let here = true;
    editor.client
      .openFile(file.id)
      .then(({ document }) => {
        if (here) setSaid(saidIn(readDocument(document), editor.server.getState().palette));
      })
      .catch(() => here && setSaid([]));
    return () => {
      here = false;
    };
  }, [editor, file.id]);
  const openIt = () =>
    attempt(editor, async () => {
      const { document } = await editor.client.openFile(file.id);
      editor.workspace.openNew(readDocument(document));
      close();
    });
  return (
    <div className="facts">
      <div className="head">
        <h2>{file.name}</h2>
        <IconButton label={t("close")} onClick={close}>
          <X size={16} />
        </IconButton>
      </div>
      <Button kind="main" onClick={() => void openIt()}>
        <Workflow size={14} />
        {t("gallery.open")}
      </Button>
      <div className="row">
        {children}
        <a className="button" href={editor.client.fileUrl(file.id)} download={file.name} title={t("gallery.download")}>
          <Download size={14} />
          <span>{t("gallery.download")}</span>
        </a>
      </div>
      <dl>
        {file.created ? (
          <>
            <dt>{t("meta.made")}</dt>
            <dd className="number">{moment(file.created)}</dd>
          </>
        ) : null}
        {file.bytes ? (
          <>
            <dt>{t("meta.size")}</dt>
            <dd className="number">{size(file.bytes)}</dd>
          </>
        ) : null}
        {run?.seconds ? (
          <>
            <dt>{t("meta.time")}</dt>
            <dd className="number">{duration(run.seconds)}</dd>
          </>
        ) : null}
        {said
          .filter(({ long }) => !long)
          .map((one) => (
            <Fact key={`${one.of} ${one.knob}`} said={one} />
          ))}
      </dl>
      {said
        .filter(({ long }) => long)
        .map((one) => (
          <div key={`${one.of} ${one.knob}`}>
            <h3>{one.of}</h3>
            <p className="said">{one.value}</p>
          </div>
        ))}
    </div>
  );
}

function Fact({ said }: { said: Said }): ReactNode {
  return (
    <>
      <dt>{said.knob}</dt>
      <dd className="number" title={said.of}>
        {said.value}
      </dd>
    </>
  );
}
