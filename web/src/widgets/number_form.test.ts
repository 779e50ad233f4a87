import { describe, expect, it } from "vitest";
import { autoOf, type Bounds, bounded, decimalsOf, shown, stepped } from "./number_form";

const float: Bounds = { type: "FLOAT", min: 0, max: 1, step: 0.05 };
const int: Bounds = { type: "INT", min: 1, max: 10000, step: null };

describe("number fields", () => {
  it("count the decimals of a notch", () => {
    expect([1, 0.5, 0.05, 1e-7, 64].map(decimalsOf)).toEqual([0, 1, 2, 7, 0]);
  });

  it("show and take the number that leaves the choice to the node as a word", () => {
    const free: Bounds = { ...float, min: -1, auto: -1 };
    expect([shown(-1, free), shown(0.5, free), shown(-1, float)]).toEqual(["auto", "0.50", "-1.00"]);
    expect([autoOf(" Auto", free), autoOf("", free), autoOf("1", free), autoOf("auto", float)]).toEqual([
      -1,
      -1,
      null,
      null,
    ]);
    expect(stepped(-1, 1, free)).toBe(-0.95);
  });

  it("step without dust and stop at the bounds", () => {
    let value = 0;
    for (let n = 0; n < 6; n++) value = stepped(value, 1, float);
    expect(value).toBe(0.3);
    expect(stepped(0.99, 3, float)).toBe(1);
    expect(stepped(1, -5, int)).toBe(1);
  });

  it("going up and down the same notches comes back to the value", () => {
    for (const start of [0.1, 0.123, 0.7]) expect(stepped(stepped(start, 3, float), -3, float)).toBe(start);
  });

  it("keep whole knobs whole", () => expect(bounded(3.6, int)).toBe(4));

  it("show the decimals of a notch and never hide any", () => {
    expect(shown(7, float)).toBe("7.00");
    expect(shown(0.12345, float)).toBe("0.12345");
    expect(shown(20, int)).toBe("20");
  });
});
