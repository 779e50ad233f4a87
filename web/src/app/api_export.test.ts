import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { asCurl, asPython } from "./api_export";

const odd = { steps: { a: { text: "it's '''odd''' \\ \"quoted\" $HOME `id` é 日本 \u2028\nJSON\n'" } }, "'": "'" };

it("nothing in the workflow is taken by the shell", () => {
  const text = asCurl(odd, "http://127.0.0.1:1");
  const seen = `curl() { cat; }\n${text}`;
  expect(JSON.parse(execFileSync("sh", ["-c", seen], { encoding: "utf8" }))).toEqual({ document: odd });
  expect(text).toContain("$LATENTLOOM_TOKEN");
});

it("Python reads the very document", () => {
  const source = asPython(odd, "http://127.0.0.1:1");
  const body = /^BODY = r'''([\s\S]*?)'''$/m.exec(source)?.[1] ?? "";
  expect(JSON.parse(body)).toEqual({ document: odd });
  expect(source).toMatch(/^[\x20-\x7e\n]*$/);
});
