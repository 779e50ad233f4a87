import { expect, it } from "vitest";
import type { ModelMessage } from "../api/wire";
import { emptyDocument, newStep, readDocument, SUBGRAPH } from "../core/document";
import type { Document, KnobDef, NodeDef, Palette } from "../core/types";
import { filesIn, missingIn, problemOf, type Shelf, signed } from "./models_used";

const file = { name: "file", type: "FILE", default: "", file: "checkpoint" } as unknown as KnobDef;
const LOAD = { kind: "core/load", title: "Load checkpoint", wires: [], outputs: [], knobs: [file] };
const palette: Palette = { nodes: new Map([["core/load", LOAD as unknown as NodeDef]]), sockets: new Map() };
const model = (name: string, fingerprint: string): ModelMessage => ({
  kind: "checkpoint",
  name,
  fingerprint,
  bytes: 1,
  facts: null,
  problems: [],
});
const shelf = (...models: ModelMessage[]): Shelf => ({
  names: { checkpoint: models.map(({ name }) => name) },
  folders: { checkpoint: ["/models/checkpoints", "/models"] },
  models,
});
const wants = (name: string, more: Partial<Document> = {}): Document => ({
  ...emptyDocument(),
  steps: { load: newStep("core/load", [0, 0], { inputs: { file: name } }) },
  ...more,
});
const FLUX = model("flux1-dev.safetensors", "aaaa");
const RENAMED = model("my favourite.safetensors", "bbbb");

it("a file that is here is not missing, nor one that nobody has told of yet", () => {
  expect(missingIn(wants("flux1-dev.safetensors"), palette, shelf(FLUX))).toEqual([]);
  expect(missingIn(wants("gone"), palette, { names: {}, folders: {}, models: [] })).toEqual([]);
  expect(missingIn(wants(""), palette, shelf(FLUX))).toEqual([]);
});

it("the same content under another name comes before a name like it", () => {
  const extra = { models: { checkpoint: { "flux1-dev-v2.safetensors": "bbbb" } } };
  const [one] = missingIn(wants("flux1-dev-v2.safetensors", { extra }), palette, shelf(FLUX, RENAMED));
  expect(one?.matches).toEqual([
    { name: RENAMED.name, by: "content" },
    { name: FLUX.name, by: "name" },
  ]);
});

it("a name is like another whatever its folder and suffix", () => {
  const [one] = missingIn(wants("sub/FLUX1-dev.gguf"), palette, shelf(RENAMED, FLUX));
  expect(one?.matches).toEqual([{ name: FLUX.name, by: "name" }]);
});

it("the problem says which, where it was looked for and what would fit, at the field", () => {
  const on = shelf(FLUX);
  const [one] = missingIn(wants("flux1-dev.gguf"), palette, on);
  expect(one && problemOf(one, on)).toMatchObject({
    code: "no-file",
    place: "Load checkpoint",
    what: "there is no checkpoint flux1-dev.gguf here; looked in /models/checkpoints, /models.",
    fix: "Use flux1-dev.safetensors, which has a name like it.",
    step: "load",
    field: "file",
  });
});

it("files inside subgraphs are found once for each use, and a subgraph in itself ends", () => {
  const inner = { load: newStep("core/load", [0, 0], { inputs: { file: "gone" } }) };
  const itself = { ...inner, again: newStep(`${SUBGRAPH}d`, [0, 0]) };
  const base = { id: "d", title: "", groups: {}, notes: {}, inputs: [], outputs: [], extra: {} };
  const document = {
    ...emptyDocument(),
    steps: { a: newStep(`${SUBGRAPH}d`, [0, 0]), b: newStep(`${SUBGRAPH}d`, [0, 0]) },
    definitions: { d: { ...base, steps: itself } },
  };
  expect(filesIn(document, palette).map(({ runId, path }) => [runId, path])).toEqual([
    ["a/load", ["d"]],
    ["b/load", ["d"]],
  ]);
});

it("a document that is given away says what its models are; what is not here keeps what was said of it", () => {
  expect(signed(wants(FLUX.name), palette, [FLUX, RENAMED]).models).toEqual({ checkpoint: { [FLUX.name]: "aaaa" } });
  const extra = { models: { checkpoint: { gone: "cccc", unused: "dddd" } } };
  const again = signed(wants("gone", { extra }), palette, [FLUX]);
  expect(again.models).toEqual({ checkpoint: { gone: "cccc" } });
  expect(readDocument(again).extra.models).toEqual(again.models);
  expect(signed(emptyDocument(), palette, [FLUX])).not.toHaveProperty("models");
});

it("odd marks in a document are nothing", () => {
  for (const models of [3, [], "x", { checkpoint: 3 }, { checkpoint: { gone: 4 } }] as never[])
    expect(missingIn(wants("gone", { extra: { models } }), palette, shelf(FLUX))).toHaveLength(1);
});
