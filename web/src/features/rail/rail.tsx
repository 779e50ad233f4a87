/** The panels on the left, one button each; settings and help below. */
import { FolderOpen, Images, Keyboard, ListTree, Puzzle, Settings2, Shapes } from "lucide-react";
import type { ReactNode } from "react";
import { useActive, useBrought, useEditor, useShell } from "../../app/context";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { useCommands } from "../use_commands";
import "./rail.css";

const PANELS = [
  ["library", Shapes],
  ["workflows", FolderOpen],
  ["gallery", Images],
  ["outline", ListTree],
] as const;

export function Rail(): ReactNode {
  const left = useShell((shell) => shell.left);
  const editor = useEditor();
  const brought = useBrought(({ panels }) => panels);
  const open = useActive();
  const { label, keys, run } = useCommands();
  return (
    <nav className="rail" aria-label={t("rail.title")}>
      {PANELS.map(([panel, Icon]) => (
        <IconButton
          key={panel}
          label={label(`view.${panel}`)}
          keys={keys(`view.${panel}`)}
          aria-pressed={left === panel}
          onClick={() => editor.shell.setState({ left: left === panel ? null : panel })}
        >
          <Icon size={18} />
        </IconButton>
      ))}
      {brought
        .filter(({ given }) => given.side !== "right")
        .map(({ name, given }) => (
          <IconButton
            key={name}
            label={given.label}
            aria-pressed={left === `pack:${name}`}
            onClick={() => editor.shell.setState({ left: left === `pack:${name}` ? null : `pack:${name}` })}
          >
            <Puzzle size={18} />
          </IconButton>
        ))}
      <span className="spring" />
      <IconButton label={label("app.help")} keys={keys("app.help")} disabled={!open} onClick={() => run("app.help")}>
        <Keyboard size={18} />
      </IconButton>
      <IconButton
        label={label("app.settings")}
        keys={keys("app.settings")}
        disabled={!open}
        onClick={() => run("app.settings")}
      >
        <Settings2 size={18} />
      </IconButton>
    </nav>
  );
}
