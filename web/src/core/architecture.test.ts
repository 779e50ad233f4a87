import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !/\.(test|bench)\.ts$/.test(name) && !name.startsWith("testing"))
  .map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));

test("the core imports itself, immer, and in one file dagre: no React, no DOM, no network", () => {
  expect(files.length).toBeGreaterThan(20);
  const foreign = files.flatMap(({ name, text }) =>
    [...text.matchAll(/from "([^"]+)"/g)].flatMap(([, from]) => {
      const inside = from!.startsWith(".") && !relative(root, join(root, dirname(name), from!)).startsWith("..");
      return inside || from === "immer" ? [] : [`${name}: ${from}`];
    }),
  );
  expect(foreign).toEqual(["layout.ts: @dagrejs/dagre"]);
  const reaching = files.filter(({ text }) =>
    /\b(window|document\.(createElement|body)|fetch|localStorage)\s*[.(]/.test(text),
  );
  expect(reaching.map((one) => one.name)).toEqual([]);
});

test("a file has one noun, says what it is, and stays short", () => {
  for (const { name, text } of files) {
    expect([name, text.split("\n").length <= 420]).toEqual([name, true]);
    expect([name, text.startsWith("/**")]).toEqual([name, true]);
    expect([name, /(^|\/)(utils|helpers|common|manager)\b/.test(name)]).toEqual([name, false]);
  }
});
