/** Vite plugin: `virtual:licences`, every package that the editor's own depend on, with the text of its licence. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

interface Manifest {
  name: string;
  version: string;
  license?: string;
  dependencies?: Record<string, string>;
}

const NAME = "virtual:licences";
const folder = new URL("..", import.meta.url).pathname;

const read = (place: string): Manifest => JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as Manifest;

/** Where Node would find a package from a folder; null if it is not installed. */
function find(name: string, from: string): string | null {
  for (let at = from; at.length >= folder.length - 1; at = join(at, "..")) {
    const place = join(at, "node_modules", name);
    if (existsSync(join(place, "package.json"))) return place;
  }
  return null;
}

export function collect(): { name: string; version: string; licence: string; text: string }[] {
  const places = new Map<string, Manifest>();
  const visit = (from: string, names: readonly string[]) => {
    for (const name of names) {
      const place = find(name, from);
      if (!place || places.has(place)) continue;
      const manifest = read(place);
      places.set(place, manifest);
      visit(place, Object.keys(manifest.dependencies ?? {}));
    }
  };
  visit(folder, Object.keys(read(folder).dependencies ?? {}));
  const found = [...places].map(([place, { name, version, license = "" }]) => {
    const file = readdirSync(place).find((one) => /^licen[cs]e/i.test(one));
    return { name, version, licence: license, text: file ? readFileSync(join(place, file), "utf8").trim() : "" };
  });
  const seen = new Set<string>();
  return found
    .filter((one) => !one.name.startsWith("@types/") && !seen.has(one.name) && seen.add(one.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const licences = (): Plugin => ({
  name: "licences",
  resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
  load: (id) => (id === `\0${NAME}` ? `export default ${JSON.stringify(collect())}` : null),
});
