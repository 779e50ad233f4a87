import { Map as MapIcon, Maximize, Minus, Plus } from "lucide-react";
import type { ReactNode } from "react";
import { useSettings, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { useCommands } from "../use_commands";

export function ZoomBar({ open }: { open: OpenDocument }): ReactNode {
  const percent = useView(open, (view) => Math.round(view.viewport.zoom * 100));
  const minimap = useSettings((settings) => settings.minimap);
  const { label, keys, run } = useCommands();
  const name = (id: string) => ({ label: label(id), keys: keys(id), onClick: () => run(id) });
  return (
    <div className="zoom" role="toolbar" aria-label={t("zoom.title")}>
      <IconButton {...name("view.zoom-out")}>
        <Minus size={14} />
      </IconButton>
      <button
        type="button"
        className="percent number"
        title={label("view.zoom-100")}
        onClick={() => run("view.zoom-100")}
      >
        {percent} %
      </button>
      <IconButton {...name("view.zoom-in")}>
        <Plus size={14} />
      </IconButton>
      <IconButton {...name("view.fit")}>
        <Maximize size={14} />
      </IconButton>
      <IconButton {...name("view.minimap")} aria-pressed={minimap}>
        <MapIcon size={14} />
      </IconButton>
    </div>
  );
}
