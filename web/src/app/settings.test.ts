import { expect, it } from "vitest";
import { OPTIONS, readSettings, USUAL } from "./settings";

it("what was chosen is read again", () => {
  const chosen = { ...USUAL, wheel: "pan", linkStyle: "straight", packsOff: ["example"], keys: { "view.fit": ["9"] } };
  expect(readSettings(JSON.stringify(chosen))).toEqual(chosen);
});

it("what no setting may be is left out, and the others count", () => {
  const odd = {
    wheel: "scroll",
    linkStyle: 3,
    packsOff: "all",
    keys: null,
    packSettings: [],
    snap: "yes",
    theme: "dark",
  };
  expect(readSettings(JSON.stringify(odd))).toEqual({ ...USUAL, theme: "dark" });
  for (const broken of [null, "", "{", "null", "[]"]) expect(readSettings(broken)).toEqual(USUAL);
});

it("the usual is among the options", () => {
  for (const [name, options] of Object.entries(OPTIONS))
    expect(options, name).toContain(USUAL[name as keyof typeof OPTIONS]);
});
