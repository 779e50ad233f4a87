/** What the server can be asked. Every refusal is a `Refusal` with the server's problems. */
import type {
  DraftBody,
  DraftDocument,
  DraftMessage,
  Drafts,
  FileMessage,
  Files,
  GraphMessage,
  Models,
  Names,
  NodesMessage,
  Opened,
  ProblemMessage,
  QueueMessage,
  RunMessage,
  RunPage,
  SettingsMessage,
  Steps,
  Submission,
  System,
  Templates,
  Versions,
  WorkflowDocument,
  WorkflowMessage,
  Workflows,
} from "./wire";

type Json = Record<string, unknown>;

/** The server said no, or was not there (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problems: readonly ProblemMessage[],
  ) {
    super(problems.map((one) => `${one.place}: ${one.what} ${one.fix}`).join("\n") || `status ${status}`);
  }
  get code(): string {
    return this.problems[0]?.code ?? "";
  }
}

/** The server could not be reached. */
export function unreachable(): Refusal {
  const what = "the server does not answer.";
  const fix = "What you do here is kept; it is sent when the server is back.";
  return new Refusal(0, [{ code: "unreachable", place: "server", what, fix, step: "", field: "" }]);
}

const at = (...parts: (string | number)[]) => parts.map((one) => encodeURIComponent(String(one))).join("/");

export class Client {
  constructor(readonly base = "") {}

  async ask<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const bytes = body instanceof Blob;
    const type = bytes ? "application/octet-stream" : "application/json";
    let answer: Response;
    try {
      answer = await fetch(this.base + path, {
        method,
        headers: body === undefined ? headers : { "Content-Type": type, ...headers },
        ...(body === undefined ? {} : { body: bytes ? body : JSON.stringify(body) }),
      });
    } catch {
      throw unreachable();
    }
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refusal(answer.status, (data as { problems?: ProblemMessage[] }).problems ?? []);
    return data as T;
  }

  nodes = () => this.ask<NodesMessage>("GET", "/api/nodes");
  models = () => this.ask<Models>("GET", "/api/models");
  names = (kind: string) => this.ask<Names>("GET", `/api/names/${at(kind)}`);
  system = () => this.ask<System>("GET", "/api/system");
  settings = () => this.ask<SettingsMessage>("GET", "/api/settings");

  // runs and the queue
  submit = (body: Submission, key: string) =>
    this.ask<RunMessage>("POST", "/api/runs", body, key ? { "Idempotency-Key": key } : {});
  runs = (query = "") => this.ask<RunPage>("GET", `/api/runs${query}`);
  run = (id: string) => this.ask<RunMessage>("GET", `/api/runs/${at(id)}`);
  runGraph = (id: string) => this.ask<GraphMessage>("GET", `/api/runs/${at(id)}/graph`);
  runSteps = (id: string) => this.ask<Steps>("GET", `/api/runs/${at(id)}/steps`);
  cancel = (id: string, force = false) => this.ask<RunMessage>("POST", `/api/runs/${at(id)}/cancel`, { force });
  retry = (id: string) => this.ask<RunMessage>("POST", `/api/runs/${at(id)}/retry`, {});
  move = (id: string, to: "front" | "back") => this.ask<RunMessage>("POST", `/api/runs/${at(id)}/move`, { to });
  removeRun = (id: string) => this.ask("DELETE", `/api/runs/${at(id)}`);
  clearRuns = () => this.ask<{ count: number }>("POST", "/api/runs/clear", {});
  queue = () => this.ask<QueueMessage>("GET", "/api/queue");
  pause = () => this.ask<QueueMessage>("POST", "/api/queue/pause", {});
  resume = () => this.ask<QueueMessage>("POST", "/api/queue/resume", {});
  order = (runs: string[]) => this.ask<QueueMessage>("POST", "/api/queue/order", { runs });
  emptyQueue = () => this.ask<{ count: number }>("POST", "/api/queue/empty", {});

  // files
  outputs = (before = 0, limit = 100) => this.ask<Files>("GET", `/api/outputs?before=${before}&limit=${limit}`);
  inputs = () => this.ask<Files>("GET", "/api/inputs");
  upload = (file: Blob, name: string) =>
    this.ask<FileMessage>("POST", `/api/uploads?name=${encodeURIComponent(name)}`, new Blob([file]));
  fileUrl = (id: string) => `${this.base}/api/files/${at(id)}`;
  thumbnailUrl = (id: string, side = 256) => `${this.base}/api/files/${at(id)}/thumbnail?side=${side}`;

  // documents
  open = (document: Json) => this.ask<Opened>("POST", "/api/documents/open", { document });
  openUpload = (file: Blob) => this.ask<Opened>("POST", "/api/documents/open-upload", new Blob([file]));
  openFile = (id: string) => this.ask<Opened>("POST", "/api/documents/open-file", { id });
  workflows = () => this.ask<Workflows>("GET", "/api/workflows");
  create = (name: string, document: Json) => this.ask<WorkflowMessage>("POST", "/api/workflows", { name, document });
  workflow = (id: string) => this.ask<WorkflowDocument>("GET", `/api/workflows/${at(id)}`);
  save = (id: string, document: Json, basedOn: number | null, note = "") =>
    this.ask<WorkflowMessage>("POST", `/api/workflows/${at(id)}/versions`, { document, based_on: basedOn, note });
  rename = (id: string, name: string) => this.ask<WorkflowMessage>("PATCH", `/api/workflows/${at(id)}`, { name });
  removeWorkflow = (id: string) => this.ask("DELETE", `/api/workflows/${at(id)}`);
  versions = (id: string) => this.ask<Versions>("GET", `/api/workflows/${at(id)}/versions`);
  templates = () => this.ask<Templates>("GET", "/api/templates");
  drafts = () => this.ask<Drafts>("GET", "/api/drafts");
  draft = (id: string) => this.ask<DraftDocument>("GET", `/api/drafts/${at(id)}`);
  putDraft = (id: string, body: DraftBody) => this.ask<DraftMessage>("POST", `/api/drafts/${at(id)}`, body);
  removeDraft = (id: string) => this.ask("DELETE", `/api/drafts/${at(id)}`);
  version = (id: string, version: number) =>
    this.ask<WorkflowDocument>("GET", `/api/workflows/${at(id)}/versions/${at(version)}`);
}
