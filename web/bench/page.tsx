/**
 * The canvas alone, with generated workflows and the real stores, for measuring and for tests in a browser. What a script
 * needs is in `window.__bench`.
 */

import { createRoot } from "react-dom/client";
import { createStore } from "zustand/vanilla";
import { createRun, createServer, createView, type StepRun } from "../src/app/stores";
import { Canvas } from "../src/canvas";
import type { Stage } from "../src/canvas/stage";
import { addStep } from "../src/core/commands";
import { emptyDocument, readDocument, writeDocument } from "../src/core/document";
import { DocumentStore } from "../src/core/history";
import type { Document, Point, Problem } from "../src/core/types";
import "../src/ui/theme.css";
import "../src/ui/base.css";
import { make } from "./driver";
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
  make,
  graph: (count: number) => bench.load(graph(count)),
  /** Look at the middle of the board from so near, or at all of it. */
  look(to: { zoom: number } | null): void {
    const { canvas } = view.getState();
    if (!to) canvas?.fit(undefined, false);
    else if (bench.stage) {
      const [first] = bench.middle();
      if (!first) return;
      const { size } = bench.stage;
      const { x, y, width } = first.rect;
      bench.stage.moveCamera({
        x: size.width / 2 - (x + width / 2) * to.zoom,
        y: size.height / 2 - (y + 16) * to.zoom,
        zoom: to.zoom,
      });
    }
  },
  /** Nodes in the middle of the board, nearest first. */
  middle() {
    const nodes = [...(bench.stage?.scene.nodes.values() ?? [])];
    const [cx, cy] = [0, 1].map(
      (axis) => nodes.reduce((sum, one) => sum + one.step.position[axis]!, 0) / Math.max(1, nodes.length),
    );
    const away = ([x, y]: readonly [number, number]) => Math.hypot(x - cx!, y - cy!);
    return nodes.sort((a, b) => away(a.step.position) - away(b.step.position));
  },
  /** Where a move begins, in page pixels: on the head of a node in the middle, or on free ground near it. */
  place(kind: "pan" | "drag" | "zoom"): [number, number] {
    const [first] = bench.middle();
    if (!first || !bench.stage) return [0, 0];
    const { x: cx, y: cy, zoom } = bench.stage.camera;
    const { x, y, width } = first.rect;
    const free = kind === "pan" ? -30 : 16;
    return [(x + width / 2) * zoom + cx, (y + free) * zoom + cy];
  },
  /** Whether everything that should be mounted is. */
  settled: () =>
    bench.stage !== null &&
    bench.stage.window.mounted.getState().ids.length === bench.stage.window.committed.size &&
    !bench.stage.busy,
  counts: () => ({
    mounted: document.querySelectorAll(".react-flow__node").length,
    links: bench.stage?.counts.linksDrawn ?? 0,
    boxes: bench.stage?.counts.boxesDrawn ?? 0,
  }),
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
    widgetModule: (name: string) => new URL(`widgets/${name}.js`, document.baseURI).href,
  },
  nodes: {
    thumbnailUrl: (file: string) => file,
    openFile: () => {},
    addNode: (kind: string, position: Point, gesture: string) =>
      document_.run(addStep(view.getState().path, { kind, position }, PALETTE), gesture),
  },
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
