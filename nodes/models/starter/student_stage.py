"""Trains a family's transformer to go where the Flux.1 starter goes, from its written lessons (`teacher`).

Weights are kept in float32; a bfloat16 copy of them computes, which on a processor that multiplies bfloat16 is twice as
fast. Micikevicius et al. 2017, arXiv:1710.03740.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.teacher import Lessons, joined, lessons

BATCH = 48
LEARNING_RATE = 3e-3
SORTED = 8  # batches among which captions are sorted by length, so that little of a batch is padding
LOOK_EVERY = 300.0  # seconds


def batches(folder: Path, r: random.Random, size: int = BATCH) -> Iterator[Lessons]:
    """Batches without end, each lesson once before any comes again; files that are written meanwhile are found."""
    data, files = None, 0
    while True:
        found = lessons(folder, files)
        data, files = joined([data, *found] if data else found), files + len(found)
        order = r.sample(range(len(data.texts)), len(data.texts))
        for start in range(0, len(order) - SORTED * size + 1, SORTED * size):
            group = sorted(order[start : start + SORTED * size], key=lambda i: data.texts[i].count(" "))
            for part in r.sample(range(SORTED), SORTED):
                chosen = group[part * size : (part + 1) * size]
                tensors = (data.latents, data.velocities, data.times, data.weights)
                yield Lessons([data.texts[i] for i in chosen], *(x[chosen].float() for x in tensors))


def loss_of(
    velocity: Callable[..., Tensor], net: nn.Module, batch: Lessons, told: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The weighted squared distance from the teacher's velocity, and the plain one for the curve."""
    kind = next(net.parameters()).dtype
    error = (velocity(net, batch.latents.to(kind), batch.times, told).float() - batch.velocities).square().mean(-1)
    return (error * batch.weights).mean(), error.detach().mean()


class Halved:
    """A bfloat16 copy of a network that computes in its place."""

    def __init__(self, net: nn.Module) -> None:
        self.net, self.half = net, copy.deepcopy(net).bfloat16()

    @torch.no_grad()
    def take(self) -> nn.Module:
        """The copy, with the weights as they are now."""
        for p, q in zip(self.net.parameters(), self.half.parameters(), strict=True):
            q.copy_(p)
        return self.half

    def give(self) -> None:
        """Its gradients become those of the network."""
        for p, q in zip(self.net.parameters(), self.half.parameters(), strict=True):
            p.grad, q.grad = None if q.grad is None else q.grad.float(), None


def train(
    family: Any,
    read: Callable[[list[str]], Mapping[str, Tensor]],
    folder: Path,
    minutes: float,
    seed: int,
    saved: Path,
    log: Callable[..., None],
    look: Callable[[dict[str, Tensor], float], None],
    rate: float = LEARNING_RATE,
    start: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Averaged weights after so many minutes, from `start` where it is given. They are kept in `saved` meanwhile.

    family  a module of `families`;  read  texts to what its velocity is told;  look  is called with averaged weights
    """
    net = family.fresh(seed)
    if start:
        net.load_state_dict(start)
    best = Both(net, rate, lambda name, p: name.startswith(family.EARLY) or p.ndim > 2)
    best.muon.kind = torch.bfloat16
    average, halved = Average(net, 0.998), Halved(net)
    torch.manual_seed(seed)
    lot, pace, steps = batches(folder, random.Random(seed)), Pace(minutes), 0
    losses, told, looked = [], time.time(), time.time()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel's gradient is five times slower in bfloat16
        while not pace.over:
            best.set_lr(pace.rate(warmup=0.02, floor=0.005, flat=0.25))
            batch = next(lot)
            loss, plain = loss_of(family.velocity, halved.take(), batch, read(batch.texts))
            loss.backward()
            halved.give()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            best.step()
            average.update(net)
            losses.append(float(plain))
            steps += 1
            if time.time() - told > 20 or pace.over:
                log(stage=family.NAME, seconds=pace.seconds, samples=steps * BATCH, loss=float(np.mean(losses)))
                losses, told = [], time.time()
            if time.time() - looked > LOOK_EVERY or pace.over:
                torch.save(average.weights, saved)
                look(average.weights, pace.seconds)
                looked = time.time()
    return average.weights
