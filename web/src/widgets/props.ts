/** What every widget is given, and what it may ask of the editor around it. */

import { createContext, useContext } from "react";
import type { Json, KnobDef } from "../core/types";
import { t } from "../ui/text";

export interface WidgetProps {
  /** Unique in the page; the label points at it. */
  id: string;
  def: KnobDef;
  value: Json;
  /** Sets the value. Calls with the same gesture become one undo step. */
  set(value: Json, gesture?: string): void;
  /** The accessible name: "steps, Sample". */
  label: string;
  /** Why the value is refused; "" if it is not. */
  problem: string;
  /** The id of the element that says so, for aria-describedby. */
  problemId: string | undefined;
  /** Of a seed: what it does after a run, and the value the last run used. */
  seed?: SeedProps;
}

export type After = "fixed" | "random" | "increment";

export interface SeedProps {
  after: After;
  setAfter(after: After): void;
  /** What the last run of this step used; null if none did. */
  lastUsed: number | null;
}

/** What widgets ask of the server, given by the shell. */
export interface WidgetServices {
  /** The names a FILE knob of this kind may have. */
  names(kind: string, signal?: AbortSignal): Promise<readonly string[]>;
  /** Brings a picture in; its name. Rejects with an Error whose message says why and what to do. */
  upload(file: File, signal?: AbortSignal): Promise<string>;
  /** Where a small picture of an input file is; "" if there is none. */
  thumbnail(kind: string, name: string): string;
  /** The module of a pack's widget "pack.name"; "" if it is not known or switched off. */
  widgetModule(name: string): string;
  /** Whether its pack is turned off: then the usual widget for such a value is shown. */
  widgetOff?(name: string): boolean;
}

const none: WidgetServices = {
  names: () => Promise.resolve([]),
  upload: () => Promise.reject(new Error(t("widget.no-server"))),
  thumbnail: () => "",
  widgetModule: () => "",
};

export const WidgetServicesContext = createContext<WidgetServices>(none);

export function useWidgetServices(): WidgetServices {
  return useContext(WidgetServicesContext);
}

let gestures = 0;

/** A name for a new gesture, different from every other of this page. */
export function newGesture(what: string): string {
  gestures += 1;
  return `${what}#${gestures}`;
}
