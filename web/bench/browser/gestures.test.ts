import { beforeEach, expect, it } from "vitest";
import { drag, inBrowser, place, settled } from "./page";

inBrowser("the canvas under a mouse", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      window.__bench.view.setState({
        path: [],
        scope: [],
        selection: new Set(),
        palette: null,
        menu: null,
        readOnly: false,
        snap: false,
      });
      return window.__bench.showcase();
    });
    await settled(bench.page);
  });

  const inputs = (step: string) =>
    bench.page.evaluate((id) => window.__bench.document.getState().steps[id]!.inputs, step);
  const position = (step: string) =>
    bench.page.evaluate((id) => window.__bench.document.getState().steps[id]!.position, step);
  const selection = () => bench.page.evaluate(() => [...window.__bench.view.getState().selection].sort());
  const undo = () => bench.page.evaluate(() => window.__bench.document.undo());
  const steps = () => bench.page.evaluate(() => Object.keys(window.__bench.document.getState().steps).sort());
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

  it("a node dragged is one step back, and its element is where the document has it", async () => {
    const [x, y] = await place(bench.page, "save_0", ".ll-title");
    await drag(bench.page, [x, y], [x + 40, y + 90], [x + 31, y + 150]);
    const [px, py] = await position("save_0");
    expect(px).toBeGreaterThan(1380);
    expect(py).toBeGreaterThan(150);
    const transform = await bench.page
      .locator('[data-id="save_0"]')
      .evaluate((element) => (element as HTMLElement).style.transform);
    expect(transform).toBe(`translate(${px}px, ${py}px)`);
    expect(await selection()).toEqual(["save_0"]);
    await undo();
    expect(await position("save_0")).toEqual([1360, 0]);
  });

  it("with snapping a node lands on the grid", async () => {
    await bench.page.evaluate(() => window.__bench.view.setState({ snap: true }));
    const [x, y] = await place(bench.page, "mystery", ".ll-title");
    await drag(bench.page, [x, y], [x + 13, y + 371]);
    for (const one of await position("mystery")) expect(Math.abs(one % 20)).toBe(0);
  });

  it("Escape during a drag puts everything back", async () => {
    const [x, y] = await place(bench.page, "save_0", ".ll-title");
    await bench.page.mouse.move(x, y);
    await bench.page.mouse.down();
    await bench.page.mouse.move(x + 80, y + 80, { steps: 4 });
    await bench.page.keyboard.press("Escape");
    await bench.page.mouse.up();
    expect(await position("save_0")).toEqual([1360, 0]);
    expect(await bench.page.evaluate(() => window.__bench.document.undoLabel)).toBe("");
  });

  it("Alt leaves a copy behind that keeps the wires into it, in one step back", async () => {
    const before = await steps();
    const [x, y] = await place(bench.page, "decode_0", ".ll-title");
    await bench.page.keyboard.down("Alt");
    await drag(bench.page, [x, y], [x + 60, y - 120]);
    await bench.page.keyboard.up("Alt");
    const [made] = (await steps()).filter((id) => !before.includes(id));
    expect(await inputs(made!)).toMatchObject({ latent: { join: ["sample_0", "latent"] } });
    expect(await selection()).toEqual([made]);
    expect(await position("decode_0")).toEqual([1020, 0]);
    await undo();
    expect(await steps()).toEqual(before);
  });

  it("a wire drawn to a socket joins, and replaces the one that was there", async () => {
    await drag(
      bench.page,
      await place(bench.page, "inner", '[data-side="output"]'),
      await place(bench.page, "save_0", "[data-socket=image]"),
    );
    expect((await inputs("save_0")).image).toEqual({ join: ["inner", "image"] });
  });

  it("a wire let go over a node takes the first socket that fits", async () => {
    const [x, y] = await place(bench.page, "save_0", ".ll-result");
    await drag(bench.page, await place(bench.page, "inner", '[data-side="output"]'), [x, y]);
    expect((await inputs("save_0")).image).toEqual({ join: ["inner", "image"] });
  });

  it("a wire let go over a field feeds it, and the field becomes an input", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.steps.sharp = {
        ...structuredClone(made.steps.save_0!),
        kind: "bench/number",
        inputs: {},
        position: [680, -160],
      };
      return window.__bench.load(made);
    });
    await settled(page);
    await drag(
      page,
      await place(page, "sharp", '[data-side="output"]'),
      await place(page, "sample_0", "[data-field=guidance] .ll-name"),
    );
    expect((await inputs("sample_0")).guidance).toEqual({ join: ["sharp", "value"] });
    await page.locator('[data-step="sample_0"] [data-socket=guidance].ll-joined').waitFor();
    expect(await page.locator('[data-step="sample_0"] [data-field=guidance] .ll-fed').textContent()).toContain(
      "Number",
    );
  });

  it("a frame is folded by its chevron", async () => {
    const { page } = bench;
    const at = await page.evaluate(() => {
      const { camera } = window.__bench.stage!;
      return [333 * camera.zoom + camera.x, -40 * camera.zoom + camera.y] as [number, number];
    });
    await page.mouse.click(...at);
    expect(await page.evaluate(() => window.__bench.document.getState().groups.prompt!.collapsed)).toBe(true);
    await page.mouse.click(...at);
    expect(await page.evaluate(() => window.__bench.document.getState().groups.prompt!.collapsed)).toBe(false);
  });

  it("says why a socket does not fit, dims it, and joins nothing", async () => {
    const { page } = bench;
    await page.mouse.move(...(await place(page, "load_0", "[data-socket=vae]")));
    await page.mouse.down();
    await page.mouse.move(...(await place(page, "sample_0", "[data-socket=positive]")), { steps: 5 });
    expect(await page.locator(".ll-why").textContent()).toBe("It gives VAE, but CONDITIONING is wanted.");
    await page.locator('[data-step="sample_0"] [data-socket=positive].ll-fit-no').waitFor();
    await page.locator('[data-step="decode_0"] [data-socket=vae].ll-fit-no').waitFor(); // joined already
    await page.mouse.up();
    expect((await inputs("sample_0")).positive).toEqual({ join: ["positive_0", "conditioning"] });
    await page.mouse.move(...(await place(page, "decode_0", "[data-socket=image]")));
    await page.mouse.down();
    await page.mouse.move(...(await place(page, "decode_0", "[data-socket=latent]")), { steps: 5 });
    expect(await page.locator(".ll-why").textContent()).toBe("A node cannot feed itself.");
    await page.keyboard.press("Escape");
    await page.mouse.up();
  });

  it("let go over nothing asks for the palette, with the end that it shall be joined to", async () => {
    const [x, y] = await place(bench.page, "load_0", "[data-socket=vae]");
    await drag(bench.page, [x, y], [x + 20, y - 180]);
    const asked = await bench.page.evaluate(() => window.__bench.view.getState().palette);
    expect(asked?.from).toEqual({ step: "load_0", name: "vae", side: "output", type: "VAE" });
    expect(asked?.screen?.[0]).toBeCloseTo(x + 20, 3);
    expect(asked?.screen?.[1]).toBeCloseTo(y - 180, 3);
  });

  it("a wire taken off its input and let go over nothing is cut", async () => {
    const [x, y] = await place(bench.page, "save_0", "[data-socket=image]");
    await drag(bench.page, [x, y], [x - 40, y - 160]);
    expect((await inputs("save_0")).image).toBeUndefined();
  });

  it("two clicks make a wire", async () => {
    const { page } = bench;
    await page.mouse.click(...(await place(page, "inner", '[data-side="output"]')));
    await page.mouse.click(...(await place(page, "save_0", "[data-socket=image]")));
    expect((await inputs("save_0")).image).toEqual({ join: ["inner", "image"] });
  });

  it("a node let go on a wire is put into it, in one step back", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const { document, server } = window.__bench;
      const made = structuredClone(document.getState());
      made.steps.sharp = {
        ...structuredClone(made.steps.save_0!),
        kind: "bench/through",
        inputs: { amount: 0.5 },
        position: [1000, -260],
      };
      made.steps.save_0!.position = [1500, 0];
      document.reset(made);
      return server;
    });
    await page.evaluate(() => window.__bench.view.getState().canvas?.fit(undefined, false));
    await settled(page);
    const from = await place(page, "sharp", ".ll-title");
    const to = await onLink("save_0", "image");
    await drag(page, from, [to[0] - 5, to[1] - 30], to);
    expect((await inputs("save_0")).image).toEqual({ join: ["sharp", "image"] });
    expect((await inputs("sharp")).image).toEqual({ join: ["decode_0", "image"] });
    await undo();
    expect((await inputs("save_0")).image).toEqual({ join: ["decode_0", "image"] });
    expect(await position("sharp")).toEqual([1000, -260]);
  });

  it("a double click bends a wire, a drag moves the bend, a double click takes it out", async () => {
    const { page } = bench;
    const bends = () => page.evaluate(() => window.__bench.document.getState().steps.latent_0!.reroutes.model ?? []);
    const at = await onLink("latent_0", "model");
    await page.mouse.dblclick(...at);
    expect(await bends()).toHaveLength(1);
    const [before] = await bends();
    await drag(page, at, [at[0] - 30, at[1] + 40]);
    const [after] = await bends();
    expect(after![0]).toBeLessThan(before![0]);
    expect(after![1]).toBeGreaterThan(before![1]);
    await page.mouse.dblclick(at[0] - 30, at[1] + 40);
    expect(await bends()).toHaveLength(0);
  });

  it("a wire that was clicked is removed by Delete", async () => {
    const { page } = bench;
    await page.mouse.click(...(await onLink("latent_0", "model")));
    await page.keyboard.press("Delete");
    expect((await inputs("latent_0")).model).toBeUndefined();
  });

  it("a box takes what it touches; with Ctrl what is wholly in it; with Alt it takes away", async () => {
    const { page } = bench;
    const [x, y] = await place(page, "sample_0", ".ll-title");
    const box = async (keys: string[], to: [number, number]) => {
      for (const key of keys) await page.keyboard.down(key);
      await drag(page, [x - 60, y - 60], to);
      for (const key of keys) await page.keyboard.up(key);
    };
    await box(["Control"], [x, y]);
    expect(await selection()).toEqual([]);
    await box(["Shift"], [x, y]);
    expect(await selection()).toEqual(["sample_0"]);
    const [dx, dy] = await place(page, "decode_0", ".ll-title");
    await page.keyboard.down("Shift");
    await drag(page, [dx - 130, dy - 60], [dx, dy]);
    await page.keyboard.up("Shift");
    expect(await selection()).toEqual(["decode_0", "sample_0"]);
    await box(["Shift", "Alt"], [x, y]);
    expect(await selection()).toEqual(["decode_0"]);
  });

  it("a frame takes along what lies in it; with Ctrl it goes alone", async () => {
    const { page } = bench;
    const head = await page.evaluate(() => {
      const { camera } = window.__bench.stage!;
      return [350 * camera.zoom + camera.x, -40 * camera.zoom + camera.y] as [number, number];
    });
    await drag(page, head, [head[0], head[1] - 60]);
    expect((await position("positive_0"))[1]).toBeLessThan(0);
    expect((await position("load_0"))[1]).toBe(0);
    await undo();
    await page.keyboard.down("Control");
    await drag(page, head, [head[0], head[1] - 60]);
    await page.keyboard.up("Control");
    expect(await position("positive_0")).toEqual([340, 0]);
    expect(await page.evaluate(() => window.__bench.document.getState().groups.prompt!.rect.y)).toBeLessThan(-100);
  });

  it("a collapsed frame hides what lies in it and keeps its wires in sight", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const { document } = window.__bench;
      document.run({
        label: "collapse",
        change: (draft) => {
          draft.groups.prompt!.collapsed = true;
        },
      });
    });
    await settled(page);
    expect(await page.locator('[data-step="positive_0"]').count()).toBe(0);
    const ends = await page.evaluate(
      () => [...window.__bench.stage!.scene.links.values()].filter((one) => one.from.id === "prompt").length,
    );
    expect(ends).toBe(2);
  });

  it("a corner dragged makes a node wider, never smaller than its rows", async () => {
    const { page } = bench;
    await page.mouse.move(...(await place(page, "latent_0", ".ll-title")));
    const from = await place(page, "latent_0", ".ll-resize");
    await drag(page, from, [from[0] + 60, from[1] - 200]);
    const [width, height] = (await page.evaluate(() => window.__bench.document.getState().steps.latent_0!.size))!;
    expect(width).toBeGreaterThan(300);
    expect(height).toBe(0);
    const box = await page.locator('[data-id="latent_0"]').evaluate((element) => (element as HTMLElement).offsetHeight);
    expect(box).toBe(await page.evaluate(() => window.__bench.stage!.scene.nodes.get("latent_0")!.layout.least));
  });

  it("a double click goes into a subgraph, and each board remembers where one looked", async () => {
    const { page } = bench;
    const before = await page.evaluate(() => window.__bench.stage!.camera);
    await page.mouse.dblclick(...(await place(page, "inner", ".ll-title")));
    await page.locator('[data-step="again"]').waitFor();
    const state = await page.evaluate(() => [
      window.__bench.view.getState().path,
      window.__bench.view.getState().scope,
    ]);
    expect(state).toEqual([["refine"], ["inner"]]);
    await page.evaluate(() => window.__bench.view.setState({ path: [], scope: [] }));
    await page.locator('[data-step="inner"]').waitFor();
    expect(await page.evaluate(() => window.__bench.stage!.camera)).toEqual(before);
  });

  it("an unknown node keeps its wires and values", async () => {
    const label = await bench.page.locator('[data-step="mystery"]').getAttribute("aria-label");
    expect(label).toContain("unknown");
    const links = await bench.page.evaluate(() => window.__bench.stage!.scene.linksOf("mystery").length);
    expect(links).toBe(2);
    expect(await inputs("mystery")).toMatchObject({ factor: 2 });
  });

  it("the wheel scrolls a text that is longer than its box, else it zooms around the pointer", async () => {
    const { page } = bench;
    const zoom = () => page.evaluate(() => window.__bench.stage!.camera.zoom);
    const field = page.locator('[data-step="positive_0"] textarea');
    await field.fill("line\n".repeat(40));
    const before = await zoom();
    await page.mouse.move(...(await place(page, "positive_0", "textarea")));
    await page.mouse.wheel(0, 120);
    await expect.poll(() => field.evaluate((element) => element.scrollTop)).toBeGreaterThan(0);
    expect(await zoom()).toBe(before);
    await page.mouse.move(700, 60);
    const under = await page.evaluate(() => window.__bench.stage!.toCanvas([700, 60]));
    await page.mouse.wheel(0, -120);
    await expect.poll(zoom).toBeGreaterThan(before);
    const after = await page.evaluate(() => window.__bench.stage!.toCanvas([700, 60]));
    expect(after[0]).toBeCloseTo(under[0], 3);
    expect(after[1]).toBeCloseTo(under[1], 3);
  });

  it("somebody else's document can be looked at and not changed", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.view.setState({ readOnly: true }));
    const [x, y] = await place(page, "save_0", ".ll-title");
    await drag(page, [x, y], [x + 50, y + 50]);
    await drag(
      page,
      await place(page, "inner", '[data-side="output"]'),
      await place(page, "save_0", "[data-socket=image]"),
    );
    expect(await page.evaluate(() => window.__bench.document.undoLabel)).toBe("");
    expect(await position("save_0")).toEqual([1360, 0]);
  });

  it("the menu is asked for on what is under the pointer", async () => {
    const { page } = bench;
    const menu = () => page.evaluate(() => window.__bench.view.getState().menu);
    await page.mouse.click(...(await place(page, "sample_0", ".ll-title")), { button: "right" });
    expect(await menu()).toMatchObject({ on: "step", id: "sample_0" });
    await page.mouse.click(...(await onLink("latent_0", "model")), { button: "right" });
    expect(await menu()).toMatchObject({ on: "link", field: "model" });
    await page.mouse.click(...(await place(page, "sample_0", "[data-field=steps] .ll-name")), { button: "right" });
    expect(await menu()).toMatchObject({ on: "input", id: "sample_0", field: "steps" });
  });
});
