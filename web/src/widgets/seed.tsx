/** A seed: the number shown is the number used. What happens to it after a run is written beside it. */

import { Dices, History, Lock, Plus, Shuffle } from "lucide-react";
import { t } from "../ui/text";
import { NumberWidget } from "./number";
import type { After, WidgetProps } from "./props";

const NEXT: Record<After, After> = { fixed: "random", random: "increment", increment: "fixed" };
/** A random seed within the knob's bounds, and never past what a number holds exactly. */
export function randomSeed(min: number | null, max: number | null, random: () => number = Math.random): number {
  const low = Math.max(0, min ?? 0);
  const high = Math.min(Number.MAX_SAFE_INTEGER, max ?? 2 ** 32 - 1);
  return low + Math.floor(random() * (high - low + 1));
}

export function SeedWidget(props: WidgetProps) {
  const { def, value, set, label, seed } = props;
  const after = seed?.after ?? "fixed";
  const last = seed?.lastUsed ?? null;
  const Icon = after === "fixed" ? Lock : after === "random" ? Shuffle : Plus;
  return (
    <span className="ll-seed">
      <NumberWidget {...props} />
      {last !== null && last !== value && (
        <button type="button" className="ll-icon" title={t("seed.use-last", { seed: last })} onClick={() => set(last)}>
          <History size={13} aria-hidden="true" />
          <span className="ll-hidden">{t("seed.use-last-label", { label, seed: last })}</span>
        </button>
      )}
      <button type="button" className="ll-icon" title={t("seed.new")} onClick={() => set(randomSeed(def.min, def.max))}>
        <Dices size={13} aria-hidden="true" />
        <span className="ll-hidden">{t("seed.new-label", { label })}</span>
      </button>
      {seed && (
        <button
          type="button"
          className={`ll-icon ll-after ll-after-${after}`}
          title={t(`seed.says-${after}`)}
          onClick={() => seed.setAfter(NEXT[after])}
        >
          <Icon size={12} aria-hidden="true" />
          <span aria-hidden="true">{t(`seed.${after}`)}</span>
          <span className="ll-hidden">{t("seed.change", { label, says: t(`seed.says-${after}`) })}</span>
        </button>
      )}
    </span>
  );
}
