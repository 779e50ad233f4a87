import { expect, test } from "vitest";
import { closeMatches } from "./close";
import { readDocument } from "./document";
import { flatten, graphOf, shownOn } from "./flatten";
import { fixtures, palette } from "./testing/fixtures";
import { problemsOn, validate } from "./validate";
import { quoted, short, spelled } from "./wording";

test.each(fixtures)("%s: the problems and the graph of the server", (_name, fixture) => {
  const document = readDocument(fixture.document);
  expect(validate(document, palette)).toEqual(fixture.problems);
  if (fixture.refused) expect(flatten(document, palette).stops.map((one) => one.code)).toEqual(fixture.refused);
  else {
    const graph = graphOf(document, palette);
    expect(graph).toEqual(fixture.graph);
    const order = Object.keys((fixture.graph as { steps: object }).steps);
    expect(Object.keys(graph.steps)).toEqual(order);
  }
});

test("problems inside a subgraph are shown on the step that uses it, and once on the board inside", () => {
  const fixture = fixtures.find(([name]) => name === "subgraph-nested.json")![1];
  const json = structuredClone(fixture.document) as { definitions: { soft: { steps: Record<string, unknown> } } };
  json.definitions.soft.steps.alone = { kind: "pic/invert", inputs: {} };
  const document = readDocument(json);
  const problems = validate(document, palette);
  expect(problems.map((one) => one.place)).toEqual(["t/a/alone.image", "t/b/alone.image"]);
  expect(problemsOn(document, [], problems)).toEqual(new Map([["t", problems]]));
  expect([...problemsOn(document, ["twice"], problems).keys()]).toEqual(["a", "b"]);
  const inside = problemsOn(document, ["twice", "soft"], problems);
  expect([...inside.values()].flat().map((one) => [one.step, one.place])).toEqual([["alone", "alone.image"]]);
});

test("a step of what runs is found on the boards that show it", () => {
  const fixture = fixtures.find(([name]) => name === "subgraph-nested.json")![1];
  const document = readDocument(fixture.document);
  expect(["t/a/b1", "load", "gone/x"].map((id) => shownOn(document, [], id))).toEqual(["t", "load", "gone"]);
  expect(["t/a/b1", "load"].map((id) => shownOn(document, ["twice"], id))).toEqual(["a", ""]);
  expect(shownOn(document, ["twice", "soft"], "t/b/b1")).toBe("b1");
  expect(graphOf(document, palette, ["t", "load"]).targets).toEqual(["t/b/b2", "load"]);
});

test("close names are those that difflib finds", () => {
  expect(closeMatches("appel", ["ape", "apple", "peach", "puppy"])).toEqual(["apple", "ape"]);
  expect(closeMatches("wheel", ["while", "well", "whale"])).toEqual(["well", "while", "whale"]);
});

test("numbers and texts are spelled as the server spells them", () => {
  expect([1e6, 100000, 0.0001, 0.00001, 281474976710656, 100.5, -0.5, 0].map(short)).toEqual([
    "1e+06",
    "100000",
    "0.0001",
    "1e-05",
    "2.81475e+14",
    "100.5",
    "-0.5",
    "0",
  ]);
  expect([1.5, 1e-7, 0.00001, 123456789012345680, Number.NaN, true, null].map(spelled)).toEqual([
    "1.5",
    "1e-07",
    "1e-05",
    "123456789012345680",
    "nan",
    "True",
    "None",
  ]);
  expect(quoted('it\'s "so"\u0007')).toBe("'it\\'s \"so\"\\x07'");
});
