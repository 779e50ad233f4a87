import { beforeEach, expect, it } from "vitest";
import { drag, inBrowser, place, settled } from "./page";

inBrowser("wires cut, carried over and closed", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      const { view } = window.__bench;
      view.setState({ path: [], scope: [], selection: new Set(), snap: false, linkStyle: "spline", carried: null });
      return window.__bench.showcase();
    });
    await settled(bench.page);
  });

  const document_ = () => bench.page.evaluate(() => window.__bench.document.getState());
  const inputs = async (step: string) => (await document_()).steps[step]!.inputs;
  const links = () => bench.page.evaluate(() => window.__bench.stage!.scene.links.size);
  const undo = () => bench.page.evaluate(() => window.__bench.document.undo());
  /** A point on a wire, in page pixels. */
  const onLink = (step: string, input: string) =>
    bench.page.evaluate(
      ([id, name]) => {
        const { scene, camera } = window.__bench.stage!;
        const { curve } = [...scene.links.values()].find(({ link }) => link.step === id && link.input === name)!;
        const mean = (d: number) => (curve[d]! + 3 * curve[d + 2]! + 3 * curve[d + 4]! + curve[d + 6]!) / 8;
        return [mean(0) * camera.zoom + camera.x, mean(1) * camera.zoom + camera.y] as [number, number];
      },
      [step, input],
    );

  it("a stroke with Alt cuts the wires that it crosses, in one step back; Escape calls it off", async () => {
    const { page } = bench;
    const before = await links();
    const [from, to] = await page.evaluate(() => {
      const { camera } = window.__bench.stage!;
      return [-60, 120].map((y) => [990 * camera.zoom + camera.x, y * camera.zoom + camera.y] as [number, number]);
    });
    const stroke = async (calledOff: boolean) => {
      await page.keyboard.down("Alt");
      await page.mouse.move(...from!);
      await page.mouse.down();
      await page.mouse.move(...to!, { steps: 6 });
      await page.locator("polyline.ll-knife").waitFor({ state: "attached" });
      if (calledOff) await page.keyboard.press("Escape");
      await page.mouse.up();
      await page.keyboard.up("Alt");
    };
    // By sampling: the wires that are at x = 990 anywhere from y = -60 to 120.
    const crossed = await page.evaluate(() => {
      const at = (c: ArrayLike<number>, d: number, u: number) =>
        (1 - u) ** 3 * c[d]! + 3 * (1 - u) ** 2 * u * c[d + 2]! + 3 * (1 - u) * u * u * c[d + 4]! + u ** 3 * c[d + 6]!;
      return [...window.__bench.stage!.scene.links.values()].flatMap(({ id, curve }) => {
        for (let d = 0; d + 6 < curve.length; d += 6) {
          for (let n = 0; n < 4000; n++) {
            const [a, b] = [at(curve, d, n / 4000), at(curve, d, (n + 1) / 4000)];
            const y = at(curve, d + 1, n / 4000);
            if (a < 990 !== b < 990 && y > -60 && y < 120) return [id];
          }
        }
        return [];
      });
    });
    await stroke(true);
    expect(await links()).toBe(before);
    await stroke(false);
    const left = await page.evaluate(() => [...window.__bench.stage!.scene.links.keys()]);
    expect(crossed.length).toBeGreaterThan(1);
    expect(left.filter((id) => crossed.includes(id))).toEqual([]);
    expect(left).toHaveLength(before - crossed.length);
    expect(await page.locator("polyline.ll-knife").count()).toBe(0);
    await undo();
    expect(await links()).toBe(before);
  });

  it("a node dragged with Ctrl leaves the flow, whose wires close behind it; let go on a wire it is in again", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      const { save_0: save } = made.steps;
      made.steps.sharp = { ...structuredClone(save!), kind: "bench/through", position: [1360, 0] };
      made.steps.sharp.inputs = { image: { join: ["decode_0", "image"] } };
      made.steps.save_0 = { ...save!, position: [1720, 0], inputs: { image: { join: ["sharp", "image"] } } };
      return window.__bench.load(made);
    });
    await settled(page);
    const before = await document_();
    const [x, y] = await place(page, "sharp", ".ll-title");
    await page.keyboard.down("Control");
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y + 260, { steps: 5 });
    await page.mouse.up();
    await page.keyboard.up("Control");
    expect((await inputs("save_0")).image).toEqual({ join: ["decode_0", "image"] });
    expect((await inputs("sharp")).image).toBeUndefined();
    const to = await onLink("save_0", "image");
    await drag(page, [x, y + 260], [to[0], to[1] + 30], to);
    expect((await inputs("save_0")).image).toEqual({ join: ["sharp", "image"] });
    await undo();
    await undo();
    expect(await document_()).toEqual(before);
  });

  it("a kind carried from a panel lights the wire that it would be put on, and is put on it in one step back", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.steps.save_0 = { ...made.steps.save_0!, position: [1700, 0] };
      return window.__bench.load(made);
    });
    await settled(page);
    const before = await document_();
    const carry = (kind: string, type: "dragover" | "drop", [x, y]: [number, number]) =>
      page.evaluate(
        ([carried, name, cx, cy]) => {
          const { view, stage } = window.__bench;
          view.setState({ carried: carried as string });
          const where = { clientX: cx as number, clientY: cy as number, bubbles: true, cancelable: true };
          const event = new DragEvent(name as string, { ...where, dataTransfer: new DataTransfer() });
          const taken = !document.elementFromPoint(cx as number, cy as number)!.dispatchEvent(event);
          return { taken, link: stage!.ui.getState().insertLink };
        },
        [kind, type, x, y] as const,
      );
    const at = await onLink("save_0", "image");
    expect(await carry("bench/load", "dragover", at)).toEqual({ taken: true, link: null }); // it fits no wire
    const { link } = await carry("bench/through", "dragover", at);
    expect(link).toContain("save_0");
    expect(await carry("bench/through", "dragover", [at[0], at[1] - 120])).toEqual({ taken: true, link: null });
    await carry("bench/through", "drop", at);
    const after = await document_();
    const [made] = Object.keys(after.steps).filter((id) => !(id in before.steps));
    expect(after.steps.save_0!.inputs.image).toEqual({ join: [made, "image"] });
    expect(after.steps[made!]!.inputs.image).toEqual({ join: ["decode_0", "image"] });
    await undo();
    expect(await document_()).toEqual(before);
  });

  it("a locked node is not moved, nor taken by a box; a drag on it pans", async () => {
    const { page } = bench;
    const at = await place(page, "save_0", ".ll-title");
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.steps.save_0!.locked = true;
      return window.__bench.load(made);
    });
    await settled(page);
    await page.locator('[data-step="save_0"] [aria-label="locked in its place"]').waitFor();
    const before = await page.evaluate(() => window.__bench.stage!.camera.x);
    await drag(page, at, [at[0] - 40, at[1] + 30]);
    expect((await document_()).steps.save_0!.position).toEqual([1360, 0]);
    expect((await page.evaluate(() => window.__bench.stage!.camera.x)) - before).toBeCloseTo(-40, 0);
    await page.mouse.click(at[0] - 40, at[1] + 30);
    expect(await page.evaluate(() => [...window.__bench.view.getState().selection])).toEqual(["save_0"]);
    await page.keyboard.press("Shift+ArrowUp");
    expect((await document_()).steps.save_0!.position).toEqual([1360, 0]);
    await page.keyboard.down("Shift");
    await drag(page, [at[0] - 190, at[1] - 30], [at[0] + 10, at[1] + 60]);
    await page.keyboard.up("Shift");
    expect(await page.evaluate(() => window.__bench.view.getState().selection.size)).toBe(1);
  });

  it("a locked frame is not moved, resized nor taken by a box; a copy dragged away with Alt is free", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.groups.prompt!.locked = true;
      return window.__bench.load(made);
    });
    await settled(page);
    const groups = () => page.evaluate(() => window.__bench.document.getState().groups);
    const spot = (x: number, y: number) =>
      page.evaluate(
        ([cx, cy]) => {
          const { camera } = window.__bench.stage!;
          return [cx! * camera.zoom + camera.x, cy! * camera.zoom + camera.y] as [number, number];
        },
        [x, y],
      );
    const before = await groups();
    const { x, y, width, height } = before.prompt!.rect;
    for (const at of [
      [x + 60, y + 12],
      [x + width - 6, y + height - 6],
    ] as const) {
      const from = await spot(...at);
      const camera = await page.evaluate(() => window.__bench.stage!.camera.x);
      await drag(page, from, [from[0] - 30, from[1] + 20]);
      expect((await page.evaluate(() => window.__bench.stage!.camera.x)) - camera).toBeCloseTo(-30, 0);
      expect(await groups()).toEqual(before);
    }
    const bar = await spot(x + 60, y + 12);
    await page.mouse.click(...bar);
    expect(await page.evaluate(() => [...window.__bench.view.getState().selection])).toEqual(["prompt"]);
    await page.keyboard.press("Shift+ArrowUp");
    expect(await groups()).toEqual(before);
    expect(await page.evaluate(() => window.__bench.document.getState().steps.positive_0!.position)).toEqual([340, 0]);
    await page.evaluate(() => window.__bench.view.setState({ selection: new Set() }));
    await page.keyboard.down("Shift");
    await drag(page, await spot(x - 4, y - 4), await spot(x + width + 4, y + height + 4));
    await page.keyboard.up("Shift");
    const taken = await page.evaluate(() => [...window.__bench.view.getState().selection]);
    expect([taken.includes("positive_0"), taken.includes("prompt")]).toEqual([true, false]);
    await page.mouse.click(...bar);
    await page.keyboard.down("Alt");
    await drag(page, bar, [bar[0] + 20, bar[1] + 200]);
    await page.keyboard.up("Alt");
    const { prompt, ...more } = await groups();
    const [copy, ...others] = Object.values(more);
    expect([prompt, others]).toEqual([before.prompt, []]);
    expect([copy!.locked, copy!.rect.y > y + 100]).toEqual([false, true]);
  });

  it("a hidden wire is drawn where one looks, and can be pressed only then", async () => {
    const { page } = bench;
    const at = await onLink("latent_0", "model");
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.steps.latent_0!.hidden = ["model"];
      return window.__bench.load(made);
    });
    await settled(page);
    const shown = () =>
      page.evaluate(() => {
        const { scene } = window.__bench.stage!;
        return window.__bench.stage!.shows([...scene.links.values()].find(({ link }) => link.step === "latent_0")!);
      });
    const selected = () => page.evaluate(() => [...window.__bench.stage!.ui.getState().selectedLinks]);
    await page.mouse.move(at[0], at[1]);
    expect(await shown()).toBe(false);
    await page.mouse.click(...at);
    expect(await selected()).toEqual([]);
    await page.mouse.move(...(await place(page, "latent_0", ".ll-title")));
    expect(await shown()).toBe(true);
    await page.mouse.click(...(await place(page, "latent_0", ".ll-title")));
    await page.mouse.click(...at);
    expect(await selected()).toHaveLength(1);
  });

  it("wires with right angles are found, bent and drawn where they are", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.steps.save_0 = { ...made.steps.save_0!, position: [1360, 200] };
      window.__bench.view.setState({ linkStyle: "orthogonal" });
      return window.__bench.load(made);
    });
    await settled(page);
    const corner = await page.evaluate(() => {
      const { scene, camera } = window.__bench.stage!;
      const { curve } = [...scene.links.values()].find(({ link }) => link.step === "save_0")!;
      const [x, y] = [(curve[6]! + curve[12]!) / 2, (curve[7]! + curve[13]!) / 2];
      return [x * camera.zoom + camera.x, y * camera.zoom + camera.y] as [number, number];
    });
    await page.mouse.dblclick(...corner);
    const [bend] = (await document_()).steps.save_0!.reroutes.image!;
    expect(await page.evaluate((at) => window.__bench.stage!.toCanvas(at), corner)).toEqual([
      expect.closeTo(bend![0], 0),
      expect.closeTo(bend![1], 0),
    ]);
    await drag(page, corner, [corner[0] - 30, corner[1] + 20]);
    const [moved] = (await document_()).steps.save_0!.reroutes.image!;
    expect(moved![0]).toBeLessThan(bend![0]);
  });
});
