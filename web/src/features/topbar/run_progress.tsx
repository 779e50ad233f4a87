/** How far the run is and how long it takes still. The bar is moved by hand: ten times a second, without React. */
import { Square } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { useEditor, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import { IconButton } from "../../ui/button";
import { duration, t } from "../../ui/text";

export function RunProgress(): ReactNode {
  const editor = useEditor();
  const run = useServer(({ runs }) => runs.find(({ status }) => status === "running")?.id ?? "");
  const bar = useRef<HTMLElement>(null);
  const text = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!run) return;
    const show = () => {
      const ahead = editor.server.getState().progress[run];
      const part = ahead?.part ?? 0;
      if (bar.current) bar.current.style.transform = `scaleX(${part})`;
      const percent = t("run.running", { percent: Math.round(part * 100) });
      const left = ahead?.left ? ` · ${t("run.left", { time: duration(Math.ceil(ahead.left)) })}` : "";
      if (text.current) text.current.textContent = percent + left;
      bar.current?.parentElement?.setAttribute("aria-valuenow", String(Math.round(part * 100)));
    };
    show();
    return editor.server.subscribe((now, before) => now.progress !== before.progress && show());
  }, [editor, run]);
  if (!run) return null;
  return (
    <div className="progress">
      <span ref={text} className="number" />
      <div className="bar" role="progressbar" aria-label={t("status.running")} aria-valuemin={0} aria-valuemax={100}>
        <i ref={bar} />
      </div>
      <IconButton tiny label={t("run.cancel")} onClick={() => void attempt(editor, () => editor.client.cancel(run))}>
        <Square size={12} fill="currentColor" />
      </IconButton>
    </div>
  );
}
