/** What nodes ask of the shell around the canvas. */

import { createContext, useContext } from "react";
import type { FileMessage } from "../api/wire";

export interface NodeServices {
  thumbnailUrl(file: string, side: number): string;
  /** Look at a finished file: the gallery opens it. */
  openFile(file: FileMessage): void;
}

export const NodeServicesContext = createContext<NodeServices>({ thumbnailUrl: () => "", openFile: () => {} });

export function useNodeServices(): NodeServices {
  return useContext(NodeServicesContext);
}
