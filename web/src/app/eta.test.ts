import { expect, it } from "vitest";
import type { EventMessage } from "../api/wire";
import { Eta } from "./eta";

function told(eta: Eta, data: Record<string, unknown>, run = "r"): void {
  eta.hear({ type: "event", epoch: "e", seq: 1, run, time: 0, data } as EventMessage);
}

it("knows nothing of a run that has not begun, and nothing after its end", () => {
  const eta = new Eta(() => 0);
  expect(eta.ahead("r")).toEqual({ part: 0, left: null });
  told(eta, { type: "run-started", steps: 2 });
  told(eta, { type: "run-status", status: "succeeded" });
  expect(eta.ahead("r")).toEqual({ part: 0, left: null });
});

it("a quarter of a step in one second leaves three", () => {
  let now = 0;
  const eta = new Eta(() => now);
  told(eta, { type: "run-started", steps: 1 });
  told(eta, { type: "started", step: "a" });
  now = 1;
  eta.hear({ type: "progress", run: "r", step: "a", done: 1, total: 4, text: "" });
  expect(eta.ahead("r").left).toBeCloseTo(3);
  expect(eta.ahead("r").part).toBeCloseTo(0.25);
});

it("a step that was timed before is expected to take as long again", () => {
  let now = 0;
  const eta = new Eta(() => now);
  told(eta, { type: "run-started", steps: 1 }, "first");
  told(eta, { type: "started", step: "a" }, "first");
  told(eta, { type: "finished", step: "a", seconds: 10 }, "first");
  told(eta, { type: "run-started", steps: 1 }, "second");
  told(eta, { type: "started", step: "a" }, "second");
  now = 4;
  expect(eta.ahead("second").left).toBeCloseTo(6);
});

it("never goes past the end and never says less than nothing", () => {
  let now = 0;
  const eta = new Eta(() => now);
  told(eta, { type: "run-started", steps: 2 });
  told(eta, { type: "reused", steps: ["a"] });
  told(eta, { type: "started", step: "b" });
  for (now = 0; now < 100; now += 7) {
    eta.hear({ type: "progress", run: "r", step: "b", done: 3, total: 4, text: "" });
    const { part, left } = eta.ahead("r");
    expect(part).toBeLessThan(1);
    expect(left ?? 0).toBeGreaterThanOrEqual(0);
  }
});
