/**
 * What a pack's widget module must be, version 1: a plain ES module with
 *
 *     export default { api: 1, render({ model, el, signal }) { …; return cleanup } }
 *
 * It is the shape of anywidget's front-end module. The value lives in the document: a widget may be taken away at any
 * time and made again later. Optional: `paint(ctx, rect, value)` for the far view.
 */

import type { Json } from "../core/types";

export const API = 1;

export interface Model {
  get(): Json;
  set(value: Json): void;
  /** Hears of changes from elsewhere; returns what ends it. */
  on(event: "change", heard: (value: Json) => void): () => void;
  /** What the node says of the knob: bounds, choices, label. Frozen. */
  readonly def: Readonly<Record<string, Json>>;
}

export interface Rendering {
  model: Model;
  /** In a shadow root of its own; styles neither come in nor go out. */
  el: HTMLElement;
  /** Aborted when it is taken away. */
  signal: AbortSignal;
}

type Cleanup = () => void;

export interface ForeignWidget {
  api: number;
  render(rendering: Rendering): undefined | Cleanup | Promise<undefined | Cleanup>;
  paint?(
    ctx: CanvasRenderingContext2D,
    rect: { x: number; y: number; width: number; height: number },
    value: Json,
  ): void;
}

/** The widget in a module, or an Error that says what is wrong with it. */
export function checkModule(module: unknown, name: string): ForeignWidget | Error {
  const widget = (module as { default?: Partial<ForeignWidget> } | null)?.default;
  if (typeof widget !== "object" || widget === null || typeof widget.render !== "function") {
    return new Error(
      `${name} has no render(). A widget is: export default { api: 1, render({ model, el, signal }) {…} }`,
    );
  }
  if (widget.api !== API) {
    const newer = typeof widget.api === "number" && widget.api > API;
    const fix = newer ? "Use a newer editor, or an older version of the pack." : `Give api: ${API}.`;
    return new Error(`${name} is written for version ${String(widget.api)} of widgets; this editor has ${API}. ${fix}`);
  }
  return widget as ForeignWidget;
}
