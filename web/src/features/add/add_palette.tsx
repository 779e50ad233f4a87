/** Search to add: opened on the canvas, by a wire that ends in empty space, or to replace nodes. */
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { answer } from "../../app/adding";
import { useDocument, useEditor, useServer, useSettings, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import type { PaletteRequest } from "../../app/stores";
import { socketStyle } from "../../canvas";
import { replacePlan } from "../../core/commands";
import { type NodeHit, searchNodes } from "../../core/search";
import { Marked, Picker } from "../../ui/picker";
import { t } from "../../ui/text";
import "./add_palette.css";

type Hit = NodeHit & { id: string };

export function AddPalette({ open }: { open: OpenDocument }): ReactNode {
  const request = useView(open, (view) => view.palette);
  return request ? <Opened open={open} request={request} /> : null;
}

function Opened({ open, request }: { open: OpenDocument; request: PaletteRequest }): ReactNode {
  const editor = useEditor();
  const ref = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState("");
  const palette = useServer((server) => server.palette);
  const used = useSettings((settings) => settings.used);
  const document = useDocument(open, (state) => state);
  const path = useView(open, (view) => view.path);
  const { from, replace } = request;

  const hits = useMemo<Hit[]>(() => {
    const wire = from ? (from.side === "output" ? { from: from.type } : { to: from.type }) : undefined;
    const uses = new Map(Object.entries(used));
    const found = searchNodes(document, path, palette, query, { uses, most: 100, ...(wire ? { wire } : {}) });
    return found.map((hit) => ({ ...hit, id: hit.kind }));
  }, [document, path, palette, query, used, from]);

  const close = () => {
    open.view.setState({ palette: null });
    window.document.querySelector<HTMLElement>(".ll-canvas")?.focus();
  };
  useEffect(() => {
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && !ref.current?.contains(event.target)) open.view.setState({ palette: null });
    };
    window.addEventListener("pointerdown", outside, true);
    return () => window.removeEventListener("pointerdown", outside, true);
  }, [open]);

  const label = replace ? t("add.replace") : from ? t("add.for", { type: from.type }) : t("add.title");
  const loses = (kind: string): string => {
    const plans = (replace ?? []).map((step) => replacePlan(document, path, step, kind, palette));
    return [...new Set(plans.flatMap((plan) => plan?.lost.map(({ name }) => name) ?? []))].join(", ");
  };
  return (
    <div ref={ref} className="add-palette" role="dialog" aria-label={label} style={placed(request)}>
      <Picker
        label={label}
        placeholder={from || replace ? label : t("add.search")}
        query={query}
        setQuery={setQuery}
        items={hits}
        none={t("library.none")}
        close={close}
        pick={(hit) => {
          close();
          answer(editor, open, request, hit.kind, hit.socket);
        }}
        show={({ shape, ranges }) => (
          <>
            <i className="swatch" style={{ background: socketStyle(shape.outputs[0]?.type ?? "ANY", palette).color }} />
            <span className="cut">
              <Marked text={shape.title} ranges={ranges} />
            </span>
            {shape.deprecated ? <span className="badge warn">{t("add.deprecated")}</span> : null}
            {shape.experimental ? <span className="badge">{t("add.experimental")}</span> : null}
            <span className="where cut">{shape.category}</span>
          </>
        )}
        about={({ shape, kind }) => {
          const lost = replace ? loses(kind) : "";
          return (
            <>
              {shape.help.split("\n\n")[0] || shape.title}
              {lost ? <span className="badge warn">{t("add.loses", { what: lost })}</span> : null}
            </>
          );
        }}
      />
    </div>
  );
}

const WIDTH = 440;
const HEIGHT = 480;

/** Beside the pointer, but inside the page; in the middle if it was not a pointer that asked. */
function placed({ screen }: PaletteRequest): { left: number; top: number } {
  const [x, y] = screen ?? [(innerWidth - WIDTH) / 2, innerHeight * 0.16];
  return {
    left: Math.max(8, Math.min(x, innerWidth - WIDTH - 8)),
    top: Math.max(8, Math.min(y, innerHeight - HEIGHT - 8)),
  };
}
