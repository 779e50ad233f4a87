/**
 * What the server tells → the store of the server, and the run store of the document that a run belongs to.
 *
 * Progress and previews are collected and told ten times a second at most; kept events at once, in order.
 */
import type { Client } from "../api/client";
import { connectLive, type Spoken } from "../api/live";
import type {
  EventMessage,
  NodesMessage,
  PreviewHeader,
  ProgressMessage,
  RunMessage,
  WorkerMessage,
} from "../api/wire";
import type { NodeDef, Palette, SocketDef } from "../core/types";
import { Eta } from "./eta";
import type { OpenDocument } from "./open_document";
import { applyEvent, applyPreview, applyProgress, begin, isOver, restored } from "./run_feed";
import type { ServerStore } from "./stores";
import type { Workspace } from "./workspace";

const ROUND = 100; // milliseconds between two rounds of progress and previews
const SOON = 150; // milliseconds until what has changed is asked for

export function paletteOf(message: NodesMessage): Palette {
  const nodes = message.nodes as unknown as NodeDef[];
  const sockets = message.sockets as unknown as SocketDef[];
  return {
    nodes: new Map(nodes.map((one) => [one.kind, one])),
    sockets: new Map(sockets.map((one) => [one.name, one])),
  };
}

/** The draft that a run was submitted from, as its meta says. */
export const draftOf = (run: Pick<RunMessage, "meta">): string =>
  typeof run.meta.draft === "string" ? run.meta.draft : "";

export class ServerFeed {
  private readonly eta = new Eta();
  private readonly progress = new Map<string, ProgressMessage>();
  private readonly previews = new Map<string, { header: PreviewHeader; picture: Blob }>();
  private readonly addresses = new Map<string, string>();
  private readonly soon = new Map<string, ReturnType<typeof setTimeout>>();
  private round: ReturnType<typeof setTimeout> | undefined;
  private live: ReturnType<typeof connectLive> | null = null;
  private readonly ends = new Set<(run: RunMessage) => void>();
  /** Runs whose end has been told. */
  private readonly ended = new Set<string>();
  /** When something of a run was heard last, and when its status was, counted over all runs: older answers are old. */
  private readonly heard = new Map<string, number>();
  private readonly turned = new Map<string, number>();
  private count = 0;
  private readonly asking = new Map<string, Promise<void>>();

  constructor(
    private readonly client: Client,
    private readonly server: ServerStore,
    private readonly workspace: Workspace,
  ) {
    workspace.onOpen((open) => void this.restore(open));
  }

  /** Be told when a run is over. */
  onEnd(listener: (run: RunMessage) => void): () => void {
    this.ends.add(listener);
    return () => this.ends.delete(listener);
  }

  connect(): void {
    this.live = connectLive({
      message: (message) => this.hear(message),
      preview: (header, picture) => {
        this.previews.set(`${header.run}\n${header.step}`, { header, picture });
        this.begin();
      },
      state: (connection) => {
        const lost = connection === "lost" && this.server.getState().connection !== "lost";
        this.server.setState(lost ? { connection, lostAt: Date.now() } : { connection });
        if (connection === "live") this.workspace.online();
      },
    });
  }

  reconnect = (): void => this.live?.retryNow();

  /** What nodes, models and outputs there are, asked anew. */
  async refresh(): Promise<void> {
    const message = await this.client.nodes();
    this.server.setState({
      palette: paletteOf(message),
      fresh: message.fresh,
      version: message.version,
      packs: message.packs,
    });
    await Promise.all([this.refreshNames(), this.refreshOutputs()]);
  }

  async refreshOutputs(): Promise<void> {
    const { files } = await this.client.outputs().catch(() => ({ files: null }));
    if (files) this.server.setState({ outputs: files });
  }

  /** The models, and the names for every kind of file that some knob takes. */
  async refreshNames(): Promise<void> {
    const { palette, workers } = this.server.getState();
    if (!isUp(workers)) return; // it is asked again as soon as one is
    const kinds = new Set<string>();
    for (const node of palette.nodes.values()) for (const knob of node.knobs) if (knob.file) kinds.add(knob.file);
    const asked = [...kinds].map((kind) => this.client.names(kind).catch(() => null));
    const found = (await Promise.all(asked)).filter((one) => one !== null);
    const { models } = await this.client.models().catch(() => ({ models: [] }));
    this.server.setState({
      names: Object.fromEntries(found.map(({ kind, names }) => [kind, names])),
      folders: Object.fromEntries(found.map(({ kind, folders }) => [kind, folders])),
      models,
    });
  }

