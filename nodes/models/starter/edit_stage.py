"""Trains the Flux.2 transformer of the starter: drawing from a caption, and changing a picture that it is shown.

Rectified flow as in `flow_stage`. Every other batch is captions; the others are instructions, with the latents of
the picture before as reference tokens and those of the picture after as what is wanted. Without an instruction ("", for
classifier-free guidance) a picture that is shown is to stay as it is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nodes.models.autoencoders.flux2 import Autoencoder
from nodes.models.flux2.tokens import pack, unpack
from nodes.models.starter.drawing import draw
from nodes.models.starter.edits import Edit, drawn, reversed_edit, reworded_edit, sample_edit
from nodes.models.starter.families import flux2
from nodes.models.starter.grammar import Caption, reworded, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.reading_stage import Read, written
from nodes.models.starter.student_stage import Halved
from nodes.models.starter.vae_stage import to_tensor

SIDE = 8  # tokens of a side: 128 pixels
BATCH = 40
LEARNING_RATE = 3e-3
EMPTY = 0.1  # part of the prompts that become ""
TIME_MEAN, TIME_SPREAD = 0.6, 1.2  # logit-normal: towards noise at first, where the layout is decided;
TIME_END = 0.2  # from half of the training on, its mean goes towards the picture, where shapes are
SHAPE_WEIGHT = 2.0  # extra weight of the tokens that a shape touches
CHANGE_WEIGHT = 4.0  # extra weight of the tokens that an edit changes
DRAWN_OF = 2  # every other batch is of edits
SAVE_EVERY, LOOK_EVERY = 150.0, 600.0  # seconds


@dataclass
class Pool:
    """Training prompts with packed latents (N, 64, 64) float16 and the weight of each token (N, 64).

    before  latents of the pictures that are shown; None for captions
    """

    prompts: list[Caption] | list[Edit]
    latents: Tensor
    weights: Tensor
    before: Tensor | None = None


def touched(images: np.ndarray) -> np.ndarray:
    """(N, H, W) truths of pixels → (N, 64) whether any is true in a token's 16 × 16."""
    return images.reshape(-1, SIDE, 16, SIDE, 16).any((2, 4)).reshape(-1, SIDE * SIDE)


@torch.no_grad()
def latents_of(vae: Autoencoder, images: np.ndarray) -> Tensor:
    """(N, 128, 128, 3) uint8 → packed (N, 64, 64) float16."""
    return pack(vae.scaled(vae.encode(to_tensor(images))[0])).half()


def prompts(captions: int, edits: int, seed: int) -> tuple[list[Caption], list[Edit]]:
    """So many of each, the same for a seed."""
    r = random.Random(seed)
    return [sample(r) for _ in range(captions)], [sample_edit(r) for _ in range(edits)]


def pools(vae: Autoencoder, captions: int, edits: int, seed: int) -> tuple[Pool, Pool]:
    """What to draw and what to change: so many captions, and so many edits, whose first pictures are drawn too."""
    told, changes = prompts(captions, edits, seed)
    plain = [draw(c.scene, random.Random(f"{seed}/plain/{i}")) for i, c in enumerate(told)]
    first = [drawn(e.before, f"{seed}/{i}") for i, e in enumerate(changes)]
    after = [drawn(e.after, f"{seed}/{i}") for i, e in enumerate(changes)]
    shaped = SHAPE_WEIGHT * touched(np.stack([(p != p[:1, :1]).any(-1) for p in plain + first + after]))
    changed = CHANGE_WEIGHT * touched(np.stack([(a != b).any(-1) for a, b in zip(first, after, strict=True)]))
    latents = [latents_of(vae, np.stack((plain + first + after)[i : i + 8])) for i in range(0, len(shaped), 8)]
    to_draw, to_make = torch.cat(latents).split([captions + edits, edits])
    weight = 1 + shaped[-edits:] + changed
    editing = Pool(changes, to_make, _even(weight / weight.mean(1, keepdims=True)), to_draw[captions:])
    return Pool(told + [e.caption for e in changes], to_draw, _even(1 + shaped[:-edits])), editing


