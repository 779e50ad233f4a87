/** A real browser with the bench's page in it, for tests. Without Chromium on the machine they are skipped, and say so. */

import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { afterAll, afterEach, beforeAll, describe, expect, vi } from "vitest";

// A busy machine is no failure.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

const hasBrowser = existsSync(executablePath);

export interface Bench {
  page: Page;
  /** What went wrong in the page. */
  errors: string[];
}

let server: ViteDevServer | null = null;
let browser: Browser | null = null;

async function start(): Promise<void> {
  server = await createServer({
    configFile: new URL("../vite.config.ts", import.meta.url).pathname,
    logLevel: "error",
    server: { port: 0, hmr: false },
  });
  await server.listen();
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

async function stop(): Promise<void> {
  await browser?.close();
  await server?.close();
}

async function open(options: Options): Promise<Bench> {
  if (!browser || !server) throw new Error("start() first");
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, ...options });
  page.setDefaultTimeout(120_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(server.resolvedUrls?.local[0] ?? "");
  await page.waitForFunction(() => window.__bench?.view.getState().canvas);
  return { page, errors };
}

type Options = Parameters<Browser["newPage"]>[0];

/** Tests in one page of one browser, in which nothing may go wrong. `bench` is filled before the first hook of theirs. */
export function inBrowser(name: string, options: Options, tests: (bench: Bench) => void): void {
  describe.skipIf(!hasBrowser)(name, () => {
    const bench = {} as Bench;
    beforeAll(async () => {
      await start();
      Object.assign(bench, await open(options));
    });
    afterAll(stop);
    afterEach(() => expect(bench.errors).toEqual([]));
    tests(bench);
  });
}

/** Everything is mounted and painted that should be. */
export const settled = (page: Page) => page.waitForFunction(() => window.__bench.settled());

/** The middle of an element of a step, in page pixels. */
export async function place(page: Page, step: string, selector: string): Promise<[number, number]> {
  const box = await page.locator(`[data-step="${step}"] ${selector}`).first().boundingBox();
  if (!box) throw new Error(`${step} has no ${selector}`);
  return [box.x + box.width / 2, box.y + box.height / 2];
}

/** Press at one place, move over the others, let go at the last. */
export async function drag(page: Page, ...[from, ...to]: [number, number][]): Promise<void> {
  await page.mouse.move(...from!);
  await page.mouse.down();
  for (const [x, y] of to) await page.mouse.move(x, y, { steps: 4 });
  await page.mouse.up();
}
