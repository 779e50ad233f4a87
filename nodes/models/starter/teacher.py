"""The Flux.1 starter as a teacher: where it would go from a noisy latent, for transformers of other families to learn.

The wanted velocity ε − x₀ of rectified flow is right only on average; a trained model's answer is that average already,
so a student needs far fewer samples. The answer is taken with guidance, which the student then has built in: it paints
with one evaluation a step. Hinton et al. 2015, arXiv:1503.02531; guidance: Meng et al. 2023, arXiv:2210.03142.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nodes.models.starter.flow_stage import Pool
from nodes.models.starter.grammar import reworded
from nodes.models.starter.sampling import Parts

GUIDANCE = 2.0
EMPTY = 0.06  # part of the captions that become ""
TIME_MEAN, TIME_SPREAD = 0.4, 1.2  # logit-normal, a little towards noise
PART = 16  # batches in a file
BATCH = 48


@dataclass
class Lessons:
    """Captions, noisy latents and velocities (N, 64, 64) in float16, times (N,), weights of tokens (N, 64)."""

    texts: list[str]
    latents: Tensor
    velocities: Tensor
    times: Tensor
    weights: Tensor


@torch.no_grad()
def answers(parts: Parts, data: Pool, r: random.Random, size: int = BATCH) -> Lessons:
    """A batch: scenes of the pool, worded and noised anew, and where the teacher goes from there."""
    chosen = [r.randrange(len(data.captions)) for _ in range(size)]
    texts = ["" if r.random() < EMPTY else reworded(r, data.captions[i]).text for i in chosen]
    told = {k: torch.cat((v[:-1], v[-1:].expand_as(v[:-1]))) for k, v in parts.told([*texts, ""]).items()}
    x0 = data.latents[chosen].float()
    t = torch.sigmoid(TIME_MEAN + TIME_SPREAD * torch.randn(size))
    x = (x0 + t[:, None, None] * (torch.randn_like(x0) - x0)).half()
    kind = next(parts.transformer.parameters()).dtype
    inputs = x.to(kind).repeat(2, 1, 1), t.repeat(2), told
    with_text, empty = parts.starter.velocity(parts.transformer, *inputs).float().chunk(2)
    v = empty + GUIDANCE * (with_text - empty)
    return Lessons(texts, x, v.half(), t, data.weights[chosen])


def teach(parts: Parts, data: Pool, folder: Path, minutes: float, seed: int, log: Callable[..., None]) -> None:
    """Writes lessons into `folder` for so many minutes, in numbered files; goes on behind what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    index, end = len(list(folder.glob("*.pt"))), time.time() + 60 * minutes
    while time.time() < end:
        begin = time.time()
        torch.manual_seed(seed + index)
        r = random.Random(f"{seed}/{index}")
        batches = [answers(parts, data, r) for _ in range(PART)]
        torch.save(vars(joined(batches)), folder / "next")
        (folder / "next").rename(folder / f"{index:05d}.pt")
        index += 1
        log(stage="teacher", samples=index * PART * BATCH, seconds=time.time() - begin)


def joined(parts: list[Lessons]) -> Lessons:
    """Several as one."""
    tensors = {k: torch.cat([getattr(p, k) for p in parts]) for k in ("latents", "velocities", "times", "weights")}
    return Lessons([text for p in parts for text in p.texts], **tensors)


def lessons(folder: Path, known: int = 0) -> list[Lessons]:
    """The files of the folder, without the first `known`."""
    return [Lessons(**torch.load(path, weights_only=True)) for path in sorted(folder.glob("*.pt"))[known:]]
