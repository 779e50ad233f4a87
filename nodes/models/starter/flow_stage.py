"""Trains a transformer: rectified flow from noise to latents of scenes, told by the taught encoders.

x_t = (1 − t)·x₀ + t·ε, wanted v = ε − x₀. Liu et al. 2022, arXiv:2209.03003; times drawn from a logit-normal that
leans towards noise, where the layout is decided: Esser et al. 2024, arXiv:2403.03206 §3.1.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from nodes.models.autoencoders.kl import Autoencoder
from nodes.models.flux1.transformer import pack, unpack
from nodes.models.starter.drawing import draw
from nodes.models.starter.grammar import Caption, reworded, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.sampling import CELLS, Parts
from nodes.models.starter.twins import Twins
from nodes.models.starter.vae_stage import to_tensor

BATCH = 48
LEARNING_RATE = 3e-3
EMPTY = 0.1  # part of the captions that become "", for classifier-free guidance
TIME_MEAN, TIME_SPREAD = 0.6, 1.2
SHAPE_WEIGHT = 2.0  # extra weight of the tokens that a shape touches
POLISH_RATE, POLISH_TIME_MEAN, POLISH_SHAPE_WEIGHT = 1e-3, 0.2, 4.0
REDRAWN_FROM = 0.55  # the largest time from which a latent is led back to the picture it came from
SAVE_EVERY = 150.0  # seconds


@dataclass
class Pool:
    """Scenes with their latents: packed (N, 64, 64) float16, and the weight of each token (N, 64)."""

    captions: list[Caption]
    latents: Tensor
    weights: Tensor


def pool(vae: Autoencoder, size: int, seed: int, device: str, threads: int, shape_weight: float = SHAPE_WEIGHT) -> Pool:
    """`size` training scenes, drawn and encoded."""
    r = random.Random(seed)
    captions = [sample(r) for _ in range(size)]

    @torch.no_grad()
    def part(start: int) -> tuple[Tensor, Tensor]:
        torch.set_num_threads(max(1, torch.get_num_threads() // threads))
        images = np.stack(
            [draw(c.scene, random.Random(f"{seed}/{start + i}")) for i, c in enumerate(captions[start : start + 64])]
        )
        z = pack(vae.scaled(vae.encode(to_tensor(images).to(device))[0]))
        touched = (images != images[:, :1, :1]).any(-1).reshape(-1, 8, 16, 8, 16).any((2, 4)).reshape(-1, 64)
        return z.half().cpu(), torch.from_numpy(1 + shape_weight * touched.astype(np.float32))

    with ThreadPoolExecutor(threads) as workers:
        done = list(workers.map(part, range(0, size, 64)))
    weights = torch.cat([w for _, w in done])
    return Pool(captions, torch.cat([z for z, _ in done]), weights / weights.mean())


@torch.no_grad()
def redrawn(parts: Parts, size: int, seed: int, device: str) -> tuple[Tensor, Tensor]:
    """Training pictures (N, 3, 128, 128) uint8 and latents (N, 16, 16, 16), unscaled, as the transformer makes them.

    Each latent is noised to a time of up to `REDRAWN_FROM` and led back in four steps, told by its caption: wrong where
    the transformer is wrong, and still of the same picture. The decoder learns from them to draw what is meant.
    Meng et al. 2021, arXiv:2108.01073.
    """
    torch.manual_seed(seed)
    r, all_x, all_z = random.Random(seed), [], []
    for start in range(0, size, 32):
        captions = [sample(r) for _ in range(min(32, size - start))]
        x = to_tensor(np.stack([draw(c.scene, r) for c in captions])).to(device)
        told = parts.told([c.text for c in captions])
        z = pack(parts.vae.scaled(parts.vae.encode(x)[0]))
        begin = REDRAWN_FROM * torch.rand(len(captions), device=device)
        z = z + begin[:, None, None] * (torch.randn_like(z) - z)
        for left in (1.0, 0.75, 0.5, 0.25):
            z = z - 0.25 * begin[:, None, None] * parts.starter.velocity(parts.transformer, z, left * begin, told)
        all_x.append(((x + 1) * 127.5).round().byte().cpu())
        all_z.append(parts.vae.unscaled(unpack(z, CELLS, CELLS)).cpu())
    return torch.cat(all_x), torch.cat(all_z)


Batch = tuple[Tensor, Tensor, Tensor, Tensor, Mapping[str, Tensor]]
"""x₀, weights, times, noise, and what the transformer is told."""


def loss_for(starter: ModuleType) -> Callable[..., tuple[Tensor, Tensor]]:
    """The loss of a family's transformer: the weighted squared error of its velocity, and the plain one to be told."""

    def loss_of(
        net: nn.Module, x0: Tensor, weight: Tensor, t: Tensor, noise: Tensor, told: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        at = t[:, None, None]
        error = (starter.velocity(net, (1 - at) * x0 + at * noise, t, told) - (noise - x0)).square().mean(-1)
        return (error * weight).mean(), error.detach().mean()

    return loss_of


def shares(batch: Batch, count: int) -> list[Batch]:
    """A batch in `count` equal parts."""
    *tensors, told = batch
    rows = zip(*(x.chunk(count) for x in told.values()), strict=True)
    return [
        (*part, dict(zip(told, row, strict=True)))  # type: ignore[misc]
        for *part, row in zip(*(x.chunk(count) for x in tensors), rows, strict=True)
    ]


def batch_of(data: Pool, parts: Parts, r: random.Random, device: str, size: int, time_mean: float = TIME_MEAN) -> Batch:
    """A random batch; captions are worded anew each time."""
    chosen = [r.randrange(len(data.captions)) for _ in range(size)]
    texts = ["" if r.random() < EMPTY else reworded(r, data.captions[i]).text for i in chosen]
    x0 = data.latents[chosen].float().to(device)
    t = torch.sigmoid(time_mean + TIME_SPREAD * torch.randn(size)).to(device)
    return x0, data.weights[chosen].to(device), t, torch.randn_like(x0), parts.told(texts)


def train(
    parts: Parts,
    data: Pool,
    minutes: float,
    seed: int,
    device: str,
    threads: int,
    saved: Path,
    log: Callable[..., None],
    look: Callable[[Parts, float], None],
) -> None:
    """Trains `parts.transformer` for that many minutes and leaves its averaged weights in it.

    Continues from `saved` where that exists. `look` is called now and then with averaged weights in place.
    """
    starter = parts.starter
    net = starter.fresh(seed).to(device)
    best, loss_of = Both(net, LEARNING_RATE, lambda n, p: n.startswith(starter.EARLY)), loss_for(starter)
    average = Average(net, 0.998)
    spent, steps = 0.0, 0
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        best.load_state_dict(state["best"])
        average.weights, average.steps = state["average"], state["steps"]
        spent, steps = state["seconds"], state["steps"]
    torch.manual_seed(seed + steps)
    r, pace, twins = random.Random(seed + steps), Pace(minutes, spent), Twins(net, threads)
    best.muon.pool = twins.pool if threads > 1 else None
    losses, told, kept, looked = [], time.time(), time.time(), time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.02, floor=0.005, flat=0.25))
        batch = batch_of(data, parts, r, device, BATCH)
        losses.append(float(twins.gradients(shares(batch, threads), loss_of)))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        steps += 1
        if time.time() - told > 20:
            log(stage="flow", seconds=pace.seconds, samples=steps * BATCH, loss=float(np.mean(losses)))
            losses, told = [], time.time()
        if time.time() - kept > SAVE_EVERY or pace.over:
            torch.save(
                {
                    "net": net.state_dict(),
                    "best": best.state_dict(),
                    "average": average.weights,
                    "steps": steps,
                    "seconds": pace.seconds,
                },
                saved,
            )
            kept = time.time()
        if time.time() - looked > 300:
            parts.transformer.load_state_dict(average.weights)
            look(parts, pace.seconds)
            looked = time.time()
    parts.transformer.load_state_dict(average.weights)


def polish(parts: Parts, data: Pool, minutes: float, seed: int, device: str, log: Callable[..., None]) -> None:
    """Trains `parts.transformer` on and leaves its averaged weights in it: at a third of the rate, and at times nearer
    the picture, where shapes are decided. `data` weighs shapes with `POLISH_SHAPE_WEIGHT`.
    """
    net = copy.deepcopy(parts.transformer).requires_grad_(True)
    best, average = Both(net, POLISH_RATE, lambda n, p: n.startswith(parts.starter.EARLY)), Average(net, 0.998)
    loss_of = loss_for(parts.starter)
    torch.manual_seed(seed)
    r, pace, losses, told, steps = random.Random(seed), Pace(minutes), [], time.time(), 0
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.05, floor=0.005, flat=0.15))
        loss, plain = loss_of(net, *batch_of(data, parts, r, device, BATCH, POLISH_TIME_MEAN))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        losses.append(float(plain))
        steps += 1
        if time.time() - told > 20 or pace.over:
            log(stage="flow polish", seconds=pace.seconds, samples=steps * BATCH, loss=float(np.mean(losses)))
            losses, told = [], time.time()
    parts.transformer.load_state_dict(average.weights)
