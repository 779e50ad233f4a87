/**
 * From typing the address to an editor that can be used, with nothing in the browser's cache: `node bench/cold.mjs OURS COMFYUI [times]`.
 * OURS is a `latentloom serve --trust-loopback` that has painted once, so that its nodes are known; COMFYUI is its front end, served by
 * ComfyUI or by comfy_stub.py. Each load has a browser context of its own; the two take turns.
 */

import { loadavg } from "node:os";
import { launch } from "./run.mjs";
import { quantile } from "./trace.mjs";

const [ours, theirs, times = "5"] = process.argv.slice(2);
const READY = {
  "Latent Loom": [ours, () => document.querySelectorAll("[data-step] .ll-socket").length > 5],
  ComfyUI: [theirs, () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 5],
};

async function load(browser, address, ready) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  let bytes = 0;
  cdp.on("Network.loadingFinished", (one) => {
    bytes += one.encodedDataLength;
  });
  const began = performance.now();
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForFunction(ready, null, { timeout: 300_000 });
  const wall = performance.now() - began;
  const { metrics } = await cdp.send("Performance.getMetrics");
  const cpu = 1000 * metrics.find((one) => one.name === "TaskDuration").value;
  await context.close();
  return { wall, cpu, bytes };
}

const browser = await launch();
const found = Object.fromEntries(Object.keys(READY).map((name) => [name, []]));
for (let n = 0; n < Number(times); n++)
  for (const [name, [address, ready]] of Object.entries(READY)) found[name].push(await load(browser, address, ready));
await browser.close();
console.log(`load average ${loadavg()[0].toFixed(1)}, ${times} loads each, least / median`);
for (const [name, loads] of Object.entries(found)) {
  const said = (what, per = 1) =>
    [0, 0.5]
      .map((q) =>
        Math.round(
          quantile(
            loads.map((one) => one[what]),
            q,
          ) / per,
        ),
      )
      .join(" / ");
  console.log(`${name}: wall ${said("wall")} ms, main thread ${said("cpu")} ms, ${said("bytes", 1024)} KiB`);
}
