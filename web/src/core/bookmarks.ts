/** Places to come back to, by one digit each; kept in the document, so that they go with it. */

import { isObject } from "./document";
import type { Document, Json, Point } from "./types";

export interface Bookmark {
  path: readonly string[];
  /** The steps that one went through to get there. */
  scope: readonly string[];
  /** The middle of what is seen, in canvas units. */
  center: Point;
  zoom: number;
}

const texts = (value: Json | undefined): string[] | null =>
  Array.isArray(value) && value.every((one) => typeof one === "string") ? value : null;

/** A bookmark as it was set; null if there is none, or none that can be read. */
export function bookmarkOf({ extra }: Pick<Document, "extra">, name: string): Bookmark | null {
  const all = extra.bookmarks;
  const one = isObject(all) && Object.hasOwn(all, name) ? all[name] : null;
  if (!isObject(one)) return null;
  const [path, scope] = [texts(one.path), texts(one.scope)];
  const [x, y] = Array.isArray(one.center) ? one.center : [];
  if (!path || scope?.length !== path.length || typeof x !== "number" || typeof y !== "number") return null;
  return typeof one.zoom === "number" && one.zoom > 0 ? { path, scope, center: [x, y], zoom: one.zoom } : null;
}
