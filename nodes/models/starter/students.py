"""Trains the starters of other families from that of Flux.1:

    python -m nodes.models.starter.students --family auraflow --out DIR [--lessons 10] [--text 4] [--minutes 42]

They share its autoencoder and its captions. Lessons are written once into DIR and read by every family. On one core;
two programs on two cores do not disturb each other.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from nodes.models.family import family_named
from nodes.models.starter import families, flow_stage, gemma_stage, student_stage, teacher, umt5_stage
from nodes.models.starter.checkpoint import in_sdxl_space, load, save
from nodes.models.starter.grammar import sample
from nodes.models.starter.judge import judge
from nodes.models.starter.sampling import Parts, Settings, images
from nodes.models.starter.score import HERE
from nodes.models.starter.tokenizers import write_gemma, write_llama
from nodes.models.starter.train import PROBES, Curve

POOL = 12288  # training scenes
SETTINGS = Settings(guidance=1.0)  # the teacher's guidance is built in


def lessons(flux: Parts, folder: Path, minutes: float, seed: int, log: Curve) -> Path:
    """Writes lessons for that many minutes; the folder they are in."""
    data = flow_stage.pool(flux.vae, POOL, seed, "cpu", 1)
    flux.transformer.bfloat16()
    teacher.teach(flux, data, folder, minutes, seed, log)
    flux.transformer.float()
    return folder


def auraflow_text(flux: Parts, words: Path, minutes: float, seed: int, log: Curve) -> torch.nn.Module:
    write_llama(words)
    return umt5_stage.train(flux.encoder, words, minutes, seed, log)


def lumina_text(flux: Parts, words: Path, minutes: float, seed: int, log: Curve) -> torch.nn.Module:
    write_gemma(words)
    return gemma_stage.train(words, minutes, seed, log)


TEXT = {"auraflow": auraflow_text, "lumina": lumina_text}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a starter from that of Flux.1.")
    parser.add_argument("--family", choices=tuple(TEXT), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lessons", type=float, default=10.0, help="minutes; 0 reads those that are in DIR")
    parser.add_argument("--text", type=float, default=4.0, help="minutes of the text encoder")
    parser.add_argument("--minutes", type=float, default=42.0, help="of the transformer")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    log, flux = Curve(args.out / f"curve-{args.family}.csv"), load(HERE / "flux1")
    folder = args.out / "lessons"
    if args.lessons:
        lessons(flux, folder, args.lessons, args.seed, log)
    text = TEXT[args.family](flux, args.out / f"words-{args.family}", args.text, args.seed, log)
    starter = families.of(args.family)
    parts = Parts(family_named(args.family), text, starter.fresh(args.seed), in_sdxl_space(flux.vae))
    r = random.Random(args.seed + 2)
    probes = [sample(r, "held out") for _ in range(PROBES)]

    def look(weights: dict[str, torch.Tensor], seconds: float) -> None:
        parts.transformer.load_state_dict(weights)
        pictures = images(parts, [c.text for c in probes], list(range(PROBES)), SETTINGS)
        right = [all(judge(p, c.claims()).values()) for p, c in zip(pictures, probes, strict=True)]
        log(stage="probe", seconds=seconds, score=sum(right) / PROBES)

    kept = args.out / f"{args.family}.pt"
    weights = student_stage.train(starter, parts.told, folder, args.minutes, args.seed, kept, log, look)
    parts.transformer.load_state_dict(weights)
    save(parts, args.out / args.family, SETTINGS)


if __name__ == "__main__":
    main()
