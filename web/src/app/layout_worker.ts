/** Lays nodes out on another thread: a large graph takes seconds. */
import type { LayoutRequest } from "../core/align";
import type { Point } from "../core/types";

export function layoutInWorker(request: LayoutRequest): Promise<Record<string, Point>> {
  const worker = new Worker(new URL("./layout_thread.ts", import.meta.url), { type: "module" });
  return new Promise<Record<string, Point>>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Record<string, Point>>) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message || "The layout failed."));
    worker.postMessage(request);
  }).finally(() => worker.terminate());
}