  /** Show what the newest run of a document has come to. */
  async restore(open: OpenDocument): Promise<void> {
    const run = this.server.getState().runs.find((one) => draftOf(one) === open.id);
    if (!run) return;
    const known = open.run.getState();
    if (known.run === run.id && known.status === run.status && isOver(run.status)) return;
    let found: Awaited<ReturnType<Client["runSteps"]>> | null;
    let before: number;
    do {
      before = this.count;
      found = await this.client.runSteps(run.id).catch(() => null);
      if (!found) return;
    } while ((this.heard.get(run.id) ?? 0) > before); // a step went on meanwhile
    const now = this.server.getState().runs.find(({ id }) => id === run.id) ?? run;
    const seeds = seedsIn(now);
    open.lastSeeds = seeds;
    open.run.setState({ ...restored(now, found.steps, open.run.getState()), seeds });
  }

  // ── what is heard ──

  private hear(message: Spoken): void {
    switch (message.type) {
      case "snapshot":
        this.server.setState({ queue: message.queue, runs: newestFirst(message.runs), workers: message.workers });
        for (const open of this.workspace.store.getState().open) void this.restore(open);
        void this.refresh().catch(() => null);
        break;
      case "welcome":
        this.server.setState({ workers: message.workers });
        this.later("queue", () => this.refreshQueue());
        break;
      case "workers": {
        const were = isUp(this.server.getState().workers);
        this.server.setState({ workers: message.workers });
        if (!were && isUp(message.workers)) this.later("names", () => this.refreshNames());
        break;
      }
      case "nodes-changed":
        this.later("nodes", () => this.refresh());
        break;
      case "draft-changed":
        this.workspace.heard(message.draft, message.revision, message.client);
        break;
      case "progress":
        this.progress.set(`${message.run}\n${message.step}`, message);
        this.begin();
        break;
      case "event":
        this.happened(message);
    }
  }

  private happened(message: EventMessage): void {
    this.flush();
    this.heard.set(message.run, ++this.count);
    this.eta.hear(message);
    const open = this.documentOf(message.run) ?? this.turnTo(message);
    if (open) {
      const before = open.run.getState();
      const after = applyEvent(before, message);
      if (after !== before) open.run.setState(after);
    }
    const type = (message.data as { type: string }).type;
    if (type === "run-status") this.statusOf(message);
    if (type === "runs-removed") this.later("runs", () => this.refreshRuns());
    if (type === "queue-paused") this.later("queue", () => this.refreshQueue());
    if (["started", "finished", "reused", "run-started"].includes(type)) this.tellProgress(message.run);
  }

  private statusOf(message: EventMessage): void {
    const data = message.data as Partial<RunMessage> & { status: RunMessage["status"] };
    this.turned.set(message.run, this.count);
    const { runs } = this.server.getState();
    const known = runs.find(({ id }) => id === message.run);
    if (known) {
      const started = data.status === "running" ? message.time : known.started;
      const now = { ...known, status: data.status, cancelling: data.cancelling ?? false, started };
      this.server.setState({ runs: runs.map((one) => (one === known ? now : one)) });
    }
    if (!known || isOver(data.status)) void this.refreshRun(message.run);
    this.later("queue", () => this.refreshQueue());
    this.tellProgress(message.run);
  }

  /** Ask for a run, and put it among those that are known. */
  refreshRun(id: string): Promise<void> {
    const answer = this.asking.get(id) ?? this.askFor(id).finally(() => this.asking.delete(id));
    this.asking.set(id, answer);
    return answer;
  }

  private async askFor(id: string): Promise<void> {
    let run: RunMessage | null;
    let before: number;
    do {
      before = this.count;
      run = await this.client.run(id).catch(() => null);
      if (!run) return;
    } while (this.turnedSince(id, before)); // overtaken on its way
    this.know(run);
    if (!isOver(run.status)) return;
    const open = this.documentOf(id);
    if (open && open.run.getState().run === id) open.run.setState({ status: run.status, problems: run.problems });
    if (run.files.length) this.later("outputs", () => this.refreshOutputs());
    if (this.ended.has(id)) return;
    this.ended.add(id);
    for (const listener of this.ends) listener(run);
  }

