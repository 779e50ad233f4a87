"""How often a starter draws what it is told, on scenes that training never saw:

    python -m nodes.models.starter.score [--family auraflow] [--model DIR] [--prompts 256] [--guidance 2.0]

A picture counts only if every attribute that its prompt names is right. Pictures are judged by `judge`, which shares no
code with the drawing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from nodes.models.starter import families
from nodes.models.starter.checkpoint import load
from nodes.models.starter.grammar import Caption, sample
from nodes.models.starter.judge import judge
from nodes.models.starter.sampling import Settings, images, sheet

HERE = Path(__file__).parent


def held_out_captions(count: int, seed: int) -> list[Caption]:
    """`count` captions of different held-out scenes."""
    r = random.Random(f"score/{seed}")
    chosen: dict[str, Caption] = {}
    while len(chosen) < count:
        caption = sample(r, "held out")
        chosen.setdefault(caption.scene.key(), caption)
    return list(chosen.values())


def tally(pictures: np.ndarray, captions: list[Caption]) -> tuple[dict, list[bool]]:
    """The parts that are right, over all and by attribute and number of things, and which pictures are right."""
    named, kept, right = Counter(), Counter(), []
    for picture, caption in zip(pictures, captions, strict=True):
        verdict = judge(picture, caption.claims())
        named.update(verdict.keys())
        kept.update(k for k, ok in verdict.items() if ok)
        right.append(all(verdict.values()))
    by_things: dict[str, list[bool]] = {}
    for ok, caption in zip(right, captions, strict=True):
        by_things.setdefault(str(len(caption.scene.things)), []).append(ok)
    return {
        "prompts": len(captions),
        "all": round(sum(right) / len(right), 4),
        "attributes": {k: {"named": named[k], "right": round(kept[k] / named[k], 4)} for k in sorted(named)},
        "by number of things": {
            k: {"prompts": len(v), "right": round(sum(v) / len(v), 4)} for k, v in sorted(by_things.items())
        },
    }, right


def recommended(folder: Path) -> Settings:
    """The settings that starter.json beside the weights recommends, or the defaults where there is none."""
    path = folder / "starter.json"
    if not path.exists():
        return Settings()
    told = json.loads(path.read_text())
    return Settings(told["steps"], told["true_cfg_scale"], told["shift"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the starter checkpoint on held-out prompts.")
    parser.add_argument("--family", default="flux1", choices=families.NAMES)
    parser.add_argument("--model", type=Path, help="another folder than that of the family's starter")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--shift", type=float)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="write the first 64 pictures here, as one PNG")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    given = {k: v for k, v in vars(args).items() if k in ("steps", "guidance", "shift") and v is not None}
    folder = args.model or HERE / args.family
    settings = dataclasses.replace(recommended(folder), **given)
    captions = held_out_captions(args.prompts, args.seed)
    parts, begin = load(folder, args.device), time.time()
    seeds = [args.seed * 100_003 + i for i in range(len(captions))]
    pictures = images(parts, [c.text for c in captions], seeds, settings, args.device)
    result, right = tally(pictures, captions)
    for ok, caption, picture in zip(right, captions, pictures, strict=True):
        if not ok:
            wrong = [k for k, kept in judge(picture, caption.claims()).items() if not kept]
            print(f"wrong in {', '.join(wrong)}: {caption.text}")
    result |= {
        "settings": dataclasses.asdict(settings),
        "seconds per picture": round((time.time() - begin) / len(captions), 3),
    }
    print(json.dumps(result, indent=1))
    if args.sheet:
        from PIL import Image

        Image.fromarray(sheet(pictures[:64])).save(args.sheet)


if __name__ == "__main__":
    main()
