/** Generated workflows of any size: chains like those people build, with every kind of widget, in a loose grid. */

import { newStep } from "../src/core/document";
import type { Document, Input, KnobDef, NodeDef, Palette, SocketDef, Step, WireDef } from "../src/core/types";

const knob = (
  name: string,
  type: KnobDef["type"],
  value: KnobDef["default"],
  more: Partial<KnobDef> = {},
): KnobDef => ({
  name,
  type,
  default: value,
  min: null,
  max: null,
  step: null,
  choices: [],
  multiline: false,
  seed: false,
  file: "",
  slider: false,
  color: false,
  advanced: false,
  label: "",
  help: "",
  ...more,
});

const wire = (name: string, type: string, more: Partial<WireDef> = {}): WireDef => ({
  name,
  type,
  optional: false,
  lazy: false,
  many: false,
  help: "",
  ...more,
});

const node = (
  kind: string,
  title: string,
  wires: WireDef[],
  knobs: KnobDef[],
  outputs: [string, string][],
  output = false,
): NodeDef => ({
  kind,
  title,
  category: "bench",
  help: "",
  wires,
  knobs,
  outputs: outputs.map(([name, type]) => ({ name, type, many: false, help: "" })),
  version: 1,
  purity: "pure",
  output,
  deprecated: "",
  experimental: false,
});

const NODES: NodeDef[] = [
  node(
    "bench/load",
    "Load checkpoint",
    [],
    [knob("file", "FILE", "starter/flux1", { file: "checkpoint" })],
    [
      ["model", "MODEL"],
      ["text_encoder", "TEXT_ENCODER"],
      ["vae", "VAE"],
    ],
  ),
  node(
    "bench/encode",
    "Encode text",
    [wire("text_encoder", "TEXT_ENCODER")],
    [knob("prompt", "STRING", "", { multiline: true })],
    [["conditioning", "CONDITIONING"]],
  ),
  node(
    "bench/latent",
    "Empty latent",
    [wire("model", "MODEL", { optional: true })],
    [
      knob("width", "INT", 512, { min: 64, max: 4096, step: 16 }),
      knob("height", "INT", 512, { min: 64, max: 4096, step: 16 }),
      knob("batch", "INT", 1, { min: 1, max: 64 }),
    ],
    [["latent", "LATENT"]],
  ),
  node(
    "bench/sample",
    "Sample",
    [
      wire("model", "MODEL"),
      wire("positive", "CONDITIONING"),
      wire("negative", "CONDITIONING", { optional: true }),
      wire("latent", "LATENT"),
    ],
    [
      knob("seed", "INT", 0, { min: 0, seed: true }),
      knob("steps", "INT", 20, { min: 1, max: 200 }),
      knob("guidance", "FLOAT", 3.5, { min: 0, max: 20, step: 0.1 }),
      knob("sampler", "CHOICE", "euler", { choices: ["euler", "heun", "dpm++ 2m", "euler ancestral"] }),
      knob("denoise", "FLOAT", 1, { min: 0, max: 1, step: 0.01, slider: true }),
      knob("preview", "BOOLEAN", true),
      knob("shift", "FLOAT", 1.15, { advanced: true, step: 0.05 }),
    ],
    [["latent", "LATENT"]],
  ),
  node(
    "bench/decode",
    "Decode",
    [wire("vae", "VAE"), wire("latent", "LATENT")],
    [knob("tile", "INT", 0, { min: 0 })],
    [["image", "IMAGE"]],
  ),
  node("bench/save", "Save image", [wire("image", "IMAGE")], [knob("name", "STRING", "picture")], [], true),
  node(
    "bench/rate",
    "Rate",
    [wire("image", "IMAGE", { optional: true })],
    [
      knob("stars", "INT", 3, { widget: "bench.stars" }),
      knob("broken", "INT", 1, { widget: "bench.broken" }),
      knob("newer", "INT", 2, { widget: "bench.newer" }),
      knob("tint", "STRING", "#5b8def", { color: true }),
      knob("curve", "FLOATS", [1, 0.5, 0]),
      knob("picture", "FILE", "", { file: "image" }),
    ],
    [["image", "IMAGE"]],
  ),
  node(
    "bench/through",
    "Sharpen",
    [wire("image", "IMAGE")],
    [knob("amount", "FLOAT", 0.5, { min: 0, max: 1, step: 0.05 })],
    [["image", "IMAGE"]],
  ),
  node("bench/many", "Batch", [wire("images", "IMAGE", { many: true })], [], [["image", "IMAGE"]]),
  node("bench/number", "Number", [], [knob("value", "FLOAT", 1)], [["value", "FLOAT"]]),
];

