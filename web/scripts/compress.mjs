// Puts a .gz beside every file of the build that is worth it; the server sends it to whoever takes gzip.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const folder = new URL("../../graph_runtime/static/assets/", import.meta.url).pathname;
let first = 0;
for (const name of readdirSync(folder)) {
  const path = join(folder, name);
  if (!statSync(path).isFile() || !/\.(js|css|svg|json|map)$/.test(name)) continue;
  const bytes = readFileSync(path);
  const small = gzipSync(bytes, { level: 9 });
  if (small.length < bytes.length * 0.95) writeFileSync(`${path}.gz`, small);
  if (/\.(js|css)$/.test(name)) first += small.length;
  if (/\.(js|css)$/.test(name)) console.log(`${name}  ${(small.length / 1024).toFixed(1)} KiB gzip`);
}
console.log(`all: ${(first / 1024).toFixed(1)} KiB gzip`);
