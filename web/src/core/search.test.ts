import { expect, test } from "vitest";
import { addNote, addStep, makeSubgraph, setTitle, setValue } from "./commands";
import { emptyDocument } from "./document";
import { findInDocument } from "./find";
import { DocumentStore } from "./history";
import { match, parseQuery, searchNodes } from "./search";
import { palette } from "./testing/fixtures";

const empty = emptyDocument();
const kinds = (text: string, options = {}) => searchNodes(empty, [], palette, text, options).map((one) => one.kind);

test("exactly, then at the start, then at a word, then inside, then loosely", () => {
  const texts = ["Blur", "Blurred", "Box Blur", "Unblurred", "Big lurid ur", "Load"];
  const scores = texts.map((one) => match(one, "blur").score);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  expect(scores.map((one) => Math.floor(one / 1000))).toEqual([4, 3, 2, 1, 1, 0]);
  expect(match("Große Ölkanne", "ol").ranges).toEqual([[6, 8]]);
  expect(match("LoadCheckpoint", "checkpoint").score).toBeGreaterThanOrEqual(2000);
});

test("all words have to be found, and filters look at sockets and packs", () => {
  expect(parseQuery(" Blur  in:IMAGE out:mask pack:pic x:y ")).toEqual({
    words: ["blur", "x:y"],
    in: ["IMAGE"],
    out: ["mask"],
    pack: ["pic"],
  });
  expect(kinds("save")[0]).toBe("pic/save");
  expect(kinds("picture load")[0]).toBe("pic/load");
  expect(kinds("load nonsense")).toEqual([]);
  expect(kinds("in:MASK").sort()).toEqual(["math/any", "pic/blur", "pic/invert", "pic/stack"]);
  expect(kinds("out:mask")).toContain("pic/load");
  expect(kinds("out:mask").includes("pic/blur")).toBe(false);
  expect(kinds("pack:math").every((one) => one.startsWith("math/"))).toBe(true);
  expect(kinds("")).toHaveLength(palette.nodes.size);
});

test("what is used often comes first among equals, and not before what fits better", () => {
  const uses = new Map([
    ["pic/stack", 500],
    ["pic/blur", 3],
  ]);
  expect(kinds("s", { uses })[0]).toBe("pic/stack");
  expect(kinds("s")[0]).not.toBe("pic/stack");
  expect(kinds("", { uses }).slice(0, 2)).toEqual(["pic/stack", "pic/blur"]);
  expect(kinds("blur", { uses })[0]).toBe("pic/blur");
});

test("a wire dropped on nothing finds the kinds that it fits, and the socket to join", () => {
  const hits = searchNodes(empty, [], palette, "", { wire: { from: "MASK" } });
  const sockets = Object.fromEntries(hits.map((one) => [one.kind, one.socket]));
  expect(sockets).toEqual({ "math/any": "value", "pic/blur": "image", "pic/invert": "mask", "pic/stack": "mask" });
  const back = searchNodes(empty, [], palette, "load", { wire: { to: "MASK" } });
  expect(back.map((one) => [one.kind, one.socket])).toEqual([["pic/load", "mask"]]);
  expect(
    searchNodes(empty, [], palette, "", { wire: { from: "INT" } }).find((one) => one.kind === "pic/paint")!.socket,
  ).toBe("seed");
});

test("subgraphs are found too, but not inside themselves; and all that is there is found by title, value and note", () => {
  const store = new DocumentStore(emptyDocument());
  store.run(addStep([], { kind: "pic/load", position: [0, 0] }, palette));
  store.run(setValue([], "load", "file", "cat on a mat.png"));
  store.run(makeSubgraph([], { steps: ["load"], groups: [], notes: [] }, "My loader", palette));
  store.run(setTitle([], "my_loader", "Entry"));
  store.run(addNote([], [0, 0], "The cat sits.\nAlways."));
  const document = store.getState();
  expect(searchNodes(document, [], palette, "loader")[0]!.kind).toBe("subgraph/my_loader");
  expect(searchNodes(document, ["my_loader"], palette, "loader").map((one) => one.kind)).not.toContain(
    "subgraph/my_loader",
  );
  expect(findInDocument(document, palette, "cat").map((one) => [one.what, one.path, one.id, one.field])).toEqual([
    ["step", ["my_loader"], "load", "file"],
    ["note", [], "note", ""],
  ]);
  expect(findInDocument(document, palette, "entry").map((one) => one.id)).toEqual(["my_loader"]);
  expect(findInDocument(document, palette, " ")).toEqual([]);
});
