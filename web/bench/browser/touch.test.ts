import type { CDPSession } from "playwright-core";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { inBrowser, place, settled } from "./page";

type Points = [number, number][];

inBrowser("the canvas under fingers", { hasTouch: true, viewport: { width: 900, height: 700 } }, (bench) => {
  let cdp: CDPSession;
  beforeAll(async () => {
    cdp = await bench.page.context().newCDPSession(bench.page);
  });
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      window.__bench.view.setState({ menu: null, palette: null, selection: new Set() });
      return window.__bench.showcase();
    });
    await settled(bench.page);
  });

  const touch = (type: "touchStart" | "touchMove" | "touchEnd", points: Points) =>
    cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const camera = () => bench.page.evaluate(() => window.__bench.stage!.camera);

  it("two fingers pinch around their middle", async () => {
    const before = await camera();
    await touch("touchStart", [[400, 300]]);
    await touch("touchStart", [
      [400, 300],
      [500, 300],
    ]);
    for (let n = 1; n <= 5; n++)
      await touch("touchMove", [
        [400 - 10 * n, 300],
        [500 + 10 * n, 300],
      ]);
    await touch("touchEnd", []);
    const after = await camera();
    expect(after.zoom / before.zoom).toBeCloseTo(2, 1);
    expect((450 - after.x) / after.zoom).toBeCloseTo((450 - before.x) / before.zoom, 0);
  });

  it("one finger on the ground pans, on a node it moves the node", async () => {
    const before = await camera();
    await touch("touchStart", [[450, 60]]);
    for (let n = 1; n <= 4; n++) await touch("touchMove", [[450 + 10 * n, 60 + 5 * n]]);
    await touch("touchEnd", []);
    expect((await camera()).x - before.x).toBeCloseTo(40, 0);
    await settled(bench.page);
    const [x, y] = await place(bench.page, "save_0", ".ll-title");
    await touch("touchStart", [[x, y]]);
    for (let n = 1; n <= 4; n++) await touch("touchMove", [[x - 8 * n, y + 30 * n]]);
    await touch("touchEnd", []);
    expect(
      await bench.page.evaluate(() => window.__bench.document.getState().steps.save_0!.position[1]),
    ).toBeGreaterThan(100);
  });

  it("tap and tap make a wire", async () => {
    await bench.page.evaluate(() => window.__bench.view.getState().canvas?.fit(["inner", "save_0"], false));
    await settled(bench.page);
    for (const [step, selector] of [
      ["inner", '[data-side="output"]'],
      ["save_0", "[data-socket=image]"],
    ] as const) {
      const [x, y] = await place(bench.page, step, selector);
      await touch("touchStart", [[x, y]]);
      await touch("touchEnd", []);
    }
    const { image } = await bench.page.evaluate(() => window.__bench.document.getState().steps.save_0!.inputs);
    expect(image).toEqual({ join: ["inner", "image"] });
  });

  it("a long press asks for the menu", async () => {
    const [x, y] = await place(bench.page, "sample_0", ".ll-title");
    await touch("touchStart", [[x, y]]);
    await expect
      .poll(() => bench.page.evaluate(() => window.__bench.view.getState().menu?.id), { timeout: 5000 })
      .toBe("sample_0");
    await touch("touchEnd", []);
  });
});
