/**
 * What the server says of a run → what is known of each of its steps. Pure; who calls it keeps the stores.
 *
 * A step inside a subgraph is "outer/inner", one in an expansion "loop#3.body": both are told under the step on the
 * canvas too, so that a folded part shows that it works.
 */
import type { EventMessage, FileMessage, ProgressMessage, RunMessage, StepMessage } from "../api/wire";
import type { Problem } from "../core/types";
import { NO_RUN, type RunState, type StepRun } from "./stores";

export const NEW_STEP: StepRun = {
  state: "waiting",
  done: 0,
  total: 0,
  text: "",
  preview: "",
  seconds: 0,
  peakBytes: 0,
  tier: "",
  files: [],
  problems: [],
  outputs: {},
};

interface EventData {
  type: string;
  step?: string;
  steps?: number | string[];
  tier?: string;
  seconds?: number;
  peak_bytes?: number;
  outputs?: Record<string, string>;
  files?: FileMessage[];
  problems?: Problem[];
  status?: RunMessage["status"];
}

/** The step on the canvas and those around it, innermost first: "a/b#2.c" is in "a/b" and "a". */
export function around(step: string): string[] {
  const found: string[] = [];
  let at = step.replace(/#.*$/s, "");
  if (at !== step) found.push(at);
  for (let slash = at.lastIndexOf("/"); slash > 0; slash = at.lastIndexOf("/")) {
    at = at.slice(0, slash);
    found.push(at);
  }
  return found;
}

export function begin(run: string, status: RunMessage["status"] = "queued"): RunState {
  return { ...NO_RUN, run, status };
}

function withStep(state: RunState, id: string, change: Partial<StepRun>): RunState {
  return { ...state, steps: { ...state.steps, [id]: { ...(state.steps[id] ?? NEW_STEP), ...change } } };
}

/** The run after an event of it. The same state when the event says nothing new. */
export function applyEvent(state: RunState, message: EventMessage): RunState {
  const data = message.data as unknown as EventData;
  const step = data.step ?? "";
  switch (data.type) {
    case "run-status":
      return ofStatus(state, data.status ?? state.status);
    case "started": {
      let next = withStep(state, step, { state: "running", done: 0, total: 0, text: "", problems: [] });
      for (const outer of around(step)) next = withStep(next, outer, { state: "running" });
      return next;
    }
    case "reused": {
      let next = state;
      for (const one of data.steps as string[]) {
        next = withStep(next, one, { state: "reused", tier: data.tier ?? "", preview: "" });
        for (const outer of around(one)) if (!next.steps[outer]) next = withStep(next, outer, { state: "reused" });
      }
      return next;
    }
    case "finished": {
      const seconds = data.seconds ?? 0;
      const made = { seconds, peakBytes: data.peak_bytes ?? 0, outputs: data.outputs ?? {} };
      let next = withStep(state, step, { state: "done", ...made });
      for (const outer of around(step)) next = ofPart(next, outer, seconds, made.peakBytes);
      return next;
    }
    case "wrote": {
      const files = data.files ?? [];
      let next = withStep(state, step, { files });
      for (const outer of around(step)) next = withStep(next, outer, { files });
      return next;
    }
    case "failed": {
      const problems = data.problems ?? [];
      let next = withStep(state, step, { state: "failed", problems });
      for (const outer of around(step)) next = withStep(next, outer, { state: "failed", problems });
      return next;
    }
    case "skipped":
      return withStep(state, step, { state: "skipped" });
    case "run-finished":
      return { ...ofStatus(state, data.status ?? state.status), problems: data.problems ?? [] };
    default:
      return state;
  }
}

/** A part of a folded step is done: its time counts for the whole; the whole is done when the run goes on elsewhere. */
function ofPart(state: RunState, outer: string, seconds: number, peak: number): RunState {
  const known = state.steps[outer] ?? NEW_STEP;
  return withStep(state, outer, {
    state: known.state === "failed" ? "failed" : "done",
    seconds: known.seconds + seconds,
    peakBytes: Math.max(known.peakBytes, peak),
  });
}

const OVER = new Set(["succeeded", "failed", "cancelled"]);
export const isOver = (status: string): boolean => OVER.has(status);

function ofStatus(state: RunState, status: RunState["status"]): RunState {
  if (status === state.status) return state;
  // Begun again after a crash: what was under way is under way no more.
  const stopped = isOver(status) || status === "queued";
  const steps = Object.entries(state.steps).map(([id, one]) => {
    if (!stopped || one.state !== "running") return [id, one] as const;
    return [id, { ...one, state: status === "queued" ? "waiting" : "cancelled", preview: "" } as StepRun] as const;
  });
  return { ...state, status, steps: Object.fromEntries(steps) };
}

export function applyProgress(state: RunState, message: ProgressMessage): RunState {
  const { step, done, total, text } = message;
  let next = withStep(state, step, { state: "running", done, total, text });
  for (const outer of around(step)) next = withStep(next, outer, { state: "running", done, total, text });
  return next;
}

export function applyPreview(state: RunState, step: string, preview: string): RunState {
  let next = withStep(state, step, { preview });
  for (const outer of around(step)) next = withStep(next, outer, { preview });
  return next;
}

const STATES: Record<string, StepRun["state"]> = {
  running: "running",
  finished: "done",
  reused: "reused",
  failed: "failed",
  skipped: "skipped",
};

/**
 * What a page that was loaded anew, or was away, is told of a run: its message, and what each step took in its last
 * attempt. Of a step that runs, and goes on running, what was `shown` is kept: how far it is is told to nobody twice.
 */
export function restored(run: RunMessage, steps: readonly StepMessage[], shown: RunState = NO_RUN): RunState {
  let state: RunState = { ...begin(run.id, run.status), problems: run.problems };
  for (const one of steps.filter(({ attempt }) => attempt === run.attempt)) {
    const known = STATES[one.status] ?? "waiting";
    const now = known === "running" && isOver(run.status) ? "cancelled" : known;
    const files = run.files.filter(({ step }) => step === one.step);
    state = withStep(state, one.step, {
      state: now,
      seconds: one.seconds,
      peakBytes: one.peak_bytes,
      outputs: one.outputs,
      problems: one.problems,
      files,
    });
    for (const outer of around(one.step)) state = withStep(state, outer, { state: now, files });
  }
  if (shown.run !== run.id || isOver(run.status)) return state;
  for (const [id, one] of Object.entries(shown.steps))
    if (one.state === "running" && (state.steps[id]?.state ?? "running") === "running")
      state = withStep(state, id, one);
  return state;
}
