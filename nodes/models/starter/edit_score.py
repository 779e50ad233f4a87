"""How often the Flux.2 starter changes what it is told in a picture, and nothing else, on scenes training never saw:

    python -m nodes.models.starter.edit_score [--model DIR] [--edits 256] [--seed 0] [--guidance 2.0]

The picture before is drawn by `drawing`. An edit counts only if everything in the picture after is right: what was told
to change, and every shape, colour, size, place and the background of what was not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from pathlib import Path

import numpy as np
import torch

from nodes.models.starter.checkpoint import load
from nodes.models.starter.edits import Edit, drawn, sample_edit
from nodes.models.starter.judge import judge
from nodes.models.starter.sampling import images, sheet
from nodes.models.starter.score import HERE, recommended


def held_out_edits(count: int, seed: int) -> list[Edit]:
    """`count` edits whose scenes, before and after, are held out; no two lead from the same scene to the same."""
    r = random.Random(f"edits/{seed}")
    chosen: dict[tuple[str, str], Edit] = {}
    while len(chosen) < count:
        edit = sample_edit(r, "held out")
        chosen.setdefault((edit.before.key(), edit.after.key()), edit)
    return list(chosen.values())


def shown(edits: list[Edit], seed: int) -> np.ndarray:
    """The pictures before, (B, 128, 128, 3) uint8."""
    return np.stack([drawn(edit.before, f"edits/{seed}/{i}") for i, edit in enumerate(edits)])


def tally(pictures: np.ndarray, edits: list[Edit]) -> tuple[dict, list[bool]]:
    """The part that is right, over all and by kind of edit, and which are."""
    right = [all(judge(p, edit.claims()).values()) for p, edit in zip(pictures, edits, strict=True)]
    by_kind: dict[str, list[bool]] = {}
    for ok, edit in zip(right, edits, strict=True):
        by_kind.setdefault(edit.told.kind, []).append(ok)
    kinds = {k: {"edits": len(v), "right": round(sum(v) / len(v), 4)} for k, v in sorted(by_kind.items())}
    return {"edits": len(edits), "all": round(sum(right) / len(right), 4), "by kind": kinds}, right


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the Flux.2 starter on held-out edits.")
    parser.add_argument("--model", type=Path, default=HERE / "flux2")
    parser.add_argument("--edits", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sheet", type=Path, help="write the first 32 pictures here, each row under those before")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    given = {k: v for k, v in vars(args).items() if k in ("steps", "guidance") and v is not None}
    settings = dataclasses.replace(recommended(args.model), **given)
    edits = held_out_edits(args.edits, args.seed)
    before, parts, begin = shown(edits, args.seed), load(args.model), time.time()
    seeds = [args.seed * 100_003 + i for i in range(len(edits))]
    pictures = images(parts, [e.text for e in edits], seeds, settings, batch=16, shown=before)
    result, right = tally(pictures, edits)
    for ok, edit, picture in zip(right, edits, pictures, strict=True):
        if not ok:
            wrong = [k for k, kept in judge(picture, edit.claims()).items() if not kept]
            print(f"wrong in {', '.join(wrong)}: {edit.text}")
    result |= {"settings": dataclasses.asdict(settings), "seconds per picture": (time.time() - begin) / len(edits)}
    print(json.dumps(result, indent=1))
    if args.sheet:
        from PIL import Image

        rows = [sheet(x[i : i + 8]) for i in range(0, min(32, len(edits)), 8) for x in (before, pictures)]
        Image.fromarray(np.concatenate(rows)).save(args.sheet)


if __name__ == "__main__":
    main()
