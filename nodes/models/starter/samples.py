"""The picture of the README: what a starter draws for eight prompts, each under its prompt:

    python -m nodes.models.starter.samples [--family auraflow] [--out FILE] [--seed 1]

Each picture has a seed of its own, counted up from the one given.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from nodes.models.starter import families
from nodes.models.starter.checkpoint import PROMPTS, load
from nodes.models.starter.sampling import images
from nodes.models.starter.score import HERE, recommended

COLUMNS = 4
ZOOM = 1.5
GAP, TITLE, LINE = 12, 64, 28  # pixels around a picture, above it for its prompt; letters of a line


def samples(pictures: np.ndarray, prompts: tuple[str, ...]) -> Image.Image:
    """(B, H, W, 3) uint8 in rows of four, enlarged, each under its prompt."""
    side = int(pictures.shape[1] * ZOOM)
    rows = -(-len(pictures) // COLUMNS)
    out = Image.new("RGB", (COLUMNS * (side + GAP) + GAP, rows * (side + TITLE + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(out), ImageFont.load_default(12)
    for i, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = GAP + i % COLUMNS * (side + GAP), GAP + i // COLUMNS * (side + TITLE + GAP)
        text = "\n".join(textwrap.wrap(prompt, LINE))
        pen.multiline_text((x, y + TITLE - 6), text, "black", font, anchor="ld", spacing=2)
        out.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC), (x, y + TITLE))
        pen.rectangle((x - 1, y + TITLE - 1, x + side, y + TITLE + side), outline="#cccccc")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the starter's sample sheet.")
    parser.add_argument("--family", default="flux1", choices=families.NAMES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    seeds = [args.seed + i for i in range(len(PROMPTS))]
    pictures = images(load(HERE / args.family), list(PROMPTS), seeds, recommended(HERE / args.family))
    samples(pictures, PROMPTS).save(args.out or HERE / f"samples-{args.family}.png", optimize=True)


if __name__ == "__main__":
    main()
