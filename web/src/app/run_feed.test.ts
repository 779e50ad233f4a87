import { describe, expect, it } from "vitest";
import type { EventMessage, ProgressMessage, RunMessage, StepMessage } from "../api/wire";
import { applyEvent, applyPreview, applyProgress, around, begin, restored } from "./run_feed";

const event = (data: Record<string, unknown>): EventMessage => ({
  type: "event",
  epoch: "e",
  seq: 1,
  run: "r",
  time: 0,
  data,
});
const after = (...events: Record<string, unknown>[]) => events.map(event).reduce(applyEvent, begin("r"));
const run = { id: "r", status: "succeeded", attempt: 2, problems: [], files: [] } as unknown as RunMessage;
const progress: ProgressMessage = { type: "progress", run: "r", step: "a", done: 3, total: 8, text: "" };
const step = (more: Partial<StepMessage>): StepMessage => ({
  run: "r",
  attempt: 2,
  step: "a",
  status: "finished",
  started: 0,
  ended: 1,
  seconds: 1,
  peak_bytes: 5,
  outputs: {},
  problems: [],
  ...more,
});

describe("what is told of a step", () => {
  it("is told under every step around it", () => {
    expect(around("a/b#2.c")).toEqual(["a/b", "a"]);
    expect(around("a")).toEqual([]);
    expect(around("loop#3.body")).toEqual(["loop"]);
  });

  it("goes from waiting over running to done, with its time", () => {
    const state = after({ type: "started", step: "a" }, { type: "finished", step: "a", seconds: 2, peak_bytes: 7 });
    expect(state.steps.a).toMatchObject({ state: "done", seconds: 2, peakBytes: 7 });
  });

  it("inside a subgraph adds up for the whole", () => {
    const state = after(
      { type: "started", step: "s/a" },
      { type: "finished", step: "s/a", seconds: 2 },
      { type: "started", step: "s/b" },
      { type: "finished", step: "s/b", seconds: 3 },
    );
    expect(state.steps.s).toMatchObject({ state: "done", seconds: 5 });
  });

  it("that failed names its problems, on the whole too", () => {
    const problems = [{ code: "x", place: "a", what: "w", fix: "f", step: "a", field: "k" }];
    const state = after({ type: "started", step: "s/a" }, { type: "failed", step: "s/a", problems });
    expect(state.steps["s/a"]?.problems).toEqual(problems);
    expect(state.steps.s?.state).toBe("failed");
  });

  it("was stopped when the run is over before it is", () => {
    const state = after({ type: "started", step: "a" }, { type: "run-status", status: "cancelled" });
    expect(state.steps.a?.state).toBe("cancelled");
  });

  it("waits again when its worker died", () => {
    const state = after(
      { type: "started", step: "a" },
      { type: "run-status", status: "running" },
      { type: "run-status", status: "queued" },
    );
    expect(state.steps.a?.state).toBe("waiting");
  });

  it("shows progress and preview, and reuse says from where", () => {
    const told = applyPreview(
      applyProgress(begin("r"), { type: "progress", run: "r", step: "a", done: 1, total: 4, text: "" }),
      "a",
      "blob:x",
    );
    expect(told.steps.a).toMatchObject({ state: "running", done: 1, total: 4, preview: "blob:x" });
    expect(after({ type: "reused", steps: ["a", "b"], tier: "disk" }).steps.b).toMatchObject({
      state: "reused",
      tier: "disk",
    });
  });

  it("says nothing new when nothing is new", () => {
    const state = after({ type: "log", step: "a", text: "hello" });
    expect(applyEvent(state, event({ type: "log", text: "again" }))).toBe(state);
  });
});

it("a page loaded anew is told of the last attempt only", () => {
  const state = restored(run, [step({ attempt: 1, step: "old" }), step({}), step({ step: "b", status: "running" })]);
  expect(Object.keys(state.steps)).toEqual(["a", "b"]);
  expect(state.steps.a).toMatchObject({ state: "done", peakBytes: 5 });
  expect(state.steps.b?.state).toBe("cancelled");
});

it("keeps how far a step is that still runs, and believes the server of one that ran when it was heard last", () => {
  const shown = { ...begin("r", "running" as const), steps: {} };
  const far = applyProgress(applyProgress(shown, { ...progress, step: "a" }), { ...progress, step: "b" });
  const running = { ...run, status: "running" as const };
  const now = restored(running, [step({ status: "running" }), step({ step: "b" })], far);
  expect(now.steps.a).toMatchObject({ state: "running", done: 3, total: 8 });
  expect(now.steps.b).toMatchObject({ state: "done", seconds: 1 });
  const over = restored(run, [step({}), step({ step: "b" })], far);
  expect(Object.values(over.steps).map(({ state }) => state)).toEqual(["done", "done"]);
  expect(restored(running, [], { ...far, run: "another" }).steps).toEqual({});
});
