/**
 * Moves made inside a page, one a frame, so that the measuring costs the page nothing. It knows nothing of any editor:
 * the same moves are made on ours and on others.
 */

export interface Move {
  kind: "pan" | "drag" | "zoom";
  /** Where the pointer goes down, in page pixels. */
  at: [number, number];
  frames: number;
  button?: number;
}

const event = (type: string, target: EventTarget, x: number, y: number, buttons: number, button: number): void => {
  const init = {
    bubbles: true,
    cancelable: true,
    composed: true,
    clientX: x,
    clientY: y,
    screenX: x,
    screenY: y,
    button,
    buttons,
    view: window,
  };
  const pointer = { ...init, pointerId: 1, pointerType: "mouse", isPrimary: true };
  target.dispatchEvent(new PointerEvent(type.replace("mouse", "pointer"), pointer));
  target.dispatchEvent(new MouseEvent(type, { ...init, detail: 1 }));
};

const frame = (): Promise<void> => new Promise((done) => requestAnimationFrame(() => done()));

/** Make the move: a slow circle for pan and drag, in and out again for zoom. Each frame is marked for the trace. */
export async function make({ kind, at: [x, y], frames, button = 0 }: Move): Promise<void> {
  const target = document.elementFromPoint(x, y) ?? document.body;
  const buttons = button === 1 ? 4 : 1;
  if (kind !== "zoom") event("mousedown", target, x, y, buttons, button);
  await frame();
  for (let n = 1; n <= frames; n++) {
    performance.mark(`bench-frame-${n}`);
    if (kind === "zoom") {
      const deltaY = (Math.floor(n / 10) % 2 === 0 ? 1 : -1) * 100;
      const init = { bubbles: true, cancelable: true, composed: true, clientX: x, clientY: y, deltaY, view: window };
      target.dispatchEvent(new WheelEvent("wheel", init));
    } else {
      const turn = (n / frames) * 2 * Math.PI;
      event("mousemove", target, x + 150 * Math.sin(turn), y + 100 * (1 - Math.cos(turn)), buttons, button);
    }
    await frame();
  }
  performance.mark("bench-frame-end");
  if (kind !== "zoom") event("mouseup", target, x, y, 0, button);
  await frame();
}
