/** The canvas of the document in front, and what lies over it. */
import { LayoutList } from "lucide-react";
import { lazy, type ReactNode, Suspense, useMemo } from "react";
import { addNode } from "../../app/adding";
import { useActive, useDocument, useEditor, useServer, useSettings, useShell, useView } from "../../app/context";
import type { Editor } from "../../app/editor";
import type { OpenDocument } from "../../app/open_document";
import { Canvas, type NodeServices } from "../../canvas";
import { findBoard } from "../../core/document";
import { formIn } from "../../core/form";
import { Button, IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import type { WidgetServices } from "../../widgets";
import { useCommands } from "../use_commands";
import { Crumbs } from "./crumbs";
import { widgetServices } from "./widget_services";
import "./workbench.css";
import { ZoomBar } from "./zoom_bar";

const FormView = lazy(() => import("../form/form_view"));

export function Workbench(): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const dropping = useShell((shell) => shell.dropping);
  // Made anew when another module may be shown, so that every widget looks again which it is.
  const packs = useServer((server) => server.packs);
  const off = useSettings(({ packWidgets, packsOff }) => `${packWidgets} ${packsOff.join(" ")}`);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it asks for these when it is asked.
  const widgets = useMemo<WidgetServices>(() => widgetServices(editor), [editor, packs, off]);
  const nodes = useMemo<NodeServices>(() => nodeServices(editor, open), [editor, open]);
  return (
    <main className="stage">
      {open ? <Front key={open.id} open={open} widgets={widgets} nodes={nodes} /> : null}
      {dropping ? <div className="drop-here">{t("drop.here")}</div> : null}
    </main>
  );
}

interface Shown {
  open: OpenDocument;
  widgets: WidgetServices;
  nodes: NodeServices;
}

/** The document in front: its canvas, or its form if it says so. */
function Front({ open, widgets, nodes }: Shown): ReactNode {
  const editor = useEditor();
  const form = useDocument(open, (document) => formIn(document).shown);
  const { label, keys, run } = useCommands();
  if (form) {
    return (
      <Suspense fallback={null}>
        <FormView open={open} widgets={widgets} />
      </Suspense>
    );
  }
  return (
    <>
      <Canvas
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
        <IconButton
          className="to-form"
          label={label("view.form")}
          keys={keys("view.form")}
          onClick={() => run("view.form")}
        >
          <LayoutList size={16} />
        </IconButton>
      </div>
      <Nothing open={open} />
      <ZoomBar open={open} />
    </>
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
