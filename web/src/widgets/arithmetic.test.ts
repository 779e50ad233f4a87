import { describe, expect, it } from "vitest";
import { evaluate } from "./arithmetic";

describe("arithmetic in number fields", () => {
  it.each([
    ["512*2+64", 1088],
    ["1 + 2 * 3", 7],
    ["(1+2)*3", 9],
    ["2^3^2", 512],
    ["2**10", 1024],
    ["-2^2", -4],
    ["2^-1", 0.5],
    ["7 % 4", 3],
    ["1e3/4", 250],
    [".5", 0.5],
    ["3,5", 3.5],
    ["2*pi", 2 * Math.PI],
    ["--3", 3],
  ])("%s is %d", (text, value) => expect(evaluate(text)).toBeCloseTo(value, 12));

  it.each([
    "",
    " ",
    "1+",
    "(1",
    "1)",
    "1 2",
    "alert(1)",
    "1/0",
    "0/0",
    "x",
    "1..2",
    "*3",
    "(".repeat(1000),
    `${"-".repeat(1000)}1`,
  ])("%j is nothing", (text) => expect(evaluate(text)).toBeNull());
});
