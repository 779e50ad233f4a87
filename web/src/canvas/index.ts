/** The canvas, for the shell. React Flow and the painted layer are known only in this folder. */

export { Canvas, type CanvasProps } from "./canvas";
export { enter } from "./gestures/enter";
export { GESTURES } from "./gestures/list";
export type { NodeServices } from "./services";
export { socketStyle } from "./socket_style";
export { readable } from "./words";
