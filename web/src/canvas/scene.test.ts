import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { graph, PALETTE } from "../../bench/graphs";
import { showcase } from "../../bench/showcase";
import {
  addStep,
  connect,
  moveSteps,
  removeSteps,
  setCollapsed,
  setCompact,
  setGroupCollapsed,
  setMode,
  setValue,
} from "../core/commands";
import { boardRects, overlap, SOCKET_ROW } from "../core/geometry";
import { DocumentStore } from "../core/history";
import { nearest } from "../core/links";
import type { Point, Rect } from "../core/types";
import { neighbour } from "./neighbour";
import { Scene } from "./scene";

/** Everything a scene draws, as plain data. */
const drawn = (scene: Scene) => ({
  nodes: [...scene.nodes.values()]
    .map((one) => [one.id, one.rect, one.title, one.color, one.sockets, one.unused])
    .sort(),
  links: [...scene.links.values()].map((one) => [one.id, [...one.curve], one.color, one.idle, one.bounds]).sort(),
});

const fresh = (store: DocumentStore) => {
  const scene = new Scene();
  scene.update(store.getState(), [], PALETTE);
  return scene;
};

type Action = { does: string; a: number; b: number; at: Point };
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.record({
    does: fc.constantFrom("move", "remove", "connect", "fold", "compact", "bypass", "value", "add", "undo", "redo"),
    a: fc.nat(40),
    b: fc.nat(40),
    at: fc.tuple(fc.integer({ min: -2000, max: 2000 }), fc.integer({ min: -2000, max: 2000 })),
  }),
  { maxLength: 12 },
);

function act(store: DocumentStore, { does, a, b, at }: Action): void {
  const ids = Object.keys(store.getState().steps);
  const one = ids[a % ids.length]!;
  const other = ids[b % ids.length]!;
  if (does === "move") store.run(moveSteps([], { [one]: at }));
  if (does === "remove" && ids.length > 3) store.run(removeSteps([], [one], PALETTE, b % 2 === 0));
  if (does === "connect")
    store.run(connect([], { step: one, output: "image" }, { step: other, input: "image" }, PALETTE));
  if (does === "fold") store.run(setCollapsed([], [one], b % 2 === 0));
  if (does === "compact") store.run(setCompact([], [one, other], a % 3 > 0));
  if (does === "bypass") store.run(setMode([], [one], (["on", "muted", "bypassed"] as const)[b % 3]!));
  if (does === "value") store.run(setValue([], one, "steps", b));
  if (does === "add") store.run(addStep([], { kind: "bench/sample", position: at }, PALETTE));
  if (does === "undo") store.undo();
  if (does === "redo") store.redo();
}

