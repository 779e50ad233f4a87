import { Columns2, GalleryHorizontalEnd, SquareSplitHorizontal } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { Pane } from "./closer";
import { Flicker } from "./flicker";

export interface Compared {
  src: string;
  name: string;
}

const MODES = [
  { mode: "over", label: "gallery.over", Icon: SquareSplitHorizontal },
  { mode: "beside", label: "gallery.beside", Icon: Columns2 },
  { mode: "flicker", label: "gallery.flicker", Icon: GalleryHorizontalEnd },
] as const;

/** Two pictures: on one place, with an edge that uncovers one or the other; beside each other; or by turns. */
export function Compare({ one, other }: { one: Compared; other: Compared }): ReactNode {
  const [mode, setMode] = useState<(typeof MODES)[number]["mode"]>("over");
  const [at, show] = useState<0 | 1>(0);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a key wherever the focus is in it; the picture itself is a button.
    <div
      className="comparing"
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "x") return;
        if (mode === "flicker") show(at === 0 ? 1 : 0);
      }}
    >
      {mode === "over" ? <Slider one={one.src} other={other.src} /> : null}
      {mode === "beside" ? (
        <div className="beside">
          <Pane src={one.src} alt={t("gallery.this")} />
          <Pane src={other.src} alt={t("gallery.that")} />
        </div>
      ) : null}
      {mode === "flicker" ? <Flicker pictures={[one, other]} at={at} show={show} /> : null}
      <div className="over-picture compare-modes" role="toolbar" aria-label={t("gallery.compare")}>
        {MODES.map(({ mode: each, label, Icon }) => (
          <IconButton key={each} label={t(label)} aria-pressed={mode === each} onClick={() => setMode(each)}>
            <Icon size={16} />
          </IconButton>
        ))}
      </div>
    </div>
  );
}

/** An edge that is dragged, or moved with the arrows. */
function Slider({ one, other }: { one: string; other: string }): ReactNode {
  const above = useRef<HTMLDivElement>(null);
  const edge = useRef<HTMLDivElement>(null);
  const show = (percent: number) => {
    if (above.current) above.current.style.clipPath = `inset(0 0 0 ${percent}%)`;
    if (edge.current) edge.current.style.left = `${percent}%`;
  };
  return (
    <div className="compare">
      <Pane src={one} />
      <div ref={above} className="above" style={{ clipPath: "inset(0 0 0 50%)" }}>
        <Pane src={other} />
      </div>
      <div ref={edge} className="edge" />
      <input
        type="range"
        min={0}
        max={100}
        step={0.5}
        defaultValue={50}
        aria-label={t("gallery.slider")}
        onInput={(event) => show(Number(event.currentTarget.value))}
      />
    </div>
  );
}
