import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Client } from "../api/client";
import type { EventMessage, QueueMessage, RunMessage } from "../api/wire";
import type { OpenDocument } from "./open_document";
import { ServerFeed } from "./server_feed";
import { createRun, createServer } from "./stores";
import type { Workspace } from "./workspace";

type Status = RunMessage["status"];

/** A server with one run. What is asked of it is answered as it was then, but only when the test says so. */
class SlowServer {
  status: Status = "queued";
  readonly events: EventMessage[] = [];
  private readonly answers: (() => void)[] = [];

  turn(status: Status): void {
    this.status = status;
    const data = { type: "run-status", status };
    this.events.push({ type: "event", epoch: "e", seq: this.events.length + 1, run: "r", time: 1, data });
  }

  run(): RunMessage {
    return { id: "r", number: 1, status: this.status, started: null, meta: {}, files: [], problems: [] } as never;
  }

  ask<T>(answer: T): Promise<T> {
    return new Promise((resolve) => this.answers.push(() => resolve(answer)));
  }

  /** Give the answer to one of the questions that wait. False when none waits. */
  answer(which: number): boolean {
    const [one] = this.answers.splice(which % Math.max(1, this.answers.length), 1);
    one?.();
    return one !== undefined;
  }

  client(): Client {
    return {
      run: () => this.ask(this.run()),
      runs: () => this.ask({ runs: [this.run()] }),
      queue: () => this.ask<QueueMessage>({ paused: [], counts: { [this.status]: 1 }, waiting: [] }),
    } as unknown as Client;
  }
}

let hear: (message: object) => void;

beforeEach(() => {
  vi.useFakeTimers();
  class Socket {
    onmessage: ((event: { data: string }) => void) | null = null;
    constructor() {
      hear = (message) => this.onmessage?.({ data: JSON.stringify(message) });
    }
  }
  vi.stubGlobal("WebSocket", Socket);
  vi.stubGlobal("location", { origin: "http://editor" });
  vi.stubGlobal("document", { hidden: false });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const settled = () => vi.advanceTimersByTimeAsync(500);

/** What may happen next: the server gets on, one of its events arrives, one of its answers does, or time passes. */
const doing = fc.array(
  fc.oneof(
    fc.constantFrom("turn", "hear", "wait", "list"),
    fc.nat(5), // that question of those that wait is answered
  ),
  { maxLength: 30 },
);
const lives: Status[][] = [
  ["queued", "running", "succeeded"],
  ["queued", "running", "crashed", "running", "failed"],
  ["queued", "running"],
  ["queued", "cancelled"],
];

it("a run is shown as it is, in whatever order events and answers come, and its end is told once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...lives), doing, async (life, actions) => {
      const there = new SlowServer();
      const server = createServer();
      const workspace = {
        onOpen: () => {},
        find: () => null,
        online: () => {},
        store: { getState: () => ({ open: [] }) },
      };
      const feed = new ServerFeed(there.client(), server, workspace as unknown as Workspace);
      const ends: Status[] = [];
      feed.onEnd(({ status }) => ends.push(status));
      feed.connect();
      hear({ type: "welcome", epoch: "e", seq: 0, workers: [] });
      const left = [...life];
      const sent = there.ask(null).then(() => feed.begun({ ...there.run(), status: "queued" }));
      let heard = 0;
      const hearNext = () => {
        const event = there.events[heard++];
        if (event) hear(event);
        return event !== undefined;
      };
      for (const what of actions) {
        if (what === "turn" && left.length) there.turn(left.shift() as Status);
        else if (what === "hear" && heard < there.events.length) hearNext();
        else if (typeof what === "number") there.answer(what);
        else if (what === "wait") await vi.advanceTimersByTimeAsync(200);
        else if (what === "list") void feed.refreshRuns();
        await vi.advanceTimersByTimeAsync(0);
      }
      for (const status of left) there.turn(status);
      while (hearNext());
      do await settled();
      while (there.answer(1));
      await sent;
      const last = life.at(-1) as Status;
      expect(server.getState().runs.map(({ status }) => status)).toEqual([last]);
      expect(server.getState().queue.counts).toEqual({ [last]: 1 });
      expect(ends).toEqual(last === "running" ? [] : [last]);
    }),
    { numRuns: 300 },
  );
});

it("a step that ends while one asks how far a run is, is not shown as running", async () => {
  const there = new SlowServer();
  let state = "running";
  const steps = () => there.ask({ steps: [{ run: "r", attempt: 1, step: "paint", status: state, outputs: {} }] });
  const run = { ...there.run(), status: "running", attempt: 1, meta: { draft: "d" } } as unknown as RunMessage;
  const server = createServer();
  server.setState({ runs: [run] });
  const open = { id: "d", run: createRun(), lastSeeds: {} } as unknown as OpenDocument;
  const workspace = {
    onOpen: () => {},
    find: () => open,
    online: () => {},
    store: { getState: () => ({ open: [open] }) },
  };
  const client = { ...there.client(), runSteps: steps } as unknown as Client;
  const feed = new ServerFeed(client, server, workspace as unknown as Workspace);
  feed.connect();
  const restored = feed.restore(open);
  state = "finished";
  hear({ type: "event", epoch: "e", seq: 1, run: "r", time: 1, data: { type: "finished", step: "paint", seconds: 2 } });
  do await settled();
  while (there.answer(0));
  await restored;
  expect(open.run.getState()).toMatchObject({ run: "r", status: "running", steps: { paint: { state: "done" } } });
});