describe("the scene", () => {
  it("made anew where the document changed is the scene made from nothing", () => {
    fc.assert(
      fc.property(actions, (some) => {
        const store = new DocumentStore(graph(21));
        const scene = fresh(store);
        for (const action of some) {
          act(store, action);
          scene.update(store.getState(), [], PALETTE);
        }
        expect(drawn(scene)).toEqual(drawn(fresh(store)));
      }),
      { numRuns: 60 },
    );
  });

  it("finds what is seen, and nothing else", () => {
    const scene = fresh(new DocumentStore(graph(200)));
    fc.assert(
      fc.property(
        fc.integer({ min: -500, max: 9000 }),
        fc.integer({ min: -500, max: 9000 }),
        fc.integer({ min: 1, max: 4000 }),
        (x, y, side) => {
          const area: Rect = { x, y, width: side, height: side };
          const found = scene.nodesIn(area).map((one) => one.id);
          const wanted = [...scene.nodes.values()].filter((one) => overlap(one.rect, area)).map((one) => one.id);
          expect(found.sort()).toEqual(wanted.sort());
        },
      ),
    );
  });

  it("keeps what did not change as the same object, so that nothing else is drawn anew", () => {
    const store = new DocumentStore(graph(21));
    const scene = fresh(store);
    const before = new Map(scene.nodes);
    store.run(setValue([], "sample_1", "steps", 9));
    expect([...scene.update(store.getState(), [], PALETTE)]).toEqual(["sample_1"]);
    for (const [id, node] of scene.nodes) expect(node === before.get(id)).toBe(id !== "sample_1");
  });

  it("a node that shows only what is joined is as high as the core says, has its colour, and a wire changes its ends alone", () => {
    const store = new DocumentStore(graph(21));
    for (const x of [0, 400]) store.run(addStep([], { kind: "bench/rate", position: [x, 5000] }, PALETTE));
    const scene = fresh(store);
    const before = new Map(scene.nodes);
    store.run(setCompact([], Object.keys(store.getState().steps), true));
    scene.update(store.getState(), [], PALETTE);
    const rects = boardRects(store.getState(), [], PALETTE).steps;
    for (const [id, node] of scene.nodes)
      expect([node.rect, node.color]).toEqual([rects.get(id), before.get(id)!.color]);
    const ends = (id: string) => scene.nodes.get(id)!.sockets.map((one) => `${one.side} ${one.name}`);
    expect([ends("rate"), ends("rate_2")]).toEqual([[], []]);
    expect(scene.nodes.get("rate")!.rect.height).toBe(before.get("rate")!.rect.height - SOCKET_ROW);
    store.run(connect([], { step: "rate", output: "image" }, { step: "rate_2", input: "image" }, PALETTE));
    expect([...scene.update(store.getState(), [], PALETTE)].sort()).toEqual(["rate", "rate_2"]);
    expect([ends("rate"), ends("rate_2")]).toEqual([["output image"], ["input image"]]);
    expect(drawn(scene)).toEqual(drawn(fresh(store)));
  });

  it("a shift draws nodes and their wires elsewhere, and taken back leaves no trace", () => {
    const store = new DocumentStore(graph(21));
    const scene = fresh(store);
    const before = drawn(scene);
    const link = scene.linksOf("decode_0").find((one) => one.link.input === "latent")!;
    const end = () => [...link.curve].slice(-2);
    const [x, y] = end();
    scene.shift(new Map([["decode_0", [30, 400] as Point]]));
    expect(end()).toEqual([x! + 30, y! + 400]);
    expect(scene.nodesIn({ x: 1060, y: 420, width: 10, height: 10 }).map((one) => one.id)).toContain("decode_0");
    expect(scene.linksIn(link.bounds)).toContain(link);
    scene.shift(new Map());
    expect(drawn(scene)).toEqual(before);
  });

  it("a wire is where its sockets are", () => {
    const scene = fresh(new DocumentStore(showcase()));
    for (const link of scene.links.values()) {
      const from = link.from.sockets.find((one) => one.side === "output" && one.name === link.link.from.output)!;
      expect(nearest(link.curve, scene.socketPoint(from)).distance).toBeLessThan(1e-6);
    }
  });

  it("a collapsed frame hides its content, and its wires end at the frame's bar", () => {
    const store = new DocumentStore(showcase());
    const scene = fresh(store);
    store.run(setGroupCollapsed([], "prompt", true, PALETTE));
    scene.update(store.getState(), [], PALETTE);
    expect(scene.nodes.has("positive_0")).toBe(false);
    const frame = scene.groupRect(store.getState().groups.prompt!);
    const leaving = [...scene.links.values()].filter((one) => one.from.id === "prompt");
    expect(leaving.length).toBe(2);
    for (const { curve } of leaving) expect(curve[0]).toBe(frame.x + frame.width);
    store.undo();
    scene.update(store.getState(), [], PALETTE);
    expect(drawn(scene)).toEqual(drawn(fresh(store)));
  });

  it("arrow keys reach every node of a board from any other", () => {
    const scene = fresh(new DocumentStore(graph(21)));
    const seen = new Set(["load_0"]);
    const work = ["load_0"];
    for (let id = work.pop(); id !== undefined; id = work.pop()) {
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ] as const) {
        const next = neighbour(scene, id, dx, dy, [0, 0]);
        if (next !== null && !seen.has(next)) {
          seen.add(next);
          work.push(next);
        }
      }
    }
    expect(seen.size).toBe(21);
  });
});
