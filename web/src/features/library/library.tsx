/** All nodes by category, to be dragged onto the canvas or added with Enter. */
import { ChevronRight, Search } from "lucide-react";
import { type DragEvent, type ReactNode, useMemo, useState } from "react";
import { addNode } from "../../app/adding";
import { useActive, useEditor, useServer } from "../../app/context";
import { socketStyle } from "../../canvas";
import { emptyDocument } from "../../core/document";
import { searchNodes } from "../../core/search";
import type { Palette, Shape } from "../../core/types";
import { Marked } from "../../ui/picker";
import { t } from "../../ui/text";
import { DRAGGED } from "../dragged";
import { Side } from "../side";
import "./library.css";

const NONE = emptyDocument();

interface Entry {
  kind: string;
  shape: Shape;
  ranges: [number, number][];
}

export default function Library(): ReactNode {
  const palette = useServer((server) => server.palette);
  const [query, setQuery] = useState("");
  const groups = useMemo(() => byCategory(palette, query), [palette, query]);
  return (
    <Side side="left" title={t("library.title")} className="library">
      <div className="tools">
        <label className="search spring">
          <Search size={14} />
          <input
            className="field"
            type="search"
            aria-label={t("library.search")}
            placeholder={t("library.search")}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
      </div>
      <div className="scroll">
        {groups.length ? (
          groups.map(([category, entries]) => (
            <details key={`${category}${query ? " found" : ""}`} open>
              <summary>
                <ChevronRight size={14} />
                {category}
                <span className="count number">{entries.length}</span>
              </summary>
              {entries.map((one) => (
                <Row key={one.kind} entry={one} palette={palette} />
              ))}
            </details>
          ))
        ) : (
          <p className="empty">{t("library.none")}</p>
        )}
      </div>
    </Side>
  );
}

function Row({ entry, palette }: { entry: Entry; palette: Palette }): ReactNode {
  const editor = useEditor();
  const open = useActive();
  const { kind, shape, ranges } = entry;
  const add = () => {
    if (!open || open.view.getState().readOnly) return;
    const [x, y] = open.view.getState().canvas?.center() ?? [0, 0];
    addNode(editor, open, kind, [x - 132, y - 40]);
  };
  const drag = (event: DragEvent) => {
    event.dataTransfer.setData(DRAGGED, kind);
    event.dataTransfer.effectAllowed = "copy";
    open?.view.setState({ carried: kind });
  };
  const dropped = () => open?.view.setState({ carried: null });
  return (
    <button
      type="button"
      className="entry"
      draggable
      title={shape.help || shape.title}
      onDragStart={drag}
      onDragEnd={dropped}
      onClick={add}
    >
      <i className="swatch" style={{ background: socketStyle(shape.outputs[0]?.type ?? "ANY", palette).color }} />
      <span className="cut">
        <Marked text={shape.title} ranges={ranges} />
      </span>
    </button>
  );
}

function byCategory(palette: Palette, query: string): [string, Entry[]][] {
  const groups = new Map<string, Entry[]>();
  for (const { kind, shape, ranges } of searchNodes(NONE, [], palette, query, { most: 1000 })) {
    const known = groups.get(shape.category);
    const entry = { kind, shape, ranges };
    if (known) known.push(entry);
    else groups.set(shape.category, [entry]);
  }
  return [...groups];
}
