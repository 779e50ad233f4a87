import { describe, expect, it } from "vitest";
import { readFloats, writeFloats } from "./floats";
import { checkModule } from "./foreign_contract";
import { search } from "./listbox";
import { randomSeed } from "./seed";

describe("a pack's widget module", () => {
  it("is taken when it is of this version", () => {
    const widget = { api: 1, render: () => undefined };
    expect(checkModule({ default: widget }, "pack.knob")).toBe(widget);
  });

  it.each([
    null,
    {},
    { default: 3 },
    { default: { api: 1 } },
    { default: { api: 2, render() {} } },
    { default: { render() {} } },
  ])("is refused with its name and what to do: %j", (module) => {
    const said = checkModule(module, "pack.knob");
    expect(said).toBeInstanceOf(Error);
    expect((said as Error).message).toMatch(/^pack\.knob .+\. ?.+/);
  });
});

describe("searching a list", () => {
  const options = ["euler", "heun", "dpm++ 2m", "euler ancestral"];
  it("needs every word and puts what begins with it first", () => {
    expect(search(options, "eul")).toEqual(["euler", "euler ancestral"]);
    expect(search(options, "an eu")).toEqual(["euler ancestral"]);
    expect(search(options, "")).toEqual(options);
  });
});

describe("lists of numbers", () => {
  it("come back as they were written", () => {
    expect(readFloats("1, 0.5 .25;0")).toEqual([1, 0.5, 0.25, 0]);
    expect(readFloats(writeFloats([1, -2.5e-3]))).toEqual([1, -2.5e-3]);
    expect(readFloats("1, x")).toBeNull();
  });
});

describe("a random seed", () => {
  it("stays within its bounds at both ends", () => {
    expect(randomSeed(5, 9, () => 0)).toBe(5);
    expect(randomSeed(5, 9, () => 0.9999999)).toBe(9);
    expect(randomSeed(null, 2 ** 64, () => 0.9999999)).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
  });
});
