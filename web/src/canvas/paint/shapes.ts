/** The outlines of sockets: a type is told by its colour and by its shape. Shared by canvas and elements. */

import type { SocketDef } from "../../core/types";

export type SocketShape = SocketDef["shape"];

const CORNERS: Record<Exclude<SocketShape, "circle">, readonly (readonly [number, number])[]> = {
  square: [
    [-0.86, -0.86],
    [0.86, -0.86],
    [0.86, 0.86],
    [-0.86, 0.86],
  ],
  diamond: [
    [0, -1.15],
    [1.15, 0],
    [0, 1.15],
    [-1.15, 0],
  ],
  hexagon: [
    [-0.55, -0.96],
    [0.55, -0.96],
    [1.1, 0],
    [0.55, 0.96],
    [-0.55, 0.96],
    [-1.1, 0],
  ],
};

/** Add a socket's outline to the path that is being made. */
export function traceSocket(
  ctx: CanvasRenderingContext2D | Path2D,
  shape: SocketShape,
  x: number,
  y: number,
  r: number,
): void {
  if (shape === "circle") {
    ctx.moveTo(x + r, y);
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  for (const [n, [dx, dy]] of CORNERS[shape].entries()) {
    if (n === 0) ctx.moveTo(x + dx * r, y + dy * r);
    else ctx.lineTo(x + dx * r, y + dy * r);
  }
  ctx.closePath();
}

/** The same outline as SVG path data around (0, 0). */
export function socketPath(shape: SocketShape, r: number): string {
  if (shape === "circle") return `M${r} 0A${r} ${r} 0 1 1 ${-r} 0A${r} ${r} 0 1 1 ${r} 0Z`;
  return `M${CORNERS[shape].map(([x, y]) => `${(x * r).toFixed(2)} ${(y * r).toFixed(2)}`).join("L")}Z`;
}
