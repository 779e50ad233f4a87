/**
 * Measures the canvas in Chromium: `node bench/run.mjs [sizes]`. Builds the page first; prints a table and writes
 * node_modules/.bench/figures.json. CPU time of the main thread, not wall time: other work on the machine hardly shows in it.
 */

import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { loadavg } from "node:os";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { frames, quantile, traced } from "./trace.mjs";

const here = import.meta.dirname;
export const dist = join(here, "../node_modules/.bench");
const sizes = (process.argv[2] ?? "50,250,1000,2000").split(",").map(Number);
const FRAMES = 60;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** @returns the server, at a free port */
export function serve(folder) {
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url, "http://x").pathname.replace(/\/$/, "/index.html"));
    if (!path.startsWith(folder) || !existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream" });
    createReadStream(path).pipe(response);
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

export function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--enable-precise-memory-info"] });
}

export async function heap(cdp) {
  await cdp.send("HeapProfiler.collectGarbage");
  const { usedSize } = await cdp.send("Runtime.getHeapUsage");
  return usedSize / 1e6;
}

const VIEWS = {
  near: { zoom: 1 },
  middle: { zoom: 0.5 },
  far: { zoom: 0.2 },
  all: null,
};

async function measure(page, cdp, size) {
  const empty = await heap(cdp);
  let wall = 0;
  const loading = await traced(cdp, async () => {
    await page.evaluate(() => performance.mark("bench-frame-load"));
    wall = await page.evaluate((count) => window.__bench.graph(count), size);
    await page.waitForFunction(() => window.__bench.settled());
    await page.evaluate(() => performance.mark("bench-frame-end"));
  });
  const row = { size, load: { wall, cpu: frames(loading).reduce((a, b) => a + b, 0) }, moves: {} };
  for (const [name, view] of Object.entries(VIEWS)) {
    for (const kind of ["pan", "drag", "zoom"]) {
      await page.evaluate((to) => window.__bench.look(to), view);
      await page.waitForFunction(() => window.__bench.settled());
      const at = await page.evaluate((what) => window.__bench.place(what), kind);
      const events = await traced(cdp, () =>
        page.evaluate((move) => window.__bench.make(move), { kind, at, frames: FRAMES }),
      );
      const cpu = frames(events);
      const { mounted, links, boxes } = await page.evaluate(() => window.__bench.counts());
      row.moves[`${kind} ${name}`] = {
        median: quantile(cpu, 0.5),
        p95: quantile(cpu, 0.95),
        frames: cpu.length,
        mounted,
        links,
        boxes,
      };
      await page.evaluate(() => window.__bench.document.undo());
    }
  }
  await page.evaluate(() => window.__bench.look({ zoom: 1 }));
  await page.waitForFunction(() => window.__bench.settled());
  row.heap = (await heap(cdp)) - empty;
  return row;
}

async function main() {
  execFileSync("npx", ["vite", "build", "--config", join(here, "vite.config.ts"), "--logLevel", "warn"], {
    cwd: join(here, ".."),
    stdio: "inherit",
  });
  const server = await serve(dist);
  const browser = await launch();
  const rows = [];
  for (const size of sizes) {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
    await page.waitForFunction(() => window.__bench?.view.getState().canvas);
    const cdp = await page.context().newCDPSession(page);
    rows.push(await measure(page, cdp, size));
    await page.close();
  }
  const made = { browser: browser.version(), load: loadavg(), rows };
  await browser.close();
  server.close();
  writeFileSync(join(dist, "figures.json"), JSON.stringify(made, null, 1));
  for (const row of rows) {
    console.log(
      `\n${row.size} nodes: load ${row.load.wall.toFixed(0)} ms (CPU ${row.load.cpu.toFixed(0)}), heap +${row.heap.toFixed(1)} MB`,
    );
    for (const [name, one] of Object.entries(row.moves)) {
      console.log(
        `  ${name.padEnd(12)} median ${one.median.toFixed(1).padStart(6)}  p95 ${one.p95.toFixed(1).padStart(6)}  mounted ${one.mounted}  links ${one.links}  boxes ${one.boxes}`,
      );
    }
  }
  console.log(`\n${made.browser}, load average ${made.load.map((one) => one.toFixed(1)).join(" ")}`);
}

if (process.argv[1] === import.meta.filename) await main();
