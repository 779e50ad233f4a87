"""Makes the starter checkpoint from nothing:

    OMP_NUM_THREADS=1 python -m nodes.models.starter.train --out DIR --minutes 160 [--threads 2] [--device cuda]

Six stages share the minutes: the autoencoder, the text encoders, the latents of the training scenes, the transformer,
the decoder alone, half on latents as the transformer makes them, and the transformer once more at a lower rate.
Each leaves its result in DIR/work and is skipped where that exists, so a run that was stopped goes on where it was.
DIR/flux1 becomes a Flux.1 pipeline folder; DIR/curve.csv the losses and scores; DIR/work/*.png what it draws.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import random
import time
from pathlib import Path

import torch

from nodes.models.autoencoders.kl import Autoencoder, Config
from nodes.models.encoders.tokenizer import load_tokenizer
from nodes.models.family import family_named
from nodes.models.flux1.text import TextEncoder
from nodes.models.starter import flow_stage, text_stage, vae_stage
from nodes.models.starter.checkpoint import save
from nodes.models.starter.families import flux1
from nodes.models.starter.grammar import sample
from nodes.models.starter.judge import judge
from nodes.models.starter.sampling import Parts, Settings, images, sheet
from nodes.models.starter.text_stage import Words
from nodes.models.starter.tokenizers import write_clip, write_t5

# Of the minutes; the transformer gets what is left.
SHARE = {"vae": 0.14, "text": 0.04, "decoder": 0.22, "polish": 0.14}
POOL = 16384  # training scenes
POLISH_POOL = 6144  # training scenes of the last stage
REDRAWN = 3072  # pictures with the latents that the transformer makes of them, for the decoder
PROBES = 64  # held-out captions drawn and judged now and then during training
COLUMNS = ("stage", "seconds", "samples", "loss", "read", "cells", "score")


class Curve:
    """Rows of curve.csv; each is printed too."""

    def __init__(self, path: Path, columns: tuple[str, ...] = COLUMNS) -> None:
        self.path, self.columns = path, columns
        if not path.exists():
            path.write_text(",".join(columns) + "\n")

    def __call__(self, **row: object) -> None:
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        print(" ".join(f"{k} {v}" for k, v in row.items()), flush=True)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)


def autoencoder(work: Path, minutes: float, args: argparse.Namespace, log: Curve) -> Autoencoder:
    """The trained autoencoder, from `work` where it is there."""
    path = work / "vae.pt"
    if not path.exists():
        vae = vae_stage.train(minutes, args.seed, args.device, args.threads, log)
        vae = vae_stage.measured(vae, args.seed + 1, args.device)
        torch.save({"config": dataclasses.asdict(vae.config), "weights": vae.state_dict()}, path)
    state = torch.load(path, map_location=args.device, weights_only=True)
    vae = Autoencoder(Config(**state["config"])).to(args.device)
    vae.load_state_dict(state["weights"])
    return vae.eval().requires_grad_(False)


def polish(work: Path, parts: Parts, minutes: float, args: argparse.Namespace, log: Curve) -> None:
    """Trains the decoder of `parts` on; its weights are kept in `work` and come from there where they are."""
    path, end = work / "decoder.pt", time.time() + 60 * minutes
    if not path.exists():
        redrawn = flow_stage.redrawn(parts, REDRAWN, args.seed + 3, args.device)
        left = (end - time.time()) / 60
        vae_stage.polish(parts.vae, left, args.seed + 4, args.device, args.threads, log, redrawn)
        torch.save(parts.vae.decoder.state_dict(), path)
    parts.vae.decoder.load_state_dict(torch.load(path, map_location=args.device, weights_only=True))


def reader(work: Path, minutes: float, args: argparse.Namespace, log: Curve) -> TextEncoder:
    """The taught text encoders with their tokenizers."""
    folder, path = work / "words", work / "text.pt"
    if not folder.exists():
        write_t5(folder / "tokenizer_2", args.seed)
        write_clip(folder / "tokenizer")
    if not path.exists():
        torch.save(text_stage.train(folder, minutes, args.seed, args.device, args.threads, log).state_dict(), path)
    words = Words(folder)
    net = text_stage.Readers(len(words.t5), len(words.clip)).to(args.device)
    net.load_state_dict(torch.load(path, map_location=args.device, weights_only=True))
    net.eval().requires_grad_(False)
    tokenizers = (load_tokenizer(kind, folder / name) for kind, name in (("clip", "tokenizer"), ("t5", "tokenizer_2")))
    return TextEncoder(net.clip, net.t5, *tokenizers).eval()


def scenes(work: Path, vae: Autoencoder, args: argparse.Namespace) -> flow_stage.Pool:
    """The training scenes as latents. Captions are drawn anew from the seed, latents are kept in `work`."""
    path = work / "pool.pt"
    if not path.exists():
        data = flow_stage.pool(vae, POOL, args.seed, args.device, args.threads)
        torch.save({"latents": data.latents, "weights": data.weights}, path)
    state = torch.load(path, weights_only=True)
    r = random.Random(args.seed)
    return flow_stage.Pool([sample(r) for _ in range(POOL)], state["latents"], state["weights"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the starter checkpoint from nothing.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=160.0)
    parser.add_argument("--flow-minutes", type=float, help="the transformer's share, instead of what is left")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    begin, work = time.time(), args.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    log = Curve(args.out / "curve.csv")
    vae = autoencoder(work, args.minutes * SHARE["vae"], args, log)
    text = reader(work, args.minutes * SHARE["text"], args, log)
    data = scenes(work, vae, args)
    net = flux1.fresh(args.seed).to(args.device).requires_grad_(False)
    parts = Parts(family_named(flux1.NAME), text, net, vae)
    r = random.Random(args.seed + 2)
    probes = [sample(r, "held out") for _ in range(PROBES)]

    def look(now: Parts, seconds: float) -> None:
        from PIL import Image

        pictures = images(now, [c.text for c in probes], list(range(PROBES)), Settings(), args.device)
        right = [all(judge(p, c.claims()).values()) for p, c in zip(pictures, probes, strict=True)]
        log(stage="probe", seconds=seconds, score=sum(right) / PROBES)
        Image.fromarray(sheet(pictures)).save(work / f"probe-{int(seconds):05d}.png")

    minutes = args.flow_minutes or args.minutes * (1 - SHARE["decoder"] - SHARE["polish"]) - (time.time() - begin) / 60
    flow_stage.train(parts, data, minutes, args.seed, args.device, args.threads, work / "flow.pt", log, look)
    look(parts, minutes * 60)
    polish(work, parts, args.minutes * SHARE["decoder"], args, log)
    weight = flow_stage.POLISH_SHAPE_WEIGHT
    data = flow_stage.pool(vae, POLISH_POOL, args.seed + 5, args.device, args.threads, weight)
    flow_stage.polish(parts, data, args.minutes * SHARE["polish"], args.seed + 6, args.device, log)
    look(parts, args.minutes * 60)
    save(parts, args.out / "flux1", Settings())


if __name__ == "__main__":
    main()
