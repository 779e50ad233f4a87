/** Sends documents to the queue: all of it or to one step, once or over a grid of values; the seed shown is the one used. */
import type { Client } from "../api/client";
import { Refusal } from "../api/client";
import type { ModelMessage, RunMessage } from "../api/wire";
import { setValue } from "../core/commands";
import { graphOf } from "../core/flatten";
import type { Document, Json, Palette, Problem, Step } from "../core/types";
import { signed } from "./models_used";
import { newId, type OpenDocument } from "./open_document";
import { begin } from "./run_feed";
import type { ServerFeed } from "./server_feed";

const MOST = 4294967295;

export interface RunOptions {
  /** Run to these steps only. */
  targets?: readonly string[];
  front?: boolean;
  /** Of a grid or batch: what it is, for the viewer. */
  meta?: Record<string, unknown>;
}

/** The next seed: one that has not been used is used as it is. */
export function nextSeed(
  value: Json,
  used: number | undefined,
  after: Step["after"][string],
  random: () => number,
): Json {
  if (typeof value !== "number" || used === undefined || value !== used) return value;
  if (after === "increment") return value >= MOST ? 0 : value + 1;
  return after === "random" ? Math.floor(random() * (MOST + 1)) : value;
}

/** Every seed of the document's own steps, by "step.knob". */
export function seedsOf(document: Document, palette: Palette): Record<string, number> {
  const seeds: Record<string, number> = {};
  for (const [id, step] of Object.entries(document.steps)) {
    for (const knob of palette.nodes.get(step.kind)?.knobs ?? []) {
      const value = step.inputs[knob.name] ?? knob.default;
      if (knob.seed && typeof value === "number") seeds[`${id}.${knob.name}`] = value;
    }
  }
  return seeds;
}

/** Seeds that change after a run are changed now, before the next: what is shown is what is used. */
export function turnSeeds(open: OpenDocument, palette: Palette, random: () => number = Math.random): void {
  const used = open.lastSeeds;
  const document = open.document.getState();
  const gesture = `seeds ${newId()}`;
  for (const [place, value] of Object.entries(seedsOf(document, palette))) {
    const dot = place.lastIndexOf(".");
    const [id, knob] = [place.slice(0, dot), place.slice(dot + 1)];
    const after = document.steps[id]?.after[knob] ?? "fixed";
    const next = nextSeed(value, used[place], after, random);
    if (next !== value) open.document.run(setValue([], id, knob, next), gesture);
  }
}

export class Runner {
  constructor(
    private readonly client: Client,
    private readonly feed: ServerFeed,
    private readonly palette: () => Palette,
    private readonly refused: (problems: readonly Problem[]) => void = () => {},
    private readonly models: () => readonly ModelMessage[] = () => [],
  ) {}

  /** Run an open document. What is wrong with it goes to its run store, at its place. */
  async run(open: OpenDocument, options: RunOptions = {}): Promise<RunMessage | null> {
    turnSeeds(open, this.palette());
    return this.submit(open, open.document.getState(), options);
  }

  /** Run a document that is like an open one but for some values. */
  async submit(open: OpenDocument, document: Document, options: RunOptions = {}): Promise<RunMessage | null> {
    const palette = this.palette();
    const seeds = seedsOf(document, palette);
    const graph = graphOf(document, palette, options.targets);
    const id = newId();
    const before = open.run.getState();
    // Known before it is sent, so that what is heard before the answer finds its document.
    const busy = before.status === "running" || before.status === "queued";
    if (!busy) open.run.setState({ ...begin(id), seeds }, true);
    try {
      const run = await this.client.submit(
        {
          run: id,
          graph: { steps: stripped(graph.steps), targets: [...graph.targets] },
          document: signed(document, palette, this.models()),
          front: options.front ?? false,
          meta: { draft: open.id, title: document.title, seeds, ...options.meta },
        },
        id,
      );
      open.lastSeeds = seeds;
      this.feed.begun(run);
      return run;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      open.run.setState(
        {
          ...before,
          status: busy ? before.status : "",
          steps: withProblems(before.steps, error.problems),
          problems: error.problems,
        },
        true,
      );
      this.refused(error.problems);
      return null;
    }
  }
}

function stripped(steps: Record<string, { kind: string; inputs: Record<string, unknown> }>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(steps).map(([id, { kind, inputs }]) => [id, { kind, inputs }]));
}

/** What was known of the steps, without what no longer holds. */
function withProblems<T>(steps: Readonly<Record<string, T>>, problems: readonly Problem[]): Record<string, T> {
  const wrong = new Set(problems.map(({ step }) => step));
  return Object.fromEntries(Object.entries(steps).filter(([id]) => !wrong.has(id)));
}