  private turnedSince(run: string, count: number): boolean {
    return (this.turned.get(run) ?? 0) > count;
  }

  /** The answer to a submission. If the run has been heard of already, what was heard is newer. */
  begun(run: RunMessage): void {
    if (this.server.getState().runs.some(({ id }) => id === run.id)) return;
    this.turned.set(run.id, ++this.count);
    this.know(run);
  }

  private know(run: RunMessage): void {
    const { runs } = this.server.getState();
    const there = runs.some(({ id }) => id === run.id);
    const next = there ? runs.map((one) => (one.id === run.id ? run : one)) : [run, ...runs];
    this.server.setState({ runs: newestFirst(next) });
  }

  /** Always asked again when something changes, and never twice at once: the last answer is the newest. */
  readonly refreshQueue = oneAtATime(async () => this.server.setState({ queue: await this.client.queue() }));

  readonly refreshRuns = oneAtATime(async () => {
    const before = this.count;
    const { runs } = await this.client.runs("?limit=100");
    const newer = this.server.getState().runs.filter(({ id }) => this.turnedSince(id, before));
    const told = runs.filter(({ id }) => !newer.some((one) => one.id === id));
    this.server.setState({ runs: newestFirst([...newer, ...told]) });
  });

  // ── what passes ──

  private begin(): void {
    this.round ??= setTimeout(() => this.flush(), ROUND);
  }

  private flush(): void {
    clearTimeout(this.round);
    this.round = undefined;
    for (const message of this.progress.values()) {
      this.eta.hear(message);
      const open = this.documentOf(message.run);
      if (open) open.run.setState(applyProgress(open.run.getState(), message));
      this.tellProgress(message.run);
    }
    this.progress.clear();
    if (document.hidden) this.previews.clear(); // nobody would see them
    for (const { header, picture } of this.previews.values()) {
      const open = this.documentOf(header.run);
      if (!open) continue;
      const key = `${open.id}\n${header.step}`;
      const old = this.addresses.get(key);
      const address = URL.createObjectURL(picture);
      this.addresses.set(key, address);
      open.run.setState(applyPreview(open.run.getState(), header.step, address));
      if (old) setTimeout(() => URL.revokeObjectURL(old), 1000); // it may still be drawn
    }
    this.previews.clear();
  }

  private tellProgress(run: string): void {
    const { progress, runs } = this.server.getState();
    const status = runs.find(({ id }) => id === run)?.status;
    if (status && isOver(status)) {
      const { [run]: _, ...rest } = progress;
      this.server.setState({ progress: rest });
    } else this.server.setState({ progress: { ...progress, [run]: this.eta.ahead(run) } });
  }

  private documentOf(run: string): OpenDocument | null {
    const known = this.workspace.store.getState().open.find((one) => one.run.getState().run === run);
    return known ?? null;
  }

  /** The next run of a document has begun: show that one. */
  private turnTo(message: EventMessage): OpenDocument | null {
    if ((message.data as { status?: string }).status !== "running") return null;
    const run = this.server.getState().runs.find(({ id }) => id === message.run);
    const open = run ? this.workspace.find(draftOf(run)) : null;
    if (!run || !open) return null;
    open.run.setState({ ...begin(run.id, "running"), seeds: seedsIn(run) }, true);
    return open;
  }

  /** Do it once, soon, however often it is asked for. */
  private later(what: string, work: () => Promise<void>): void {
    if (this.soon.has(what)) return;
    this.soon.set(
      what,
      setTimeout(() => {
        this.soon.delete(what);
        work().catch(() => null); // the next snapshot tells it anyway
      }, SOON),
    );
  }
}

/** Work that is asked for while it is being done is done once more after that, however often it was asked for. */
function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let now: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  const start = () => {
    now = work().finally(() => {
      now = null;
    });
    return now;
  };
  return () => {
    if (!now) return start();
    next ??= now
      .catch(() => null)
      .then(() => {
        next = null;
        return start();
      });
    return next;
  };
}

/** Whether some worker can be asked. */
const isUp = (workers: readonly WorkerMessage[]): boolean =>
  workers.some(({ state }) => state === "ready" || state === "running");

const seedsIn = (run: RunMessage): Record<string, number> => (run.meta.seeds ?? {}) as Record<string, number>;

const newestFirst = (runs: readonly RunMessage[]): RunMessage[] => [...runs].sort((a, b) => b.number - a.number);
