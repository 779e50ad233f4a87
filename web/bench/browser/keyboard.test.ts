import { createRequire } from "node:module";
import { beforeEach, expect, it } from "vitest";
import { inBrowser, settled } from "./page";

inBrowser("the canvas by keyboard alone", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      window.__bench.view.setState({ path: [], scope: [], selection: new Set() });
      window.__bench.stage?.ui.setState({ focused: null, pending: null, selectedLinks: new Set() });
      return window.__bench.showcase();
    });
    await settled(bench.page);
    await bench.page.locator(".ll-canvas").focus();
  });

  const press = async (...keys: string[]) => {
    for (const key of keys) await bench.page.keyboard.press(key);
  };
  const focused = () => bench.page.evaluate(() => window.__bench.stage!.ui.getState().focused);
  /** What has the keyboard, by its accessible name. */
  const active = () =>
    bench.page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.tagName);
  const goTo = (step: string) =>
    bench.page.evaluate((id) => window.__bench.view.getState().canvas?.focusStep(id), step);

  it("arrow keys go along wires, and to what is near", async () => {
    await goTo("load_0");
    await expect.poll(active).toBe("Load Flux.1");
    await press("ArrowRight");
    const fed = await bench.page.evaluate(() =>
      window.__bench.stage!.scene.linksOf("load_0").map((link) => link.to.id),
    );
    expect(fed).toContain(await focused());
    await goTo("decode_0");
    await press("ArrowRight");
    expect(await focused()).toBe("save_0");
    await press("ArrowLeft");
    expect(await focused()).toBe("decode_0");
    await press("ArrowDown");
    expect(await focused()).toBe("mystery");
    await expect.poll(active).toContain("upscale");
  });

  it("Enter goes to the first field, Tab on to the next, Escape comes out", async () => {
    await goTo("latent_0");
    await expect.poll(active).toBe("Empty latent");
    await press("Enter");
    expect(await active()).toBe("width, Empty latent");
    await press("Tab");
    expect(await active()).toBe("height, Empty latent");
    await press("ArrowUp");
    expect(await bench.page.evaluate(() => window.__bench.document.getState().steps.latent_0!.inputs.height)).toBe(528);
    await press("Escape");
    await expect.poll(active).toBe("Empty latent");
  });

  it("Tab leaves the canvas from a node and comes back to its front", async () => {
    const { page } = bench;
    await page.evaluate(() => {
      if (document.querySelector("#after")) return;
      const button = document.createElement("button");
      button.id = "after";
      button.setAttribute("aria-label", "after");
      document.body.append(button);
    });
    await goTo("load_0");
    await expect.poll(active).toBe("Load Flux.1");
    await press("Tab");
    expect(await active()).toBe("after");
    await press("Shift+Tab");
    expect(await active()).toContain("Workflow");
  });

  it("a wire is begun at a socket, aimed with the arrows and made with Enter", async () => {
    const { page } = bench;
    await page.locator('[data-step="inner"] [data-side="output"]').focus();
    await press("Enter", "ArrowDown");
    const target = await page.evaluate(() => window.__bench.stage!.ui.getState().pending?.target);
    expect(target?.side).toBe("input");
    const says = await page.locator("[aria-live]").textContent();
    expect(says).toContain("of");
    await press("Enter");
    const made = await page.evaluate(
      ([step, name]) => window.__bench.document.getState().steps[step!]!.inputs[name!],
      [target!.step, target!.name],
    );
    expect(made).toEqual({ join: ["inner", "image"] });
    await page.locator('[data-step="load_0"] [data-socket=vae]').focus();
    await press("Enter", "Escape");
    expect(await page.evaluate(() => window.__bench.stage!.ui.getState().pending)).toBeNull();
  });

  it("Shift and arrows move what is chosen, as one step back", async () => {
    await goTo("save_0");
    await expect.poll(active).toBe("Save image");
    await press("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown");
    const position = () => bench.page.evaluate(() => window.__bench.document.getState().steps.save_0!.position);
    expect(await position()).toEqual([1400, 20]);
    await bench.page.evaluate(() => window.__bench.document.undo());
    expect(await position()).toEqual([1360, 0]);
  });

  it("F2 writes the title", async () => {
    await goTo("save_0");
    await expect.poll(active).toBe("Save image");
    await press("F2");
    await expect.poll(active).toBe("Title");
    await bench.page.keyboard.type("Keep");
    await press("Enter");
    expect(await bench.page.evaluate(() => window.__bench.document.getState().steps.save_0!.title)).toBe("Keep");
  });

  it("every socket and every field has a name that says what it is and where it leads", async () => {
    const { page } = bench;
    const names = await page
      .locator('[data-step="sample_0"] .ll-socket')
      .evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
    expect(names).toContain("model, MODEL, from Load Flux.1");
    expect(names).toContain("latent, LATENT, to 3 inputs");
    const nameless = await page.evaluate(
      () =>
        [...document.querySelectorAll<HTMLElement>(".ll-node :is(input, textarea, button, select)")].filter(
          (one) => !one.getAttribute("aria-label") && !one.textContent?.trim() && !one.closest("label"),
        ).length,
    );
    expect(nameless).toBe(0);
  });

  it.each(["light", "dark"])("axe finds nothing serious, %s", async (theme) => {
    const { page } = bench;
    await page.evaluate((name) => {
      document.documentElement.dataset.theme = name;
      window.__bench.step("decode_0", { state: "done", seconds: 1.2, peakBytes: 2e9 });
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
      });
    }, theme);
    await settled(page);
    await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core") });
    const found = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run(document.querySelector(".ll-canvas")!);
      return violations.map(
        ({ id, impact, nodes }) =>
          `${impact} ${id}: ${nodes[0]?.html.slice(0, 120)} ${nodes[0]?.failureSummary?.slice(0, 200)} (${nodes.length})`,
      );
    });
    expect(found.filter((one) => /^(serious|critical)/.test(one))).toEqual([]);
  });

  it("what has the keyboard stays an element wherever one looks", async () => {
    const { page } = bench;
    await page.locator('[data-step="positive_0"] textarea').focus();
    await page.evaluate(() => window.__bench.look({ zoom: 0.2 }));
    await settled(page);
    await page.keyboard.type("still here ");
    expect(await page.evaluate(() => window.__bench.document.getState().steps.positive_0!.inputs.prompt)).toContain(
      "still here",
    );
  });
});
