/** The canvas of the document in front, and what lies over it. */
import { type ReactNode, useMemo } from "react";
import { addNode } from "../../app/adding";
import { useActive, useDocument, useEditor, useShell, useView } from "../../app/context";
import type { Editor } from "../../app/editor";
import type { OpenDocument } from "../../app/open_document";
import { Canvas, type NodeServices } from "../../canvas";
import { findBoard } from "../../core/document";
import { Button } from "../../ui/button";
import { t } from "../../ui/text";
import type { WidgetServices } from "../../widgets";
import { useCommands } from "../use_commands";
import { Crumbs } from "./crumbs";
import { widgetServices } from "./widget_services";
import "./workbench.css";
import { ZoomBar } from "./zoom_bar";

export function Workbench(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const dropping = useShell((shell) => shell.dropping);
  const widgets = useMemo<WidgetServices>(() => widgetServices(editor), [editor]);
  const nodes = useMemo<NodeServices>(() => nodeServices(editor, open), [editor, open]);
  return (
    <main className="stage">
      {open ? (
        <>
          <Canvas
            key={open.id}
            document={open.document}
            view={open.view}
            run={open.run}
            server={editor.server}
            problems={open.problems}
            widgets={widgets}
            nodes={nodes}
          />
          <div className="over">
            <Crumbs open={open} />
          </div>
          <Nothing open={open} />
          <ZoomBar open={open} />
        </>
      ) : null}
      {dropping ? <div className="drop-here">{t("drop.here")}</div> : null}
    </main>
  );
}

function nodeServices(editor: Editor, open: OpenDocument | null): NodeServices {
  return {
    addNode: (kind, at, gesture) => (open ? addNode(editor, open, kind, at, gesture) : null),
    thumbnailUrl: (file, side) => editor.client.thumbnailUrl(file, side),
    openFile: (file) => {
      const { outputs } = editor.server.getState();
      const at = outputs.findIndex(({ id }) => id === file.id);
      editor.shell.setState({
        viewer: at < 0 ? { files: [file], at: 0, against: null } : { files: outputs, at, against: null },
      });
    },
  };
}

/** What to do on a canvas with nothing on it. */
function Nothing({ open }: { open: OpenDocument }): ReactNode {
  const { shell } = useEditor();
  const { run } = useCommands();
  const path = useView(open, (view) => view.path);
  const empty = useDocument(open, (document) => {
    const board = findBoard(document, path);
    return board !== null && Object.keys(board.steps).length === 0 && Object.keys(board.notes).length === 0;
  });
  if (!empty) return null;
  return (
    <div className="nothing">
      <h2>{t("empty.title")}</h2>
      <p className="quiet">{t("empty.hint")}</p>
      <div className="row">
        <Button kind="main" onClick={() => run("node.add")}>
          {t("empty.add")}
        </Button>
        <Button onClick={() => shell.setState({ left: "workflows" })}>{t("empty.template")}</Button>
      </div>
    </div>
  );
}
