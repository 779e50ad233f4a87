import { expect, it } from "vitest";
import { collect } from "../../../scripts/licences";

it("every library that is shipped is listed once, with a licence, and its text where it brings one", () => {
  const found = collect();
  const names = found.map(({ name }) => name);
  for (const one of ["@xyflow/react", "@xyflow/system", "react", "radix-ui", "zustand", "lucide-react"])
    expect(names).toContain(one);
  expect(new Set(names).size).toBe(names.length);
  expect(found.filter(({ licence }) => !licence)).toEqual([]);
  const silent = found.filter(({ text }) => text.length < 200).map(({ name }) => name);
  expect(silent.filter((name) => name !== "react-remove-scroll-bar")).toEqual([]);
});
