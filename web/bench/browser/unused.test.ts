import { beforeEach, expect, it } from "vitest";
import { inBrowser, place, settled } from "./page";

inBrowser("a node that shows only the sockets that are joined", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => window.__bench.showcase());
    await settled(bench.page);
  });

  /** The showcase with what feeds these inputs cut, and all nodes so. */
  const compact = async (...cut: [step: string, input: string][]) => {
    await bench.page.evaluate((wires) => {
      const made = structuredClone(window.__bench.document.getState());
      for (const [step, input] of wires) delete made.steps[step]!.inputs[input];
      for (const step of Object.values(made.steps)) step.compact = true;
      return window.__bench.load(made);
    }, cut);
    await settled(bench.page);
  };
  const ends = (step: string) =>
    bench.page
      .locator(`[data-step="${step}"] [data-socket]`)
      .evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset.socket));

  it("is as high in the page, painted, on the map and in the document", async () => {
    const { page } = bench;
    const before = await page.locator('[data-step="sample_0"] .ll-node').boundingBox();
    await compact(["sample_0", "negative"]);
    expect(await ends("sample_0")).toEqual(["model", "positive", "latent", "latent"]);
    const heights = await page.evaluate(() => {
      const { stage } = window.__bench;
      const { scene, camera } = stage!;
      const rect = scene.nodes.get("sample_0")!.rect;
      const element = document.querySelector<HTMLElement>('[data-step="sample_0"] .ll-node')!.offsetHeight;
      const filled: number[][] = [];
      const real = CanvasRenderingContext2D.prototype.fillRect;
      CanvasRenderingContext2D.prototype.fillRect = function (...where) {
        filled.push(where);
        return real.apply(this, where);
      };
      const kept = [...stage!.window.committed];
      stage!.window.committed.clear();
      stage!.camera = { ...camera, zoom: 0.1 };
      stage!.painter.minimap.changed();
      stage!.painter.paint();
      stage!.camera = camera;
      for (const id of kept) stage!.window.committed.add(id);
      CanvasRenderingContext2D.prototype.fillRect = real;
      const painted = filled.find(([x, y]) => x === rect.x && y === rect.y)![3];
      // On the map all are as much smaller as they are less wide.
      const map = filled
        .filter(([, , width]) => width! < 60)
        .map(([, , width, height]) => (height! * rect.width) / width!);
      return { rect: rect.height, element, painted, mapped: map.some((one) => Math.abs(one - rect.height) < 1e-6) };
    });
    expect(heights).toEqual({ rect: heights.rect, element: heights.rect, painted: heights.rect, mapped: true });
    const after = await page.locator('[data-step="sample_0"] .ll-node').boundingBox();
    expect(after!.height).toBeLessThan(before!.height);
  });

  it("takes a wire that is let go over it, also into a socket that is not drawn, and does not move meanwhile", async () => {
    const { page } = bench;
    await compact(["sample_0", "negative"], ["negative_0", "text_encoder"]);
    const box = () => page.locator('[data-step="sample_0"] .ll-node').boundingBox();
    const before = await box();
    const head = await place(page, "sample_0", ".ll-title");
    const from = await place(page, "positive_0", '[data-side="output"]');
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(...head, { steps: 4 });
    expect(await box()).toEqual(before);
    expect(await page.evaluate(() => window.__bench.stage!.ui.getState().pending?.target?.name)).toBe("negative");
    await page.mouse.up();
    expect(await page.evaluate(() => window.__bench.document.getState().steps.sample_0!.inputs.negative)).toEqual({
      join: ["positive_0", "conditioning"],
    });
    expect(await ends("sample_0")).toContain("negative");
    await page.evaluate(() => window.__bench.document.undo());
    expect(await ends("sample_0")).not.toContain("negative");
  });

  it("shows all sockets again by the button that says how many there are", async () => {
    const { page } = bench;
    await compact(["sample_0", "negative"]);
    await page.getByRole("button", { name: "Show all sockets of Sample (1 hidden)" }).click();
    expect(await ends("sample_0")).toEqual(["model", "positive", "negative", "latent", "latent"]);
    expect(await page.evaluate(() => window.__bench.document.undoLabel)).toBe("show-unused");
  });
});
