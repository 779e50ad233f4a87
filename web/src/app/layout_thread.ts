/** The other thread: takes boxes and edges, gives corners. */
import { type LayoutRequest, layoutBoxes } from "../core/layout";

self.onmessage = ({ data }: MessageEvent<LayoutRequest>) => self.postMessage(layoutBoxes(data));
