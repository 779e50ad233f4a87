/** One of everything, to look at: states, groups, notes, bends, a subgraph, a bypassed step, a node nobody knows. */

import { newStep } from "../src/core/document";
import type { Document } from "../src/core/types";
import { graph } from "./graphs";

export function showcase(): Document {
  const made = graph(7);
  const { steps } = made;
  steps.load_0!.title = "Load Flux.1";
  steps.negative_0!.mode = "bypassed";
  steps.sample_0!.after = { seed: "random" };
  steps.sample_0!.reroutes = { latent: [[640, 420]] };
  steps.positive_0!.color = "#5b8def";
  steps.mystery = newStep("elsewhere/upscale", [1020, 200], {
    inputs: { picture: { join: ["decode_0", "image"] }, model: { join: ["load_0", "model"] }, factor: 2 },
  });
  steps.folded = newStep("bench/decode", [1020, 420], {
    collapsed: true,
    inputs: { latent: { join: ["sample_0", "latent"] } },
  });
  steps.inner = newStep("subgraph/refine", [1020, 500], { inputs: { latent: { join: ["sample_0", "latent"] } } });
  made.groups.prompt = {
    id: "prompt",
    title: "Prompt",
    color: "#5b8def",
    rect: { x: 316, y: -56, width: 312, height: 470 },
    collapsed: false,
    locked: false,
    members: null,
    extra: {},
  };
  made.notes.hint = {
    id: "hint",
    text: "## Try this\nLower the **guidance** to `1.5` for softer pictures.\n\n- fewer steps\n- another *seed*",
    color: "",
    rect: { x: 0, y: 160, width: 264, height: 150 },
    extra: {},
  };
  made.definitions.refine = {
    id: "refine",
    title: "Refine",
    steps: {
      again: newStep("bench/sample", [0, 0], { inputs: { steps: 8 } }),
      decode: newStep("bench/decode", [340, 0], { inputs: { latent: { join: ["again", "latent"] } } }),
    },
    groups: {},
    notes: {},
    inputs: [
      { name: "latent", type: "LATENT", inner: [["again", "latent"]] },
      { name: "steps", type: "INT", inner: [["again", "steps"]] },
    ],
    outputs: [{ name: "image", type: "IMAGE", inner: [["decode", "image"]] }],
    extra: {},
  };
  return made;
}
