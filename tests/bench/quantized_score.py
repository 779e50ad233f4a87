"""What packing the starter's transformer costs its pictures: the score of each method beside the exact weights'.

    python tests/bench/quantized_score.py [--prompts 64] [--seed 0]

The same prompts and noise for all. Prints a line of Markdown for each: bytes of the transformer, pictures that are
right, points lost, how many single pictures are right no more and only now (where these two are about as many, what was
lost is chance), and how far pixels are from the exact ones.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch

from nodes.models.family import detect
from nodes.models.layers import multiplied
from nodes.models.load import load_transformer
from nodes.models.starter.checkpoint import load
from nodes.models.starter.sampling import Parts, Settings, images
from nodes.models.starter.score import held_out_captions, recommended, tally
from nodes.models.weights.packing import METHODS, MULTIPLIED
from nodes.models.weights.place import nbytes

STARTER = Path(__file__).parents[2] / "nodes" / "models" / "starter" / "flux1"


def scores(prompts: int, seed: int = 0, methods: tuple[str, ...] = (*METHODS, *MULTIPLIED)) -> list[dict[str, Any]]:
    """One row for the exact weights, then one for each method."""
    parts, settings, captions = load(STARTER), recommended(STARTER), held_out_captions(prompts, seed)
    exact = _row("float32", parts, settings, captions, seed)
    rows = [exact]
    for method in methods:
        net: Any = load_transformer(detect(STARTER), torch.float32, storage=method)
        row = _row(method, dataclasses.replace(parts, transformer=net), settings, captions, seed)
        off = (row["pictures"].astype(float) - exact["pictures"]).std()
        was, now = exact["each"], row["each"]
        turned = {
            "no more": sum(one and not other for one, other in zip(was, now, strict=True)),
            "only now": sum(other and not one for one, other in zip(was, now, strict=True)),
        }
        rows.append(row | turned | {"lost": 100 * (exact["right"] - row["right"]), "off": off})
    return rows


def _row(method: str, parts: Parts, settings: Settings, captions: list[Any], seed: int) -> dict[str, Any]:
    seeds = [seed * 100_003 + i for i in range(len(captions))]
    pictures = images(parts, [caption.text for caption in captions], seeds, settings)
    told, each = tally(pictures, captions)
    size = nbytes(parts.transformer)
    unchanged = {"lost": 0.0, "off": 0.0, "no more": 0, "only now": 0}
    return unchanged | {"method": method, "bytes": size, "right": told["all"], "each": each, "pictures": pictures}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score the starter with packed weights.")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *MULTIPLIED])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    multiplied.DEVICES = ("cuda", "cpu")  # a CPU's products in float8 are slow, and the same but for rounding
    print("| weights | MB | right | points lost | right no more | only now | pixels off (of 255) |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in scores(arguments.prompts, arguments.seed, tuple(arguments.methods)):
        sizes = f"| {row['method']} | {row['bytes'] / 1e6:.2f} | {row['right']:.1%} "
        print(f"{sizes}| {row['lost']:.1f} | {row['no more']} | {row['only now']} | {row['off']:.2f} |", flush=True)
