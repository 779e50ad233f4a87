/** The bar: menu, open workflows, how far the run is, problems, Run, queue. */
import { ListOrdered, PanelRight } from "lucide-react";
import type { ReactNode } from "react";
import { useActive, useEditor, useServer, useShell } from "../../app/context";
import icon from "../../app/icon.svg";
import { IconButton } from "../../ui/button";
import { Menu, type MenuPart } from "../../ui/menu";
import { t } from "../../ui/text";
import { useCommands } from "../use_commands";
import { ErrorList } from "./error_list";
import { Keeping } from "./keeping";
import { RunButton } from "./run_button";
import { RunProgress } from "./run_progress";
import { Tabs } from "./tabs";
import "./top_bar.css";

export function TopBar(): ReactNode {
  const open = useActive();
  return (
    <header className="top">
      <MainMenu />
      <Tabs />
      {open ? <Keeping open={open} /> : null}
      <RunProgress />
      {open ? <ErrorList open={open} /> : null}
      <RunButton disabled={!open} />
      <PanelButtons />
    </header>
  );
}

function MainMenu(): ReactNode {
  const { entry, brought } = useCommands();
  const parts = (): MenuPart[] => [
    entry("file.new"),
    entry("file.open"),
    entry("file.open-file"),
    "line",
    entry("file.save"),
    entry("file.save-as"),
    entry("file.versions"),
    entry("file.export"),
    entry("file.copy-link"),
    entry("file.copy-curl"),
    entry("file.copy-python"),
    "line",
    entry("edit.undo"),
    entry("edit.redo"),
    ...(brought.length ? (["line", { title: t("group.pack") }] as MenuPart[]) : []),
    ...brought.map(({ id }) => entry(id)),
    "line",
    entry("app.commands"),
    entry("app.theme"),
    entry("app.settings"),
    entry("app.help"),
    entry("app.about"),
  ];
  return (
    <Menu parts={parts}>
      <button type="button" className="button icon logo" aria-label={t("menu")} title={t("menu")}>
        <img src={icon} alt="" />
      </button>
    </Menu>
  );
}

function PanelButtons(): ReactNode {
  const { shell } = useEditor();
  const right = useShell((state) => state.right);
  const waiting = useServer(
    ({ runs }) => runs.filter(({ status }) => status === "queued" || status === "running").length,
  );
  const { label, keys } = useCommands();
  const toggle = (panel: "queue" | "inspector") => shell.setState({ right: right === panel ? null : panel });
  return (
    <div className="row">
      <IconButton
        label={label("view.inspector")}
        keys={keys("view.inspector")}
        aria-pressed={right === "inspector"}
        onClick={() => toggle("inspector")}
      >
        <PanelRight size={18} />
      </IconButton>
      <button
        type="button"
        className="button icon queue-button"
        aria-pressed={right === "queue"}
        title={`${label("view.queue")} (${keys("view.queue")})`}
        onClick={() => toggle("queue")}
      >
        <ListOrdered size={18} />
        <span className="hidden-text">{label("view.queue")}</span>
        {waiting ? <span className="badge accent">{waiting}</span> : null}
      </button>
    </div>
  );
}
