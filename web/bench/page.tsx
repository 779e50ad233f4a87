/**
 * The canvas alone, with generated workflows and the real stores, for measuring and for tests in a browser. What a script
 * needs is in `window.__bench`.
 */

import { createRoot } from "react-dom/client";
import { createStore } from "zustand/vanilla";
import { createRun, createServer, createView, type StepRun } from "../src/app/stores";
import { Canvas } from "../src/canvas";
import type { Stage } from "../src/canvas/stage";
import { emptyDocument, readDocument, writeDocument } from "../src/core/document";
import { DocumentStore } from "../src/core/history";
import type { Document, Problem } from "../src/core/types";
import "../src/ui/theme.css";
import "../src/ui/base.css";
import { graph, PALETTE } from "./graphs";
import { showcase } from "./showcase";

const document_ = new DocumentStore(emptyDocument());
const view = createView();
const run = createRun();
const server = createServer();
const problems = createStore<{ problems: readonly Problem[] }>(() => ({ problems: [] }));
server.setState({ palette: PALETTE });

const STEP: StepRun = {
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

const bench = {
  document: document_,
  view,
  run,
  server,
  problems,
  stage: null as Stage | null,
  /** Show a workflow; resolves when it has been painted. */
  load(document: Document): Promise<number> {
    const began = performance.now();
    document_.reset(document);
    view.getState().canvas?.fit(undefined, false);
    return new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))));
  },
  graph: (count: number) => bench.load(graph(count)),
  showcase: () => bench.load(showcase()),
  json: () => writeDocument(document_.getState()),
  open: (json: unknown) => bench.load(readDocument(json)),
  step(id: string, more: Partial<StepRun>): void {
    run.setState(({ steps }) => ({ steps: { ...steps, [id]: { ...STEP, ...steps[id], ...more } } }));
  },
};
declare global {
  interface Window {
    __bench: typeof bench;
  }
}
window.__bench = bench;

const services = {
  widgets: {
    names: async () => ["starter/flux1", "starter/auraflow", "flux1-dev.safetensors"],
    upload: async (file: File) => file.name,
    thumbnail: () => "",
    widgetModule: (name: string) => `./widgets/${name}.js`,
  },
  nodes: { thumbnailUrl: (file: string) => file, openFile: () => {} },
};

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <Canvas
      document={document_}
      view={view}
      run={run}
      server={server}
      problems={problems}
      {...services}
      onStage={(stage) => {
        bench.stage = stage;
      }}
    />,
  );
}