def _even(weights: np.ndarray) -> Tensor:
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def loss_of(
    net: nn.Module, x0: Tensor, weight: Tensor, t: Tensor, noise: Tensor, told: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The weighted squared error of the velocity, and the plain one for the curve."""
    at, kind = t[:, None, None], next(net.parameters()).dtype
    found = flux2.velocity(net, ((1 - at) * x0 + at * noise).to(kind), t, told).float()
    error = (found - (noise - x0)).square().mean(-1)
    return (error * weight).mean(), error.detach().mean()


def batch_of(data: Pool, read: Read, r: random.Random, size: int, time_mean: float = TIME_MEAN) -> tuple:
    """x₀, weights, times, noise and what is told, of a random batch.

    All is worded anew each time; half of the edits that have a way back go it.
    """
    chosen = [r.randrange(len(data.prompts)) for _ in range(size)]
    x0, texts = data.latents[chosen].float(), []
    before = None if data.before is None else data.before[chosen].float()
    for row, i in enumerate(chosen):
        prompt, empty = data.prompts[i], r.random() < EMPTY
        if isinstance(prompt, Caption):
            texts.append("" if empty else written(r, reworded(r, prompt).text))
            continue
        back = reversed_edit(r, prompt) if r.random() < 0.5 else None
        if back:
            x0[row], before[row] = before[row].clone(), x0[row].clone()
        if empty:
            x0[row] = before[row]
        texts.append("" if empty else written(r, (back or reworded_edit(r, prompt)).text))
    told = {"text": read(texts, lambda longest: r.randint(longest, flux2.LENGTH))}  # so that filling means nothing
    told |= {} if before is None else {"reference.0": unpack(before, SIDE, SIDE)}
    even = (torch.randperm(size) + torch.rand(size)) / size  # one of each part of the distribution in every batch
    t = torch.sigmoid(time_mean + TIME_SPREAD * torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4)))
    return x0, data.weights[chosen], t, torch.randn_like(x0), told


def train(
    read: Read,
    pools: tuple[Pool, Pool],
    minutes: float,
    seed: int,
    saved: Path,
    log: Callable[..., None],
    look: Callable[[dict[str, Tensor], float], None],
) -> dict[str, Tensor]:
    """Averaged weights after so many minutes. Continues from `saved` where that exists.

    read  of `reading_stage`;  look  is called now and then with averaged weights
    """
    net = flux2.fresh(seed)
    best = Both(net, LEARNING_RATE, lambda n, p: n.startswith(flux2.EARLY))
    best.muon.kind = torch.bfloat16
    average, halved, spent, steps = Average(net, 0.998), Halved(net), 0.0, 0
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        net.load_state_dict(state["net"])
        best.load_state_dict(state["best"])
        average.weights, average.steps = state["average"], state["steps"]
        spent, steps = state["seconds"], state["steps"]
    torch.manual_seed(seed + steps)
    r, pace = random.Random(seed + steps), Pace(minutes, spent)
    losses: tuple[list[float], list[float]] = ([], [])
    told = kept = looked = time.time()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel's gradient is slow in bfloat16
        while not pace.over:
            best.set_lr(pace.rate(warmup=0.02, floor=0.005, flat=0.3))
            kind = int(steps % DRAWN_OF == DRAWN_OF - 1)
            mean = TIME_MEAN + (TIME_END - TIME_MEAN) * max(0.0, 2 * pace.part - 1)
            loss, plain = loss_of(halved.take(), *batch_of(pools[kind], read, r, BATCH, mean))
            loss.backward()
            halved.give()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            best.step()
            average.update(net)
            losses[kind].append(float(plain))
            steps += 1
            if time.time() - told > 30:
                drawing, editing = (float(np.mean(one)) if one else float("nan") for one in losses)
                log(stage="flux2", seconds=pace.seconds, samples=steps * BATCH, loss=drawing, edit_loss=editing)
                losses, told = ([], []), time.time()
            if time.time() - kept > SAVE_EVERY or pace.over:
                state = {"net": net.state_dict(), "best": best.state_dict(), "average": average.weights}
                torch.save({**state, "steps": steps, "seconds": pace.seconds}, saved)
                kept = time.time()
            if time.time() - looked > LOOK_EVERY:
                look(average.weights, pace.seconds)
                looked = time.time()
    return average.weights
