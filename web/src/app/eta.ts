/**
 * How far a run is and how long it still takes, from what its steps took the last time.
 *
 * A step nobody has timed counts as the mean of those that were. Reused steps cost nothing.
 */
import type { EventMessage, ProgressMessage } from "../api/wire";

interface Going {
  steps: number;
  over: Set<string>;
  spent: number;
  /** The step being computed: since when (seconds), and its part. */
  now: { step: string; since: number; part: number } | null;
}

export interface Ahead {
  /** 0 to 1. */
  part: number;
  /** Seconds; null when nothing is known yet. */
  left: number | null;
}

export class Eta {
  private readonly runs = new Map<string, Going>();
  private readonly took = new Map<string, number>();

  /** `clock` in seconds. */
  constructor(private readonly clock: () => number = () => performance.now() / 1000) {}

  hear(message: EventMessage | ProgressMessage): void {
    if (message.type === "progress") {
      const going = this.going(message.run);
      const part = message.total > 0 ? message.done / message.total : 0;
      if (going.now?.step === message.step) going.now.part = part;
      else going.now = { step: message.step, since: this.clock(), part };
      return;
    }
    const data = message.data as { type: string; step?: string; steps?: number | string[]; seconds?: number };
    const going = this.going(message.run);
    const step = data.step ?? "";
    if (data.type === "run-started") going.steps = data.steps as number;
    else if (data.type === "started") going.now = { step, since: this.clock(), part: 0 };
    else if (data.type === "reused") for (const one of data.steps as string[]) going.over.add(one);
    else if (data.type === "finished") {
      this.took.set(step, data.seconds ?? 0);
      going.spent += data.seconds ?? 0;
      going.over.add(step);
      going.now = null;
    } else if (data.type === "run-status" || data.type === "run-finished") {
      const { status } = message.data as { status?: string };
      if (status && status !== "running") this.runs.delete(message.run);
    }
  }

  ahead(run: string): Ahead {
    const going = this.runs.get(run);
    if (!going?.steps) return { part: 0, left: null };
    const computed = [...going.over].filter((step) => this.took.has(step)).length;
    const known = [...this.took.values()];
    const mean = computed && going.spent ? going.spent / computed : known.reduce((a, b) => a + b, 0) / known.length;
    const expected = going.now ? (this.took.get(going.now.step) ?? mean) : 0;
    const elapsed = going.now ? this.clock() - going.now.since : 0;
    const rest = Math.max(0, going.steps - going.over.size - (going.now ? 1 : 0));
    const part = going.now?.part ?? 0;
    const current = !going.now ? 0 : part > 0.02 ? (elapsed * (1 - part)) / part : Math.max(0, expected - elapsed);
    if (Number.isNaN(mean) && part <= 0.02) return { part: share(going, part), left: null };
    const left = current + rest * (Number.isNaN(mean) ? 0 : Math.min(mean, expected || mean));
    const spent = going.spent + elapsed;
    return { part: spent + left > 0 ? Math.min(0.99, spent / (spent + left)) : share(going, part), left };
  }

  private going(run: string): Going {
    let going = this.runs.get(run);
    if (!going) {
      going = { steps: 0, over: new Set(), spent: 0, now: null };
      this.runs.set(run, going);
    }
    return going;
  }
}

const share = (going: Going, part: number): number => Math.min(0.99, (going.over.size + part) / going.steps);
