/**
 * The same moves on ComfyUI's own front end, served by comfy_stub.py: `node bench/comfy.mjs ADDRESS [sizes] [canvas,dom]`. The same
 * graphs in its own nodes, the same driver, the same trace, so that the figures stand side by side with run.mjs'.
 */

import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { dist, heap, launch } from "./run.mjs";
import { frames, quantile, traced } from "./trace.mjs";

const address = process.argv[2] ?? "http://127.0.0.1:5288/";
const sizes = (process.argv[3] ?? "50,250,1000").split(",").map(Number);
const modes = (process.argv[4] ?? "canvas,dom").split(",");
const FRAMES = 40;

/** kind, place, size, inputs as [socket, feeding node, its output], widget values, outputs */
const CHAIN = [
  ["CheckpointLoaderSimple", [0, 0], [270, 100], [], ["flux1"], ["MODEL", "CLIP", "VAE"]],
  [
    "CLIPTextEncode",
    [340, 0],
    [270, 160],
    [["clip", "CLIP", 0, 1]],
    ["a red circle on a yellow ground"],
    ["CONDITIONING"],
  ],
  ["CLIPTextEncode", [340, 220], [270, 160], [["clip", "CLIP", 0, 1]], [""], ["CONDITIONING"]],
  ["EmptyLatentImage", [340, 440], [270, 110], [], [512, 512, 1], ["LATENT"]],
  [
    "KSampler",
    [680, 0],
    [270, 260],
    [
      ["model", "MODEL", 0, 0],
      ["positive", "CONDITIONING", 1, 0],
      ["negative", "CONDITIONING", 2, 0],
      ["latent_image", "LATENT", 3, 0],
    ],
    [0, "fixed", 20, 8, "euler", "simple", 1],
    ["LATENT"],
  ],
  [
    "VAEDecode",
    [1020, 0],
    [200, 50],
    [
      ["samples", "LATENT", 4, 0],
      ["vae", "VAE", 0, 2],
    ],
    [],
    ["IMAGE"],
  ],
  ["SaveImage", [1360, 0], [270, 270], [["images", "IMAGE", 5, 0]], ["ComfyUI"], []],
];
const [WIDE, HIGH] = [1720, 680];

/** A workflow in ComfyUI's own format with exactly `count` nodes, laid out as graphs.ts lays out ours. */
function workflow(count) {
  const nodes = [];
  const links = [];
  const columns = Math.max(1, Math.ceil(Math.sqrt((count / CHAIN.length) * (HIGH / WIDE))));
  for (let chain = 0; nodes.length < count; chain++) {
    const base = nodes.length;
    for (const [type, [x, y], size, inputs, widgets, outputs] of CHAIN.slice(0, count - base)) {
      const id = nodes.length + 1;
      nodes.push({
        id,
        type,
        pos: [(chain % columns) * WIDE + x, Math.floor(chain / columns) * HIGH + y],
        size,
        flags: {},
        order: id,
        mode: 0,
        properties: {},
        widgets_values: widgets,
        outputs: outputs.map((name) => ({ name, type: name, links: [] })),
        inputs: inputs.map(([name, kind, from, slot], index) => {
          const source = nodes[base + from];
          links.push([links.length + 1, source.id, slot, id, index, kind]);
          source.outputs[slot].links.push(links.length);
          return { name, type: kind, link: links.length };
        }),
      });
    }
  }
  return {
    last_node_id: nodes.length,
    last_link_id: links.length,
    nodes,
    links,
    groups: [],
    config: {},
    extra: {},
    version: 0.4,
  };
}

/** The driver as one script that any page can be given. */
async function driver() {
  const entry = join(import.meta.dirname, "driver.ts");
  const lib = { entry, formats: ["iife"], name: "benchDriver", fileName: () => "driver.js" };
  const made = await build({ configFile: false, logLevel: "error", build: { lib, write: false } });
  return (Array.isArray(made) ? made[0] : made).output[0].code;
}

const VIEWS = { near: 1, middle: 0.5, far: 0.2, all: null };

/** Look at the middle node (or at everything); where the pointer goes down, in page pixels. */
const look = ([zoom, kind]) => {
  const { canvas, graph } = window.app;
  const nodes = graph._nodes;
  const middle = [0, 1].map((axis) => nodes.reduce((sum, one) => sum + one.pos[axis], 0) / nodes.length);
  const away = ({ pos }) => Math.hypot(pos[0] - middle[0], pos[1] - middle[1]);
  const first = [...nodes].sort((a, b) => away(a) - away(b))[0];
  const element = canvas.canvas;
  const box = element.getBoundingClientRect();
  const span = (axis) =>
    Math.max(...nodes.map((one) => one.pos[axis] + one.size[axis])) - Math.min(...nodes.map((one) => one.pos[axis]));
  const scale = zoom ?? Math.min((box.width - 96) / span(0), (box.height - 96) / span(1));
  const center = zoom === null ? middle : [first.pos[0] + first.size[0] / 2, first.pos[1]];
  canvas.ds.scale = scale;
  canvas.ds.offset[0] = box.width / 2 / scale - center[0];
  canvas.ds.offset[1] = box.height / 2 / scale - center[1];
  canvas.setDirty(true, true);
  const y = first.pos[1] + (kind === "pan" ? -50 : -14);
  const x = first.pos[0] + first.size[0] / 2;
  return [box.x + (x + canvas.ds.offset[0]) * scale, box.y + (y + canvas.ds.offset[1]) * scale];
};

