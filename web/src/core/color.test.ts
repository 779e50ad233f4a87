import fc from "fast-check";
import { expect, it } from "vitest";
import { contrast, inFull, isColor, mixed, readableOn } from "./color";

const color = fc.integer({ min: 0, max: 0xffffff }).map((number) => `#${number.toString(16).padStart(6, "0")}`);

it("contrast is WCAG's", () => {
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
  expect(contrast("#777777", "#ffffff")).toBeCloseTo(4.48, 2); // the usual example of a grey that is just too pale
  expect(contrast("#767676", "#ffffff")).toBeCloseTo(4.54, 2);
  expect(contrast("#0000ff", "#ffffff")).toBeCloseTo(8.59, 2);
});

it("a colour is as far from another as that from it, and black or white is always read on it", () => {
  fc.assert(
    fc.property(color, color, (one, other) => {
      expect(contrast(one, other)).toBe(contrast(other, one));
      expect(contrast(one, other)).toBeGreaterThanOrEqual(1);
      expect(contrast(one, readableOn(one))).toBeGreaterThan(4.5);
    }),
  );
});

it("mixing goes from one to the other", () => {
  fc.assert(
    fc.property(color, color, (one, other) => {
      expect(mixed(one, other, 1)).toBe(one);
      expect(mixed(one, other, 0)).toBe(other);
    }),
  );
  expect(mixed("#ffffff", "#000000", 0.5)).toBe("#808080");
  expect(mixed("red", "#000000", 0.5)).toBe("red");
});

it("a colour in three digits is the same one, as style sheets are written when they are built", () => {
  expect(inFull("#1aF")).toBe("#11aaFF");
  expect(mixed("#000000", "#fff", 0.5)).toBe(mixed("#000", "#ffffff", 0.5));
  expect(contrast("#fff", "#000")).toBeCloseTo(21, 5);
  expect([isColor("#fff"), isColor("#ffff"), isColor("white")]).toEqual([true, false, false]);
});
