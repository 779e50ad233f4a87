"""The picture of edits for the README: each row is a drawing of the Flux.2 starter and what it makes of it when told:

python -m nodes.models.starter.edit_samples [--model DIR] [--out FILE] [--seed 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from nodes.models.starter.checkpoint import PROMPTS, load
from nodes.models.starter.samples import samples
from nodes.models.starter.sampling import images
from nodes.models.starter.score import HERE, recommended

TOLD = (
    (PROMPTS[0], ("make the circle green", "make the square large", "remove the square")),
    (PROMPTS[2], ("paint the cross red", "make the background light blue", "remove the ring")),
    (PROMPTS[1], ("make the triangles orange", "make the triangles small", "make the background black")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the sheet of edits.")
    parser.add_argument("--model", type=Path, default=HERE / "flux2")
    parser.add_argument("--out", type=Path, default=HERE / "samples-edits.png")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    parts, settings = load(args.model), recommended(args.model)
    pictures, texts = [], []
    for row, (prompt, instructions) in enumerate(TOLD):
        first = images(parts, [prompt], [args.seed + 10 * row], settings)
        seeds = [args.seed + 10 * row + 1 + i for i in range(len(instructions))]
        shown = first.repeat(len(instructions), 0)
        pictures += [first, images(parts, list(instructions), seeds, settings, shown=shown)]
        texts += [prompt, *instructions]
    samples(np.concatenate(pictures), tuple(texts)).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