/** Whether the move does what it says: how far view and nodes have moved in the middle of it. Not measured. */
const shown = async ([move]) => {
  const { canvas, graph } = window.app;
  const state = () => [...canvas.ds.offset, canvas.ds.scale, graph._nodes.reduce((sum, one) => sum + one.pos[0], 0)];
  const before = state();
  const most = [0, 0, 0, 0];
  let going = true;
  const watch = () => {
    for (const [n, value] of state().entries()) most[n] = Math.max(most[n], Math.abs(value - before[n]));
    if (going) requestAnimationFrame(watch);
  };
  watch();
  await window.benchDriver.make(move);
  going = false;
  return `view ${Math.round(most[0])}, zoom ${most[2].toFixed(2)}, nodes ${Math.round(most[3])}`;
};

async function measure(browser, code, size, dom) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  page.setDefaultTimeout(300_000);
  await page.goto(address);
  await page.waitForFunction(
    () => window.app?.graph && Object.keys(window.LiteGraph.registered_node_types).length > 5,
    null,
  );
  await page.waitForTimeout(3000);
  await page.evaluate(async (on) => {
    await window.app.ui.settings.setSettingValueAsync?.("Comfy.VueNodes.Enabled", on);
    await window.app.loadGraphData({ nodes: [], links: [], version: 0.4 });
  }, dom);
  await page.addScriptTag({ content: `${code};window.benchDriver=benchDriver` });
  const cdp = await page.context().newCDPSession(page);
  const empty = await heap(cdp);
  let wall = 0;
  const loading = await traced(cdp, async () => {
    await page.evaluate(() => performance.mark("bench-frame-load"));
    wall = await page.evaluate(async (data) => {
      const began = performance.now();
      await window.app.loadGraphData(data);
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return performance.now() - began;
    }, workflow(size));
    await page.waitForTimeout(1500);
    await page.evaluate(() => performance.mark("bench-frame-end"));
  });
  const row = { size, dom, load: { wall, cpu: frames(loading).reduce((a, b) => a + b, 0) }, moves: {} };
  for (const [name, zoom] of Object.entries(VIEWS)) {
    for (const kind of ["pan", "drag", "zoom"]) {
      const at = await page.evaluate(look, [zoom, kind]);
      await page.waitForTimeout(1000);
      const events = await traced(cdp, () =>
        page.evaluate((move) => window.benchDriver.make(move), { kind, at, frames: FRAMES }),
      );
      const cpu = frames(events);
      const elements = await page.evaluate(() => document.querySelectorAll("[data-node-id]").length);
      const moved = await page.evaluate(shown, [{ kind, at, frames: 8 }]);
      row.moves[`${kind} ${name}`] = { median: quantile(cpu, 0.5), p95: quantile(cpu, 0.95), elements, moved };
    }
  }
  row.heap = (await heap(cdp)) - empty;
  row.elements = await page.evaluate(() => document.querySelectorAll("*").length);
  await page.close();
  return row;
}

const code = await driver();
const browser = await launch();
const rows = [];
for (const dom of modes.map((mode) => mode === "dom")) {
  for (const size of sizes) {
    const row = await measure(browser, code, size, dom);
    rows.push(row);
    console.log(
      `\nComfyUI${dom ? ", DOM nodes" : ""}, ${size} nodes: load ${row.load.wall.toFixed(0)} ms (CPU ${row.load.cpu.toFixed(0)}), heap +${row.heap.toFixed(1)} MB, ${row.elements} elements`,
    );
    for (const [name, one] of Object.entries(row.moves)) {
      console.log(
        `  ${name.padEnd(12)} median ${one.median.toFixed(1).padStart(6)}  p95 ${one.p95.toFixed(1).padStart(6)}  ${one.moved}`,
      );
    }
  }
}
writeFileSync(join(dist, "comfy.json"), JSON.stringify({ browser: browser.version(), load: loadavg(), rows }, null, 1));
console.log(
  `\n${browser.version()}, load average ${loadavg()
    .map((one) => one.toFixed(1))
    .join(" ")}`,
);
await browser.close();
