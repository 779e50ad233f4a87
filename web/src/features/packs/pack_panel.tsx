/** A panel that a pack brings, in a shadow root of its own. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useBrought, useEditor } from "../../app/context";
import { t } from "../../ui/text";
import { Side } from "../side";
import "./packs.css";

export default function PackPanel({ side, name }: { side: "left" | "right"; name: string }): ReactNode {
  const { packs } = useEditor();
  const panel = useBrought(({ panels }) => panels.find((one) => one.name === name));
  const host = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    if (!panel || !host.current) return;
    const stop = new AbortController();
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
    const el = document.createElement("div");
    root.replaceChildren(el);
    setProblem("");
    const failed = (error: unknown) => {
      packs.wrong(panel.pack, error);
      setProblem(error instanceof Error ? error.message : String(error));
    };
    const tidy = (cleanup: unknown) => {
      if (typeof cleanup !== "function") return;
      try {
        cleanup();
      } catch (error) {
        packs.wrong(panel.pack, error);
      }
    };
    const shown = async () => panel.given.render({ el, signal: stop.signal });
    shown().then((cleanup) => {
      if (stop.signal.aborted) tidy(cleanup);
      else stop.signal.addEventListener("abort", () => tidy(cleanup));
    }, failed);
    return () => {
      stop.abort();
      el.remove();
    };
  }, [panel, packs]);

  return (
    <Side side={side} title={panel?.given.label ?? name} className="pack-panel">
      <div className="scroll">
        {panel ? null : <p className="empty">{t("pack.gone")}</p>}
        {problem ? (
          <p className="empty" role="alert">
            {t("pack.failed", { name: panel?.pack ?? name, what: problem })}
          </p>
        ) : null}
        <div ref={host} className="pack-host" />
      </div>
    </Side>
  );
}
