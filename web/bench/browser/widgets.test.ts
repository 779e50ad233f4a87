import { beforeEach, expect, it } from "vitest";
import { drag, inBrowser, place, settled } from "./page";

inBrowser("widgets in a browser", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(async () => {
      await window.__bench.showcase();
      const { document } = window.__bench;
      const made = structuredClone(document.getState());
      const inputs = { stars: 3, tint: "#5b8def", curve: [1, 0.5, 0] };
      made.steps.rate = { ...structuredClone(made.steps.save_0!), kind: "bench/rate", inputs, position: [1360, 420] };
      return window.__bench.load(made);
    });
    await settled(bench.page);
  });

  const value = (step: string, knob: string) =>
    bench.page.evaluate(([id, name]) => window.__bench.document.getState().steps[id!]!.inputs[name!], [step, knob]);
  const field = (step: string, knob: string, what = "input") =>
    bench.page.locator(`[data-step="${step}"] [data-field="${knob}"] ${what}`);

  it("a number takes arithmetic, and what is none is kept and named, never swallowed", async () => {
    await field("latent_0", "width").fill("512*2+64");
    await bench.page.keyboard.press("Enter");
    expect(await value("latent_0", "width")).toBe(1088);
    await field("latent_0", "width").fill("wide");
    await bench.page.keyboard.press("Enter");
    expect(await value("latent_0", "width")).toBe("wide");
    await bench.page.evaluate(() => window.__bench.document.undo());
    expect(await value("latent_0", "width")).not.toBe("wide");
  });

  it("a number dragged sideways changes by its notches, in one step back, and stops at its bounds", async () => {
    await bench.page.locator(".ll-canvas").focus(); // a field that is being typed into selects its text instead
    const [x, y] = await place(bench.page, "latent_0", "[data-field=width] input");
    await drag(bench.page, [x, y], [x + 20, y], [x + 40, y]);
    expect(await value("latent_0", "width")).toBe(512 + 10 * 16);
    await drag(bench.page, [x, y], [x - 600, y]);
    expect(await value("latent_0", "width")).toBe(64);
    await bench.page.evaluate(() => window.__bench.document.undo());
    expect(await value("latent_0", "width")).toBe(672);
    await bench.page.evaluate(() => window.__bench.document.undo());
    expect((await value("latent_0", "width")) ?? 512).toBe(512);
  });

  it("a choice is found by typing", async () => {
    const { page } = bench;
    await field("sample_0", "sampler", "button").click();
    await page.keyboard.type("anc");
    await page.keyboard.press("Enter");
    expect(await value("sample_0", "sampler")).toBe("euler ancestral");
    expect(await page.locator(".ll-listbox").count()).toBe(0);
    await page.keyboard.press("ArrowUp");
    expect(await value("sample_0", "sampler")).toBe("dpm++ 2m");
  });

  it("a seed: random now, what it does after a run, and the last run's", async () => {
    const { page } = bench;
    await page.evaluate(() => window.__bench.run.setState({ seeds: { "sample_0.seed": 77 } }));
    await page.getByRole("button", { name: /use 77, the last run's/ }).click();
    expect(await value("sample_0", "seed")).toBe(77);
    await page
      .getByRole("button", { name: /new random seed now|seed, Sample: new random seed/ })
      .first()
      .click();
    expect(await value("sample_0", "seed")).not.toBe(77);
    expect(await field("sample_0", "seed", ".ll-after").textContent()).toContain("random");
    await field("sample_0", "seed", ".ll-after").click();
    expect(await page.evaluate(() => window.__bench.document.getState().steps.sample_0!.after.seed)).toBe("increment");
  });

  it("toggle, slider, colour and list of numbers write their values", async () => {
    const { page } = bench;
    await field("sample_0", "preview").click();
    expect(await value("sample_0", "preview")).toBe(false);
    await field("sample_0", "denoise", "input[type=range]").fill("0.4");
    expect(await value("sample_0", "denoise")).toBe(0.4);
    await field("rate", "tint", "input[type=color]").fill("#ff0000");
    expect(await value("rate", "tint")).toBe("#ff0000");
    await field("rate", "curve").fill("1, 0.3 0");
    await page.keyboard.press("Tab");
    expect(await value("rate", "curve")).toEqual([1, 0.3, 0]);
  });

  it("typing in a text is one step back a word", async () => {
    const { page } = bench;
    await field("negative_0", "prompt", "textarea").click();
    await page.keyboard.type("two words");
    expect(await value("negative_0", "prompt")).toBe("two words");
    await page.evaluate(() => window.__bench.document.undo());
    expect(await value("negative_0", "prompt")).toBe("two");
    await page.evaluate(() => window.__bench.document.undo());
    expect((await value("negative_0", "prompt")) ?? "").toBe("");
  });

  it("a picture dropped on its field is brought in", async () => {
    const data = await bench.page.evaluateHandle(() => {
      const made = new DataTransfer();
      made.items.add(new File(["x"], "cat.png", { type: "image/png" }));
      return made;
    });
    await field("rate", "picture", ".ll-file").dispatchEvent("drop", { dataTransfer: data });
    await expect.poll(() => value("rate", "picture")).toBe("cat.png");
  });

  it("a pack's widget writes its value, and has it again after it was taken away", async () => {
    const { page } = bench;
    await field("rate", "stars", ".ll-foreign").getByTitle("5").click();
    expect(await value("rate", "stars")).toBe(5);
    await page.evaluate(() => window.__bench.look({ zoom: 0.2 }));
    await expect
      .poll(() => page.evaluate(() => (window as unknown as { starsEnded?: number }).starsEnded ?? 0))
      .toBeGreaterThan(0);
    await page.evaluate(() => window.__bench.view.getState().canvas?.focusStep("rate"));
    const pressed = field("rate", "stars", ".ll-foreign [aria-pressed=true]");
    await expect.poll(() => pressed.count()).toBe(5);
    await page.evaluate(() => window.__bench.document.undo());
    await expect.poll(() => pressed.count()).toBe(3);
  });

  it("a pack's widget that fails, or is too new, says so on its node and nowhere else", async () => {
    const said = (knob: string) => field("rate", knob, ".ll-foreign-problem").textContent();
    expect(await said("broken")).toBe("no stars tonight");
    expect(await said("newer")).toContain("Use a newer editor");
    expect(await value("rate", "newer")).toBeUndefined();
  });

  it("a knob's problem is said on the node and tied to the field", async () => {
    const { page } = bench;
    await page.evaluate(() =>
      window.__bench.problems.setState({
        problems: [
          {
            code: "x",
            place: "latent_0.width",
            what: "is 12, less than 64.",
            fix: "Give 64 or more.",
            step: "latent_0",
            field: "width",
          },
        ],
      }),
    );
    const input = field("latent_0", "width");
    await expect.poll(() => input.getAttribute("aria-invalid")).toBe("true");
    const id = await input.getAttribute("aria-describedby");
    expect(await page.locator(`[id="${id}"]`).textContent()).toContain("less than 64");
    await page.evaluate(() => window.__bench.problems.setState({ problems: [] }));
    await expect.poll(() => input.getAttribute("aria-invalid")).toBeNull();
  });

  it("Markdown in a note is shown and cannot run anything", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      const made = structuredClone(window.__bench.document.getState());
      made.notes.hint!.text =
        "**bold** <img src=x onerror='window.hacked=1'><script>window.hacked=1</script> [a](javascript:window.hacked=1)";
      return window.__bench.load(made);
    });
    await settled(page);
    expect(await page.locator("[data-note] strong").textContent()).toBe("bold");
    expect(await page.locator("[data-note] :is(img, script, [onerror], a[href^=javascript])").count()).toBe(0);
    expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined();
  });
});
