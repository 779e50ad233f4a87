import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { isObject, Refused, readDocument, unplacedSteps, writeDocument } from "./document";
import { fixtures } from "./testing/fixtures";
import type { Json } from "./types";

vi.setConfig({ testTimeout: 120_000 }); // on a busy machine

const names = fc.constantFrom(
  "title",
  "note",
  "mode",
  "version",
  "position",
  "size",
  "color",
  "collapsed",
  "exposed",
  "after",
  "reroutes",
  "x",
  "__proto__",
  "constructor",
);
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);
const fields = fc.dictionary(names, json, { maxKeys: 4, noNullPrototype: true });
const id = fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.constantFrom("__proto__", "constructor", "7"));
const join = fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("x", "y")).map((pair): Json => ({ join: pair }));
const step = fc.tuple(
  fc.constantFrom("pic/blur", "no/such", ""),
  fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(json, join, fc.array(join, { maxLength: 3 })), {
    noNullPrototype: true,
  }),
  fields,
);
const steps = fc.dictionary(
  id,
  step.map(([kind, inputs, more]) => Object.fromEntries([...Object.entries(more), ["kind", kind], ["inputs", inputs]])),
  { maxKeys: 4, noNullPrototype: true },
);
const items = fc.array(fc.oneof(json, fields), { maxLength: 3 });
const ports = fc.oneof(
  json,
  fc.array(fc.record({ name: fc.string(), type: fc.string(), inner: fc.constant([["a", "b"]]), odd: json }), {
    maxLength: 2,
  }),
);
const definition = fc.record(
  { title: fc.oneof(json, fc.string()), steps, inputs: ports, outputs: ports, groups: items, notes: items, view: json },
  { requiredKeys: ["steps"], noNullPrototype: true },
);
const document = fc.record(
  {
    steps,
    title: fc.oneof(json, fc.string()),
    targets: fc.oneof(json, fc.array(fc.string())),
    groups: fc.oneof(json, items),
    notes: fc.oneof(json, items),
    view: json,
    definitions: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 3 }).filter((one) => !one.includes("/")),
      definition,
      { maxKeys: 2, noNullPrototype: true },
    ),
  },
  { requiredKeys: ["steps"], noNullPrototype: true },
);

/** Where `read` lost something of what it was given. What is usual need not be written. */
const USUAL: Record<string, string> = {
  title: '""',
  note: '""',
  color: '""',
  mode: '"on"',
  collapsed: "false",
  exposed: "[]",
  after: "{}",
  reroutes: "{}",
  definitions: "{}",
};

function lost(given: Json, out: Json | undefined, place = ""): string[] {
  const name = place.split("\n").at(-1)!;
  if (out === undefined) return USUAL[name] === JSON.stringify(given) ? [] : [place];
  if (isObject(given) && isObject(out)) {
    return Object.entries(given).flatMap(([key, one]) =>
      lost(one, Object.hasOwn(out, key) ? out[key] : undefined, `${place}\n${key}`),
    );
  }
  return JSON.stringify(given) === JSON.stringify(out) ? [] : [place];
}

test("whatever is in a document comes out as it went in", () => {
  fc.assert(
    fc.property(document, (given) => {
      const out = JSON.parse(JSON.stringify(writeDocument(readDocument(given)))) as { [name: string]: Json };
      const { groups, notes, definitions, ...rest } = given as { [name: string]: Json };
      expect(lost(rest, out)).toEqual([]);
      for (const [id, one] of Object.entries((definitions ?? {}) as Record<string, { [name: string]: Json }>)) {
        const { groups: _, notes: __, ...inner } = one;
        expect(lost(inner, (out.definitions as { [name: string]: Json })[id])).toEqual([]);
      }
      for (const [list, made] of [
        [groups, out.groups],
        [notes, out.notes],
      ] as const) {
        if (!Array.isArray(list)) continue;
        const objects = list.filter(isObject);
        const outs = made as { [name: string]: Json }[];
        expect(objects.flatMap((one, n) => lost(without(one, "id"), outs[n]))).toEqual([]);
        expect(outs.slice(objects.length)).toEqual(list.filter((one) => !isObject(one)));
      }
      expect(writeDocument(readDocument(out))).toEqual(out);
      expect(JSON.stringify(writeDocument(readDocument(out)))).toEqual(JSON.stringify(out));
    }),
    { numRuns: 300 },
  );
}, 120_000);

const without = (one: { [name: string]: Json }, name: string): { [name: string]: Json } => {
  const { [name]: _, ...rest } = one;
  return rest;
};

test("what the fixtures hold is read and written without a change but for what is usual", () => {
  for (const [, { document: given }] of fixtures)
    expect(lost(given as Json, writeDocument(readDocument(given)))).toEqual([]);
});

test.each([
  [[], "malformed-document"],
  [{}, "malformed-document"],
  [{ format: "other", steps: {} }, "malformed-document"],
  [{ steps: { a: 1 } }, "malformed-document"],
  [{ steps: { "": { kind: "a/b" } } }, "malformed-document"],
  [{ steps: {}, definitions: { d: { steps: { a: {} } } } }, "malformed-document"],
  [{ steps: {}, definitions: { "a/b": { steps: {} } } }, "malformed-document"],
  [{ steps: {}, version: 2 }, "newer-document"],
])("%j is refused", (given, code) => {
  expect(() => readDocument(given)).toThrow(Refused);
  try {
    readDocument(given);
  } catch (error) {
    expect((error as Refused).problems.map((one) => one.code)).toEqual([code]);
  }
});

test("steps without a place are named, to be laid out", () => {
  expect(unplacedSteps({ steps: { a: { kind: "x/y" }, b: { kind: "x/y", position: [1, 2] } } })).toEqual(["a"]);
});
