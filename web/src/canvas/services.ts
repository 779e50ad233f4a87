/** What nodes ask of the shell around the canvas. */

import { createContext, useContext } from "react";
import type { FileMessage } from "../api/wire";
import type { Point } from "../core/types";

export interface NodeServices {
  thumbnailUrl(file: string, side: number): string;
  /** Look at a finished file: the gallery opens it. */
  openFile(file: FileMessage): void;
  /** Add a node of a kind and choose it; its id, or null if there is no document to add it to. */
  addNode(kind: string, at: Point, gesture: string): string | null;
}

export const NodeServicesContext = createContext<NodeServices>({
  thumbnailUrl: () => "",
  openFile: () => {},
  addNode: () => null,
});

export function useNodeServices(): NodeServices {
  return useContext(NodeServicesContext);
}
