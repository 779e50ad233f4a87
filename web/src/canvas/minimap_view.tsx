/** The minimap: press or drag in it to look elsewhere. */

import { type PointerEvent, useLayoutEffect, useRef } from "react";
import { useStore } from "zustand";
import { useStage } from "./context";
import { MAP } from "./paint/minimap";

export function MinimapView() {
  const stage = useStage();
  const shown = useStore(stage.stores.view, (view) => view.minimap);
  return shown ? <Board /> : null;
}

function Board() {
  const stage = useStage();
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  useLayoutEffect(
    () => (canvas.current && frame.current ? stage.painter.minimap.attach(canvas.current, frame.current) : undefined),
    [stage],
  );
  const look = (event: PointerEvent<HTMLDivElement>) => {
    if (event.buttons !== 1) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const rect = event.currentTarget.getBoundingClientRect();
    const [x, y] = stage.painter.minimap.toCanvas([event.clientX - rect.x, event.clientY - rect.y]);
    const { camera, size } = stage;
    stage.moveCamera({ x: size.width / 2 - x * camera.zoom, y: size.height / 2 - y * camera.zoom, zoom: camera.zoom });
  };
  return (
    // The outline is the way for a keyboard; this is for the eye and the pointer.
    <div className="ll-minimap" data-over="" aria-hidden="true" style={MAP} onPointerDown={look} onPointerMove={look}>
      <canvas ref={canvas} style={MAP} />
      <div ref={frame} className="ll-minimap-frame" />
    </div>
  );
}