const SOCKETS: SocketDef[] = [
  ["MODEL", "#b39ddb", "circle"],
  ["TEXT_ENCODER", "#ffd54f", "square"],
  ["VAE", "#ff8a65", "hexagon"],
  ["CONDITIONING", "#ffb74d", "diamond"],
  ["LATENT", "#f06292", "diamond"],
  ["IMAGE", "#64b5f6", "circle"],
].map(([name, color, shape]) => ({ name, color, shape, help: "" }) as SocketDef);

/** Those that show pictures while they run. */
const PREVIEWS = new Set(["bench/sample"]);

export const PALETTE: Palette = {
  nodes: new Map(NODES.map((one) => [one.kind, { ...one, previews: PREVIEWS.has(one.kind) }])),
  sockets: new Map(SOCKETS.map((one) => [one.name, one])),
};

/** Each chain: kind, column, row within the chain, and what feeds its wires by the names in the chain. */
const CHAIN: [name: string, kind: string, x: number, y: number, inputs: Record<string, Input>][] = [
  ["load", "bench/load", 0, 0, {}],
  [
    "positive",
    "bench/encode",
    340,
    0,
    { text_encoder: { join: ["load", "text_encoder"] }, prompt: "a red circle on a yellow ground" },
  ],
  ["negative", "bench/encode", 340, 220, { text_encoder: { join: ["load", "text_encoder"] } }],
  ["latent", "bench/latent", 340, 440, { model: { join: ["load", "model"] } }],
  [
    "sample",
    "bench/sample",
    680,
    0,
    {
      model: { join: ["load", "model"] },
      positive: { join: ["positive", "conditioning"] },
      negative: { join: ["negative", "conditioning"] },
      latent: { join: ["latent", "latent"] },
    },
  ],
  ["decode", "bench/decode", 1020, 0, { vae: { join: ["load", "vae"] }, latent: { join: ["sample", "latent"] } }],
  ["save", "bench/save", 1360, 0, { image: { join: ["decode", "image"] } }],
];
const CHAIN_SIZE: readonly [number, number] = [1720, 680];

/** A workflow of exactly `count` steps. */
export function graph(count: number): Document {
  const steps: Record<string, Step> = {};
  const columns = Math.max(1, Math.ceil(Math.sqrt((count / CHAIN.length) * (CHAIN_SIZE[1] / CHAIN_SIZE[0]))));
  for (let n = 0; Object.keys(steps).length < count; n++) {
    const x = (n % columns) * CHAIN_SIZE[0];
    const y = Math.floor(n / columns) * CHAIN_SIZE[1];
    for (const [name, kind, dx, dy, inputs] of CHAIN.slice(0, count - Object.keys(steps).length)) {
      const named = Object.entries(inputs).map(([input, value]) => [input, renamed(value, n)]);
      steps[`${name}_${n}`] = newStep(kind, [x + dx, y + dy], { version: 1, inputs: Object.fromEntries(named) });
    }
  }
  return {
    title: `${count} steps`,
    steps,
    groups: {},
    notes: {},
    targets: [],
    migrations: [],
    definitions: {},
    extra: {},
  };
}

function renamed(value: Input, n: number): Input {
  const join = (value as { join?: [string, string] } | null)?.join;
  return Array.isArray(join) ? { join: [`${join[0]}_${n}`, join[1]] } : value;
}
