/** A pack's own widget: its module is imported when it is first seen, and what it throws stays on its node. */

import { useEffect, useRef, useState } from "react";
import type { Json } from "../core/types";
import { t } from "../ui/text";
import { checkModule, type Model } from "./foreign_contract";
import { newGesture, useWidgetServices, type WidgetProps } from "./props";

export function ForeignWidgetHost({ def, value, set, label }: WidgetProps) {
  const services = useWidgetServices();
  const host = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  const link = useRef<Link | null>(null);
  const name = def.widget ?? "";
  const address = services.widgetModule(name);

  const latest = useRef({ set, def });
  useEffect(() => {
    latest.current = { set, def };
    link.current?.tell(value);
  });
  const first = useRef(value);

  useEffect(() => {
    const stop = new AbortController();
    const made = new Link(first.current, latest.current.def, (next, gesture) => latest.current.set(next, gesture));
    link.current = made;
    setProblem("");
    if (host.current)
      mount(host.current, address, name, made, stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
      });
    return () => {
      stop.abort();
      first.current = made.value;
      link.current = null;
    };
  }, [address, name]);

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out as a row.
    <div className="ll-foreign" role="group" aria-label={label} data-scrolls="">
      <div ref={host} />
      {problem && (
        <p className="ll-foreign-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** Between a module and the document. */
class Link {
  private readonly heard = new Set<(value: Json) => void>();
  private readonly gesture = newGesture("widget");

  constructor(
    public value: Json,
    private readonly def: WidgetProps["def"],
    private readonly write: (value: Json, gesture: string) => void,
  ) {}

  /** The document has this value now. */
  tell(value: Json): void {
    if (value === this.value) return;
    this.value = value;
    for (const listener of [...this.heard]) {
      try {
        listener(value);
      } catch (error) {
        console.error("A pack's widget failed to hear of a change.", error);
      }
    }
  }

  model(signal: AbortSignal): Model {
    return {
      get: () => structuredClone(this.value),
      set: (value) => {
        if (signal.aborted) return;
        this.value = structuredClone(value);
        this.write(this.value, this.gesture);
      },
      on: (_event, listener) => {
        this.heard.add(listener);
        return () => this.heard.delete(listener);
      },
      def: Object.freeze(structuredClone({ ...this.def }) as unknown as Record<string, Json>),
    };
  }
}

async function mount(host: HTMLElement, address: string, name: string, link: Link, signal: AbortSignal): Promise<void> {
  if (!address) throw new Error(t("widget.missing", { name }));
  const widget = checkModule(await import(/* @vite-ignore */ address), name);
  if (widget instanceof Error) throw widget;
  if (signal.aborted) return;
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const el = document.createElement("div");
  root.replaceChildren(el);
  signal.addEventListener("abort", () => el.remove());
  const cleanup = await widget.render({ model: link.model(signal), el, signal });
  if (typeof cleanup !== "function") return;
  if (signal.aborted) cleanup();
  else signal.addEventListener("abort", cleanup);
}
