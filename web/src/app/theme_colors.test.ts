import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { contrast } from "../core/color";
import {
  type Base,
  CHOICES,
  type Choice,
  chosenFor,
  hardToRead,
  NAMES,
  SETS,
  VARIABLES,
  variables,
  withColors,
} from "./theme_colors";

const css = readFileSync(new URL("../ui/theme.css", import.meta.url), "utf8");
/** The variables of ui/theme.css in a block. */
const block = (selector: string) =>
  Object.fromEntries(
    [...(css.split(`${selector} {`)[1]?.split("}")[0] ?? "").matchAll(/(--[\w-]+): ([^;]+);/g)].map(
      ([, name, value]) => [name, value],
    ),
  ) as Record<string, string>;
const themes: Record<Base, Record<string, string>> = { light: block(":root"), dark: block(':root[data-theme="dark"]') };
const usual = (base: Base) =>
  Object.fromEntries(NAMES.map((name) => [name, themes[base][CHOICES[name]]])) as Record<Choice, string>;

describe.each(["light", "dark"] as const)("in the %s theme", (base) => {
  it("every variable that follows is one of the theme", () => {
    for (const name of VARIABLES) expect(themes[base], name).toHaveProperty([name]);
  });

  it("nothing chosen changes nothing, and one colour changes only what follows from it", () => {
    expect(variables({}, usual(base))).toEqual({});
    const changed = variables({ node: "#123456" }, usual(base));
    expect(Object.keys(changed).sort()).toEqual(["--field", "--node-bg", "--node-head", "--node-line"]);
  });

  it.each(Object.keys(SETS) as (keyof typeof SETS)[])(
    "the set %s is easy to read, quiet text and buttons too",
    (name) => {
      const chosen = { ...usual(base), ...SETS[name][base] };
      expect(hardToRead(chosen)).toEqual([]);
      const all = { ...themes[base], ...variables(SETS[name][base], usual(base)) } as Record<string, string>;
      const on = (what: string, ground: string) => contrast(all[what] ?? "", all[ground] ?? "");
      for (const ground of ["--surface", "--surface-2", "--node-bg", "--node-head", "--field"])
        expect([ground, on("--text-quiet", ground) >= 4.5]).toEqual([ground, true]);
      expect(on("--on-accent", "--accent")).toBeGreaterThanOrEqual(4.5);
      expect(on("--text", "--accent-soft")).toBeGreaterThanOrEqual(4.5);
      expect(on("--line-2", "--surface")).toBeGreaterThanOrEqual(3);
    },
  );

  it("pale text is told of", () => {
    const pale = { ...usual(base), text: usual(base).surface };
    expect(hardToRead(pale).map(({ what, on }) => `${what} ${on}`)).toContain("text surface");
  });

  it("its colours are kept apart from the other theme's, and what is no colour is none", () => {
    const kept = withColors({ "light.text": "#111111", "dark.text": "#eeeeee" }, base, { accent: "#123456" });
    expect(chosenFor(base, kept)).toEqual({ accent: "#123456" });
    expect(Object.keys(kept)).toHaveLength(2);
    expect(chosenFor(base, { [`${base}.text`]: "url(x)" })).toEqual({});
  });
});
