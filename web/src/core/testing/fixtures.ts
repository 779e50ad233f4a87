/** What tests share: the palette and documents that the Python side is tested with as well. Not for the editor. */

import { readdirSync, readFileSync } from "node:fs";
import type { NodeDef, Palette, Problem } from "../types";

const root = new URL("../../../../tests/fixtures/", import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, root), "utf8"));

export const palette: Palette = {
  nodes: new Map((read("palette.json") as NodeDef[]).map((one) => [one.kind, one])),
  sockets: new Map(),
};

export interface Fixture {
  document: unknown;
  problems: Problem[];
  graph?: unknown;
  refused?: string[];
}

export const fixtures: [name: string, fixture: Fixture][] = readdirSync(new URL("graphs/", root))
  .filter((name) => name.endsWith(".json"))
  .map((name) => [name, read(`graphs/${name}`) as Fixture]);
