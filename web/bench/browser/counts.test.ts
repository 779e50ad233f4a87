import { beforeAll, expect, it } from "vitest";
import { inBrowser, settled } from "./page";

/** The budgets that are counts: they hold on any machine, however busy it is. */
inBrowser("a thousand nodes in a browser", { viewport: { width: 1600, height: 1000 } }, (bench) => {
  beforeAll(async () => {
    await bench.page.evaluate(() => window.__bench.graph(1000));
    await settled(bench.page);
  });

  it.each([1, 0.6, 0.46, 0.44, 0.2, 0.05])(
    "at zoom %d no more than sixty are elements, and nothing seen is left out",
    async (zoom) => {
      const { page } = bench;
      await page.evaluate((to) => window.__bench.look({ zoom: to }), zoom);
      await settled(page);
      const { mounted, boxes, seen } = await page.evaluate(() => {
        const { stage } = window.__bench;
        return { ...window.__bench.counts(), seen: stage!.scene.nodesIn(stage!.seen()).length };
      });
      expect(mounted).toBeLessThanOrEqual(60);
      expect(mounted + boxes).toBeGreaterThanOrEqual(seen);
      if (zoom < 0.45) expect(mounted).toBe(0);
      if (zoom >= 0.6) expect(boxes).toBe(0);
    },
  );

  it("coming near mounts at most six nodes a frame, boxes standing in for the rest", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.look({ zoom: 0.3 }));
    await settled(page);
    const counts = await page.evaluate(async () => {
      const { stage } = window.__bench;
      window.__bench.look({ zoom: 0.5 });
      const made: [number, number, number][] = [];
      for (let frame = 0; frame < 30; frame++) {
        await new Promise((done) => requestAnimationFrame(done));
        const seen = stage!.scene.nodesIn(stage!.seen(20)).length;
        made.push([stage!.window.committed.size, stage!.counts.boxesDrawn, seen]);
      }
      return made;
    });
    expect(counts.at(-1)![0]).toBeGreaterThan(20);
    for (const [n, [mounted]] of counts.entries()) {
      if (n > 0) expect(mounted - counts[n - 1]![0]).toBeLessThanOrEqual(6);
    }
  });

  it("a pan paints once a frame, mounts nothing anew from afar, and leaves the minimap's boxes alone", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.look(null));
    await settled(page);
    const made = await page.evaluate(async () => {
      const { stage } = window.__bench;
      const before = {
        paints: stage!.counts.paints,
        map: stage!.painter.minimap.paints,
        commits: stage!.counts.canvasCommits,
      };
      await window.__bench.make({ kind: "pan", at: [60, 500], frames: 30 });
      return {
        paints: stage!.counts.paints - before.paints,
        map: stage!.painter.minimap.paints - before.map,
        commits: stage!.counts.canvasCommits - before.commits,
        links: stage!.counts.linksDrawn,
      };
    });
    expect(made.paints).toBeGreaterThan(20);
    expect(made.paints).toBeLessThanOrEqual(33);
    expect(made.map).toBe(0);
    expect(made.commits).toBe(0);
    expect(made.links).toBeLessThanOrEqual(1429);
  });

  it("wires that are not seen are not drawn", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.look({ zoom: 1 }));
    await settled(page);
    expect(await page.evaluate(() => window.__bench.counts().links)).toBeLessThan(40);
  });

  it("a drag draws what it moves and commits nothing to React until it ends", async () => {
    const { page } = bench;
    const made = await page.evaluate(async () => {
      const { stage } = window.__bench;
      const sum = () => Object.values(stage!.counts.commits).reduce((a, b) => a + b, 0) + stage!.counts.canvasCommits;
      const at = window.__bench.place("drag");
      const event = (type: string, x: number, y: number) =>
        (document.elementFromPoint(at[0], at[1]) ?? document.body).dispatchEvent(
          new PointerEvent(type, {
            bubbles: true,
            clientX: x,
            clientY: y,
            buttons: 1,
            pointerId: 1,
            pointerType: "mouse",
          }),
        );
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      event("pointerdown", at[0], at[1]);
      event("pointermove", at[0] + 10, at[1]);
      await frame();
      await frame();
      const before = sum();
      for (let n = 0; n < 20; n++) {
        event("pointermove", at[0] + 10 + n * 4, at[1] + n * 2);
        await frame();
      }
      const during = sum() - before;
      event("pointerup", at[0] + 90, at[1] + 40);
      await frame();
      return { during, undo: window.__bench.document.undoLabel };
    });
    expect(made).toEqual({ during: 0, undo: "move" });
    await page.evaluate(() => window.__bench.document.undo());
    expect(await page.evaluate(() => window.__bench.document.undoLabel)).toBe("");
  });

  it("progress costs no React commit anywhere: the bar is moved by itself", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.look({ zoom: 1 }));
    await settled(page);
    const made = await page.evaluate(async () => {
      const { stage } = window.__bench;
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      const id = window.__bench.middle().find((node) => stage!.window.committed.has(node.id))!.id;
      window.__bench.step(id, { state: "running", done: 0, total: 50 });
      await frame();
      const before = { ...stage!.counts.commits, "": stage!.counts.canvasCommits };
      for (let n = 1; n <= 50; n++) window.__bench.step(id, { state: "running", done: n, total: 50, text: `${n}` });
      await frame();
      const after: Record<string, number> = { ...stage!.counts.commits, "": stage!.counts.canvasCommits };
      const changed = Object.keys(after).filter((one) => after[one] !== (before as Record<string, number>)[one]);
      const bar = document.querySelector<HTMLElement>(`[data-step="${id}"] .ll-progress > div`);
      return { changed, bar: bar?.style.transform };
    });
    expect(made).toEqual({ changed: [], bar: "scaleX(1)" });
  });

  it("a preview and the end of a step commit that step's node only", async () => {
    const { page } = bench;
    const made = await page.evaluate(async () => {
      const { stage } = window.__bench;
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      const id = window.__bench.middle().find((node) => stage!.window.committed.has(node.id))!.id;
      await frame();
      const before: Record<string, number> = { ...stage!.counts.commits };
      window.__bench.step(id, {
        state: "running",
        preview: "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
      });
      window.__bench.step(id, { state: "done", seconds: 1.5 });
      await frame();
      await frame();
      const others = Object.keys(stage!.counts.commits).filter(
        (one) => one !== id && stage!.counts.commits[one] !== before[one],
      );
      return { others, badge: document.querySelector(`[data-step="${id}"] .ll-badge`)?.textContent };
    });
    expect(made).toEqual({ others: [], badge: "1.5 s" });
  });
});
