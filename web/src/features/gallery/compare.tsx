import { type ReactNode, useRef } from "react";
import { t } from "../../ui/text";

/** Two pictures on one place; an edge that is dragged, or moved with the arrows, uncovers one or the other. */
export function Compare({ one, other }: { one: string; other: string }): ReactNode {
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
