/**
 * A frame in which one looks closer: the wheel zooms at the pointer, a drag moves, a double click goes there and back.
 * Every picture in a `Pane` of it is looked at in the same way, so that two are compared at the same place.
 */
import { Maximize, Minus, Plus } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { useSettings } from "../../app/context";
import { WheelReader } from "../../canvas/wheel";
import type { Point } from "../../core/types";
import { IconButton } from "../../ui/button";
import { t } from "../../ui/text";
import { type Look, moved, nearer, WHOLE } from "./look";

const STEP = 1.5;
const ARROW = 60; // pixels
const STILL = 4; // pixels that a click may move
const PIXELS = 3; // screen pixels to one of the picture from which each is shown as a square
const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [ARROW, 0],
  ArrowRight: [-ARROW, 0],
  ArrowUp: [0, ARROW],
  ArrowDown: [0, -ARROW],
};

export function Closer({ children }: { children: ReactNode }): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const [look, setLook] = useState(WHOLE);
  const [whole, setWhole] = useState(1); // screen pixels to one of the picture's, when all of it is shown
  const dragged = useRef(false);
  const wheel = useSettings((settings) => settings.wheel);

  useEffect(() => {
    const element = frame.current!;
    const reader = new WheelReader();
    const turned = (event: WheelEvent) => {
      event.preventDefault();
      const asked = reader.read(event, wheel);
      const pane = paneOf(element, event.target);
      if (asked.does === "pan") setLook((now) => moved(now, [asked.dx, asked.dy], sizeOf(pane)));
      else setLook((now) => nearer(now, asked.factor, from(pane, event), sizeOf(pane)));
    };
    const measured = () => {
      const picture = element.querySelector("img");
      if (!picture?.naturalWidth) return;
      setWhole(Math.min(picture.clientWidth / picture.naturalWidth, picture.clientHeight / picture.naturalHeight));
      setLook((now) => moved(now, [0, 0], sizeOf(paneOf(element))));
    };
    const observer = new ResizeObserver(measured);
    observer.observe(element);
    element.addEventListener("wheel", turned, { passive: false });
    element.addEventListener("load", measured, true);
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", turned);
      element.removeEventListener("load", measured, true);
    };
  }, [wheel]);

  /** Nearer or farther, at a point or in the middle. */
  const zoom = (factor: number, at: Point = [0, 0]) =>
    setLook((now) => nearer(now, factor, at, sizeOf(paneOf(frame.current!))));
  /** One pixel of the picture on one of the screen; on a small picture twice as large as it is shown. */
  const close = whole < 1 ? 1 / whole : 2;

  const press = (event: PointerEvent<HTMLDivElement>) => {
    const element = event.currentTarget;
    const pane = (event.target as Element).closest(".pane");
    dragged.current = false;
    if (event.button === 1)
      event.preventDefault(); // no scrolling by itself
    else if (event.button !== 0 || !pane) return;
    let last: Point = [event.clientX, event.clientY];
    const begun = last;
    const move = (next: globalThis.PointerEvent) => {
      const at: Point = [next.clientX, next.clientY];
      if (!dragged.current && Math.hypot(at[0] - begun[0], at[1] - begun[1]) < STILL) return;
      if (!dragged.current) element.setPointerCapture(event.pointerId);
      dragged.current = true;
      const by: Point = [at[0] - last[0], at[1] - last[1]];
      last = at;
      setLook((now) => moved(now, by, sizeOf(paneOf(element, pane))));
    };
    const end = () => {
      element.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"] as const) element.removeEventListener(name, end);
    };
    element.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"] as const) element.addEventListener(name, end);
  };

  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else if (event.key === "0") setLook(WHOLE);
    else if (event.key === "1") zoom(close / look.zoom);
    else if (event.shiftKey && ARROWS[event.key] && !(event.target instanceof HTMLInputElement)) {
      event.stopPropagation(); // without Shift it is the next picture
      setLook((now) => moved(now, ARROWS[event.key]!, sizeOf(paneOf(frame.current!))));
    }
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: each of these can be done by the buttons and keys too.
    <div
      ref={frame}
      className={`frame ${look.zoom > 1 ? "near" : ""} ${whole * look.zoom >= PIXELS ? "pixels" : ""}`}
      style={styleOf(look)}
      onPointerDown={press}
      onClickCapture={(event) => {
        if (dragged.current) event.stopPropagation(); // it was a drag
        dragged.current = false;
      }}
      onDoubleClick={(event) => {
        const pane = (event.target as Element).closest(".pane");
        if (!pane) return;
        if (look.zoom > 1) setLook(WHOLE);
        else zoom(close, from(pane, event));
      }}
      onKeyDown={key}
    >
      {children}
      <div className="over-picture zoom-bar" role="toolbar" aria-label={t("zoom.title")}>
        <IconButton label={t("c.zoom-out")} keys="-" disabled={look.zoom <= 1} onClick={() => zoom(1 / STEP)}>
          <Minus size={14} />
        </IconButton>
        <button
          type="button"
          className="percent number"
          title={`${t("gallery.closer")} (1)`}
          onClick={() => zoom(close / look.zoom)}
        >
          {Math.round(whole * look.zoom * 100)} %
        </button>
        <IconButton label={t("c.zoom-in")} keys="+" onClick={() => zoom(STEP)}>
          <Plus size={14} />
        </IconButton>
        <IconButton label={t("gallery.whole")} keys="0" disabled={look.zoom <= 1} onClick={() => setLook(WHOLE)}>
          <Maximize size={14} />
        </IconButton>
      </div>
    </div>
  );
}

/** A picture in a frame, and what it is cut off at. */
export function Pane({ src, alt = "", shown = true }: { src: string; alt?: string; shown?: boolean }): ReactNode {
  return (
    <span className={`pane ${shown ? "" : "away"}`}>
      {/* Decoded with the page, so that one that comes in the place of another leaves no gap. */}
      <img src={src} alt={alt} draggable={false} decoding="sync" />
    </span>
  );
}

const styleOf = ({ zoom, x, y }: Look) => ({ "--zoom": zoom, "--x": `${x}px`, "--y": `${y}px` }) as React.CSSProperties;

/** The pane that something is in, or the first of a frame. */
const paneOf = (frame: HTMLElement, target?: EventTarget | null): Element =>
  (target instanceof Element && target.closest(".pane")) || frame.querySelector(".pane") || frame;

const sizeOf = (pane: Element) => ({ width: pane.clientWidth, height: pane.clientHeight });

/** Where the pointer is, from the middle of a pane. */
function from(pane: Element, at: { clientX: number; clientY: number }): Point {
  const { left, top, width, height } = pane.getBoundingClientRect();
  return [at.clientX - left - width / 2, at.clientY - top - height / 2];
}
