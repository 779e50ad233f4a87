import { Columns2, SquareSplitHorizontal } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";

/** Two pictures: on one place, with an edge that uncovers one or the other; or beside each other. */
export function Compare({ one, other }: { one: string; other: string }): ReactNode {
  const [beside, setBeside] = useState(false);
  return (
    <>
      {beside ? (
        <div className="beside">
          <img src={one} alt={t("gallery.this")} />
          <img src={other} alt={t("gallery.that")} />
        </div>
      ) : (
        <Slider one={one} other={other} />
      )}
      <div className="compare-modes" role="toolbar" aria-label={t("gallery.compare")}>
        <IconButton label={t("gallery.over")} aria-pressed={!beside} onClick={() => setBeside(false)}>
          <SquareSplitHorizontal size={16} />
        </IconButton>
        <IconButton label={t("gallery.beside")} aria-pressed={beside} onClick={() => setBeside(true)}>
          <Columns2 size={16} />
        </IconButton>
      </div>
    </>
  );
}

/** An edge that is dragged, or moved with the arrows. */
function Slider({ one, other }: { one: string; other: string }): ReactNode {
  const above = useRef<HTMLImageElement>(null);
  const edge = useRef<HTMLDivElement>(null);
  const show = (percent: number) => {
    if (above.current) above.current.style.clipPath = `inset(0 0 0 ${percent}%)`;
    if (edge.current) edge.current.style.left = `${percent}%`;
  };
  return (
    <div className="compare">
      <img src={one} alt="" />
      <img ref={above} src={other} alt="" style={{ clipPath: "inset(0 0 0 50%)" }} />
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
