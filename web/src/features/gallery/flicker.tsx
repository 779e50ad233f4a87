import { Pause, Play } from "lucide-react";
import { type ReactNode, useEffect, useId, useState } from "react";
import { IconButton } from "../../ui/button";
import { wantsLessMotion } from "../../ui/motion";
import { t } from "../../ui/text";
import { Pane } from "./closer";
import type { Compared } from "./compare";

/** Changes a second. Five are two and a half flashes: more than three can bring on a seizure (WCAG 2.3.1). */
const RATES = { min: 0.5, max: 5, step: 0.5, usual: 1 };

interface Props {
  pictures: readonly [Compared, Compared];
  at: 0 | 1;
  show: (at: 0 | 1) => void;
}

/** One picture in the place of the other, and back: when it is pressed, and by itself. */
export function Flicker({ pictures, at, show }: Props): ReactNode {
  const label = useId();
  const [playing, setPlaying] = useState(() => !wantsLessMotion());
  const [rate, setRate] = useState(RATES.usual);
  const other = at === 0 ? 1 : 0;
  useEffect(() => {
    if (!playing) return;
    const timer = setTimeout(() => show(other), 1000 / rate);
    return () => clearTimeout(timer);
  }, [playing, rate, other, show]);
  return (
    <>
      <button
        type="button"
        className="compare flicker"
        aria-label={t("gallery.flip")}
        aria-describedby={label}
        aria-keyshortcuts="X"
        title={`${t("gallery.flip")} (X)`}
        onClick={() => show(other)}
      >
        {pictures.map(({ src }, index) => (
          <Pane key={index} src={src} shown={index === at} />
        ))}
      </button>
      <div className="over-picture flicker-bar">
        {/* Said when a person changes it; once a second by itself nobody could listen to it. */}
        <p id={label} className="cut number" aria-live={playing ? "off" : "polite"}>
          {t("gallery.shown", { at: at + 1, name: pictures[at].name })}
        </p>
        <IconButton label={t(playing ? "gallery.pause" : "gallery.play")} onClick={() => setPlaying(!playing)}>
          {playing ? <Pause size={16} /> : <Play size={16} />}
        </IconButton>
        <input
          type="range"
          min={RATES.min}
          max={RATES.max}
          step={RATES.step}
          value={rate}
          aria-label={t("gallery.rate")}
          title={t("gallery.rate")}
          onChange={(event) => setRate(Number(event.currentTarget.value))}
        />
        <span className="number quiet" aria-hidden="true">
          {t("gallery.a-second", { rate })}
        </span>
      </div>
    </>
  );
}
