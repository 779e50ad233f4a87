import { beforeEach, expect, it } from "vitest";
import { drag, inBrowser, place, settled } from "./page";

inBrowser("the ports of a subgraph, from the inside", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(async () => {
      window.__bench.view.setState({ path: [], scope: [], selection: new Set() });
      await window.__bench.showcase();
      window.__bench.view.setState({ path: ["refine"], scope: ["inner"] });
    });
    await bench.page.locator('[data-step="again"]').waitFor();
    await settled(bench.page);
  });

  const inside = () => bench.page.evaluate(() => window.__bench.document.getState().definitions.refine!);
  const names = async () => (await inside()).inputs.map((one) => one.name);
  const middle = async (selector: string): Promise<[number, number]> => {
    const box = await bench.page.locator(selector).boundingBox();
    return [box!.x + box!.width / 2, box!.y + box!.height / 2];
  };

  it("a wire let go over them publishes its end, over one of them it leads that one there", async () => {
    const { page } = bench;
    await drag(
      page,
      await place(page, "again", "[data-socket=positive]"),
      await middle(".ll-ports-inputs .ll-publish"),
    );
    expect((await inside()).inputs.at(-1)).toMatchObject({
      name: "positive",
      type: "CONDITIONING",
      inner: [["again", "positive"]],
    });
    await drag(page, await place(page, "again", "[data-socket=negative]"), await middle("[data-port=positive]"));
    expect((await inside()).inputs.at(-1)!.inner).toEqual([
      ["again", "positive"],
      ["again", "negative"],
    ]);
    await drag(page, await place(page, "again", '[data-side="output"]'), await middle(".ll-ports-outputs .ll-publish"));
    expect((await inside()).outputs.map((one) => one.name)).toEqual(["image", "latent"]);
    // An output is no input: it is not taken there, and the palette is not asked for either.
    await drag(page, await place(page, "decode", '[data-side="output"]'), await middle(".ll-ports-inputs .ll-publish"));
    expect((await inside()).inputs).toHaveLength(3);
    expect(await page.evaluate(() => window.__bench.view.getState().palette)).toBeNull();
  });

  it("they are renamed, put in order and taken away, and the nodes that use it follow", async () => {
    const { page } = bench;
    const user = () => page.evaluate(() => window.__bench.document.getState().steps.inner!.inputs);
    const field = page.getByLabel("Name of latent");
    await field.fill("start");
    await field.press("Enter");
    expect(await names()).toEqual(["start", "steps"]);
    expect(await user()).toEqual({ start: { join: ["sample_0", "latent"] } });
    await page.getByLabel("Name of start").fill("steps"); // taken
    await page.getByLabel("Name of start").press("Enter");
    expect(await names()).toEqual(["start", "steps"]);
    await page.getByRole("button", { name: "Move start down" }).click();
    expect(await names()).toEqual(["steps", "start"]);
    await page.getByRole("button", { name: "Take start away" }).click();
    expect([await names(), await user()]).toEqual([["steps"], {}]);
    for (let n = 0; n < 3; n += 1) await page.evaluate(() => window.__bench.document.undo());
    expect(await names()).toEqual(["latent", "steps"]);
  });

  it("two presses publish as a drag does", async () => {
    const { page } = bench;
    await page.mouse.click(...(await place(page, "again", "[data-socket=model]")));
    await page.getByRole("button", { name: "Draw a wire here" }).first().click();
    expect(await names()).toEqual(["latent", "steps", "model"]);
    await page.evaluate(() => window.__bench.view.setState({ path: [], scope: [] }));
    await page.locator(".ll-ports").first().waitFor({ state: "detached" });
  });
});
