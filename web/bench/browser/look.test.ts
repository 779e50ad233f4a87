import { beforeEach, expect, it } from "vitest";
import { inBrowser, settled } from "./page";

inBrowser("how the canvas looks", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      document.documentElement.dataset.text = "normal";
      window.__bench.run.setState({ steps: {} });
      return window.__bench.showcase();
    });
    await settled(bench.page);
  });

  /** The font sizes that a text is painted with, were nothing an element of the page. */
  const painted = (text: string) =>
    bench.page.evaluate((wanted) => {
      const { stage } = window.__bench;
      const kept = [...stage!.window.committed];
      const sizes: number[] = [];
      const real = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (said, ...where) {
        if (said === wanted) sizes.push(Number(/([\d.]+)px/.exec(this.font)?.[1]));
        return real.call(this, said, ...where);
      };
      stage!.window.committed.clear();
      stage!.painter.paint();
      CanvasRenderingContext2D.prototype.fillText = real;
      for (const id of kept) stage!.window.committed.add(id);
      return sizes[0];
    }, text);

  /** A picture of so many pixels, as a server sends previews. */
  const preview = (width: number, height: number) =>
    bench.page.evaluate(
      ([w, h]) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [w, h];
        canvas.getContext("2d")!.fillRect(0, 0, w, h);
        return canvas.toDataURL();
      },
      [width, height] as const,
    );

  it("a preview has its room on the node from the beginning, and covers nothing of others", async () => {
    const { page } = bench;
    const node = (id: string) => page.locator(`[data-step="${id}"] .ll-node`);
    const before = await node("sample_0").boundingBox();
    for (const [id, width, height] of [
      ["sample_0", 512, 512],
      ["sample_0", 128, 1024],
      ["decode_0", 900, 300], // its kind has not said that it gives any
      ["decode_0", 300, 900],
    ] as const) {
      const image = await preview(width, height);
      await page.evaluate(([step, src]) => window.__bench.step(step, { state: "running", preview: src }), [
        id,
        image,
      ] as const);
      const picture = page.locator(`[data-step="${id}"] img.ll-picture[src="${image}"]`);
      await picture.waitFor();
      const [inner, outer] = [await picture.boundingBox(), await node(id).boundingBox()];
      expect(inner!.height).toBeGreaterThan(20);
      expect(inner!.x).toBeGreaterThanOrEqual(outer!.x);
      expect(inner!.y).toBeGreaterThan(outer!.y + 20);
      expect(inner!.y + inner!.height).toBeLessThanOrEqual(outer!.y + outer!.height);
    }
    expect(await node("sample_0").boundingBox()).toEqual(before);
    const veil = page.locator('[data-step="decode_0"] .ll-veil');
    expect(await veil.evaluate((element) => getComputedStyle(element).opacity)).toBe("1");
    await page.locator('[data-step="decode_0"] .ll-title').hover();
    expect(await veil.evaluate((element) => getComputedStyle(element).opacity)).toBe("0");
    await page.evaluate(() => window.__bench.step("decode_0", { state: "done" }));
    await veil.waitFor({ state: "detached" });
  });

  it("painted text follows the text size as that of elements does, and both are alike where one takes the other's place", async () => {
    const { page } = bench;
    const title = page.locator('[data-step="load_0"] .ll-title');
    const size = (element: Element) => Number.parseFloat(getComputedStyle(element).fontSize);
    const [text, group] = [await title.textContent(), await painted("Prompt")];
    await page.evaluate(() => {
      document.documentElement.dataset.text = "larger";
    });
    await expect.poll(() => painted("Prompt")).toBeCloseTo(group! * 1.35, 0);
    expect(await title.evaluate(size)).toBeCloseTo(13 * 1.35, 2);
    expect(await painted(text!)).toBeCloseTo(await title.evaluate(size), 2);
    for (const element of await page.locator(".ll-node :is(.ll-name, .ll-fold, input, .ll-choice)").all()) {
      expect(await element.evaluate(size)).toBeGreaterThan(11.5 * 1.3);
    }
    await page.evaluate(() => window.__bench.stage!.zoomAt([700, 450], 0.3 / window.__bench.stage!.camera.zoom));
    await settled(page);
    const far = await painted("Sample");
    await page.evaluate(() => {
      document.documentElement.dataset.text = "normal";
    });
    await expect.poll(() => painted("Sample")).toBeCloseTo(far! / 1.35, 0);
  });
});
