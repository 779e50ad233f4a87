import { beforeEach, expect, it } from "vitest";
import { drag, inBrowser, place, settled } from "./page";

inBrowser("groups under a mouse", {}, (bench) => {
  beforeEach(async () => {
    await bench.page.evaluate(() => {
      window.__bench.view.setState({ path: [], scope: [], selection: new Set(), snap: false });
      return window.__bench.showcase();
    });
    await settled(bench.page);
  });

  const document_ = () => bench.page.evaluate(() => window.__bench.document.getState());
  /** Page pixels of a point of the canvas. */
  const screen = (x: number, y: number) =>
    bench.page.evaluate(
      ([cx, cy]) => {
        const { camera } = window.__bench.stage!;
        return [cx! * camera.zoom + camera.x, cy! * camera.zoom + camera.y] as [number, number];
      },
      [x, y],
    );

  it("a node dropped where a folded frame hides its own stays in sight, and stays when the bar is moved", async () => {
    const { page } = bench;
    await page.mouse.click(...(await screen(333, -40))); // its chevron
    await page.locator('[data-step="positive_0"]').waitFor({ state: "detached" });
    const [x, y] = await place(page, "save_0", ".ll-title");
    const [tx, ty] = await screen(460, 60);
    await drag(page, [x, y], [tx, ty + 40], [tx, ty]);
    await settled(page);
    expect(await page.locator('[data-step="save_0"]').isVisible()).toBe(true);
    const before = await document_();
    const bar = await screen(450, -40);
    await drag(page, bar, [bar[0], bar[1] - 90]);
    const after = await document_();
    expect(after.steps.save_0!.position).toEqual(before.steps.save_0!.position);
    expect(after.steps.positive_0!.position[1]).toBeLessThan(before.steps.positive_0!.position[1] - 50);
    const open_ = await screen(333, after.groups.prompt!.rect.y + 16);
    await page.mouse.click(...open_);
    await page.locator('[data-step="positive_0"]').waitFor();
  });

  it("a frame dragged with Alt leaves a copy of it and of all that lies in it", async () => {
    const { page } = bench;
    const before = await document_();
    const head = await screen(450, -40);
    await page.keyboard.down("Alt");
    await drag(page, head, [head[0], head[1] - 60], await screen(450, -600));
    await page.keyboard.up("Alt");
    const after = await document_();
    const made = Object.keys(after.steps).filter((id) => !(id in before.steps));
    expect(made).toHaveLength(2);
    for (const id of made) expect(after.steps[id]!.position[1]).toBeLessThan(-200);
    expect(after.steps.positive_0!.position).toEqual(before.steps.positive_0!.position);
    expect(Object.keys(after.groups)).toHaveLength(2);
    await page.evaluate(() => window.__bench.document.undo());
    expect(await document_()).toEqual(before);
  });

  it("the arrow keys move a frame with what lies in it", async () => {
    const { page } = bench;
    await page.mouse.click(...(await screen(450, -40)));
    await page.keyboard.press("Shift+ArrowUp");
    const { steps, groups } = await document_();
    expect(groups.prompt!.rect.y).toBe(-76);
    expect(steps.positive_0!.position).toEqual([340, -20]);
  });
});
