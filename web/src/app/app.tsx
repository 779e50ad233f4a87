/** The shell: bar, banners, panels around the canvas, and whatever is open above it. */
import { lazy, type ReactNode, Suspense, useEffect } from "react";
import { AddPalette } from "../features/add/add_palette";
import { Banners } from "../features/banners/banners";
import { ContextMenu } from "../features/menu/context_menu";
import { Notices } from "../features/notices/notices";
import { Rail } from "../features/rail/rail";
import { TopBar } from "../features/topbar/top_bar";
import { Workbench } from "../features/workbench/workbench";
import "./app.css";
import { useActive, useShell } from "./context";
import type { Panel } from "./editor";
import { useDrop } from "./use_drop";
import { useKeys } from "./use_keys";

const PANELS: Record<Panel, React.LazyExoticComponent<() => ReactNode>> = {
  library: lazy(() => import("../features/library/library")),
  workflows: lazy(() => import("../features/workflows/workflows")),
  gallery: lazy(() => import("../features/gallery/gallery")),
  outline: lazy(() => import("../features/outline/outline")),
  inspector: lazy(() => import("../features/inspector/inspector")),
  queue: lazy(() => import("../features/queue/queue")),
};

const commands = () => import("../features/commands/command_palette");

const DIALOGS = {
  commands: lazy(commands),
  settings: lazy(() => import("../features/settings/settings_dialog")),
  help: lazy(() => import("../features/settings/help_dialog")),
  batch: lazy(() => import("../features/batch/batch_dialog")),
  versions: lazy(() => import("../features/versions/versions_dialog")),
  about: lazy(() => import("../features/about/about_dialog")),
  save: lazy(() => import("../features/versions/save_dialog")),
} as const;

const PackPanel = lazy(() => import("../features/packs/pack_panel"));
const Grid = lazy(() => import("../features/batch/grid_dialog"));
const Viewer = lazy(() => import("../features/gallery/viewer"));

export function App(): ReactNode {
  useKeys();
  useDrop();
  // One types into it as soon as it is asked for: it is there before that.
  useEffect(() => void commands(), []);
  return (
    <div className="shell">
      <TopBar />
      <Banners />
      <div className="middle">
        <Rail />
        <Side side="left" />
        <Workbench />
        <Side side="right" />
      </div>
      <Above />
      <Notices />
    </div>
  );
}

function Side({ side }: { side: "left" | "right" }): ReactNode {
  const panel = useShell((shell) => shell[side]);
  if (!panel) return null;
  const Part = PANELS[panel as Panel];
  return (
    <Suspense fallback={<aside className={`side ${side}`} />}>
      {Part ? <Part /> : <PackPanel key={panel} side={side} name={panel.replace(/^pack:/, "")} />}
    </Suspense>
  );
}

function Above(): ReactNode {
  const open = useActive();
  const dialog = useShell((shell) => shell.dialog);
  const viewer = useShell((shell) => shell.viewer);
  const grid = useShell((shell) => shell.grid);
  const Opened = dialog ? DIALOGS[dialog] : null;
  return (
    <>
      {open ? <ContextMenu key={`menu ${open.id}`} open={open} /> : null}
      {open ? <AddPalette key={`add ${open.id}`} open={open} /> : null}
      <Suspense fallback={null}>
        {Opened && open ? <Opened /> : null}
        {grid ? <Grid /> : null}
        {viewer ? <Viewer /> : null}
      </Suspense>
    </>
  );
}
