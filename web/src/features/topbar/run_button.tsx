import { ChevronDown, Play } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "../../ui/button";
import { Menu, type MenuPart } from "../../ui/menu";
import { t } from "../../ui/text";
import { useCommands } from "../use_commands";

/** Run all; under the arrow the other ways. */
export function RunButton({ disabled }: { disabled: boolean }): ReactNode {
  const { entry, label, keys, run } = useCommands();
  const parts = (): MenuPart[] => [
    entry("run.all"),
    entry("run.selected"),
    entry("run.front"),
    entry("run.batch"),
    "line",
    entry("run.cancel", { bad: true }),
    entry("run.empty"),
    entry("run.pause"),
    entry("run.resume"),
  ];
  return (
    <div className="run-split">
      <Button kind="main" disabled={disabled} title={keys("run.all")} onClick={() => run("run.all")}>
        <Play size={14} fill="currentColor" />
        {label("run.all")}
      </Button>
      <Menu parts={parts} align="end">
        <Button kind="main" disabled={disabled} aria-label={t("run.more")} title={t("run.more")}>
          <ChevronDown size={14} />
        </Button>
      </Menu>
    </div>
  );
}
