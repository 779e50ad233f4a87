"""Trains the Flux.2 transformer of the starter: drawing from a caption, and changing a picture that it is shown.

One batch of three is drawings, learned from the Flux.1 starter's lessons (`teacher`), which lives in the same latents.
The others are instructions, with the latents of the picture before as reference tokens, and rectified flow to those of
the picture after as what is wanted. Without an instruction ("") the picture that is shown is to stay as it is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nodes.models.autoencoders.flux2 import Autoencoder
from nodes.models.flux2.tokens import pack, unpack
from nodes.models.layers.blocks import blocks_of
from nodes.models.starter import student_stage
from nodes.models.starter.edits import Edit, drawn, reversed_edit, reworded_edit, sample_edit
from nodes.models.starter.families import flux2
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.reading_stage import Read, written
from nodes.models.starter.student_stage import Halved
from nodes.models.starter.vae_stage import to_tensor

SIDE = 8  # tokens of a side: 128 pixels
BATCH = 40
LEARNING_RATE = 3e-3
EMPTY = 0.08  # part of the instructions that become "": the picture stays as it is
TIME_MEAN, TIME_SPREAD = 1.3, 1.3  # logit-normal, towards noise: there it is decided what changes
SHAPE_WEIGHT = 6.0  # extra weight of the tokens that a shape touches: what is not meant is to stay as it is
CHANGE_WEIGHT = 2.0  # extra weight of the tokens that an edit changes
AVERAGE = 0.998
BOUND = 3.0  # times as often: edits of some things and not of others
BLACK = 1.6  # times as often: what stands on a black ground before or after
OFTEN = {"colour": 1.0, "size": 1.5, "remove": 1.5, "ground": 1.0}  # times as often: what is learned last
DRAWN_OF = 3  # one batch of three is of drawings, the others are of edits
SAVE_EVERY, LOOK_EVERY = 150.0, 600.0  # seconds


@dataclass
class Pool:
    """Edits with packed latents (N, 64, 64) float16, shown and wanted, and weights of tokens (N, 64)."""

    edits: list[Edit]
    before: Tensor
    after: Tensor
    weights: Tensor

    @cached_property
    def often(self) -> list[float]:
        """How often each edit is drawn, of all, added up."""
        return list(accumulate(often(edit) for edit in self.edits))


def often(edit: Edit) -> float:
    """How often an edit is drawn, of what is common: more where it is harder."""
    black = "black" in (edit.before.background, edit.after.background)
    return OFTEN[edit.told.kind] * (BOUND if edit.bound else 1.0) * (BLACK if black else 1.0)


def touched(images: np.ndarray) -> np.ndarray:
    """(N, H, W) truths of pixels → (N, 64) whether any is true in a token's 16 × 16."""
    return images.reshape(-1, SIDE, 16, SIDE, 16).any((2, 4)).reshape(-1, SIDE * SIDE)


@torch.no_grad()
def latents_of(vae: Autoencoder, images: np.ndarray) -> Tensor:
    """(N, 128, 128, 3) uint8 → packed (N, 64, 64) float16."""
    return pack(vae.scaled(vae.encode(to_tensor(images))[0])).half()


def pool(vae: Autoencoder, size: int, seed: int) -> Pool:
    """`size` training edits, both pictures drawn and encoded."""
    r = random.Random(seed)
    edits = [sample_edit(r) for _ in range(size)]
    first = [drawn(e.before, f"{seed}/{i}") for i, e in enumerate(edits)]
    after = [drawn(e.after, f"{seed}/{i}") for i, e in enumerate(edits)]
    weights = 1 + SHAPE_WEIGHT * touched(np.stack([(p != p[:1, :1]).any(-1) for p in after]))
    weights += CHANGE_WEIGHT * touched(np.stack([(a != b).any(-1) for a, b in zip(first, after, strict=True)]))
    latents = [latents_of(vae, np.stack((first + after)[i : i + 8])) for i in range(0, 2 * size, 8)]
    weights = torch.from_numpy((weights / weights.mean(1, keepdims=True)).astype(np.float32))
    return Pool(edits, *torch.cat(latents).split(size), weights)


def loss_of(
    net: nn.Module, x0: Tensor, weight: Tensor, t: Tensor, noise: Tensor, told: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The weighted squared error of the velocity, and the plain one for the curve."""
    at, kind = t[:, None, None], next(net.parameters()).dtype
    found = flux2.velocity(net, ((1 - at) * x0 + at * noise).to(kind), t, told).float()
    error = (found - (noise - x0)).square().mean(-1)
    return (error * weight).mean(), error.detach().mean()


def batch_of(data: Pool, read: Read, r: random.Random, size: int) -> tuple:
    """x₀, weights, times, noise and what is told, of random edits.

    All is worded anew each time; half of the edits that have a way back go it.
    """
    chosen = r.choices(range(len(data.edits)), cum_weights=data.often, k=size)
    x0, before, texts = data.after[chosen].float(), data.before[chosen].float(), []
    for row, i in enumerate(chosen):
        edit, empty = data.edits[i], r.random() < EMPTY
        back = reversed_edit(r, edit) if r.random() < 0.5 else None
        if back:
            x0[row], before[row] = before[row].clone(), x0[row].clone()
        if empty:
            x0[row] = before[row]
        texts.append("" if empty else written(r, (back or reworded_edit(r, edit)).text))
    told = {"text": filled(read, texts), "reference.0": unpack(before, SIDE, SIDE)}
    even = (torch.randperm(size) + torch.rand(size)) / size  # one of each part of the distribution in every batch
    t = torch.sigmoid(TIME_MEAN + TIME_SPREAD * torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4)))
    return x0, data.weights[chosen], t, torch.randn_like(x0), told


def filled(read: Read, texts: list[str]) -> Tensor:
    """What is told of texts, filled up as in use."""
    return read(texts, lambda longest: flux2.LENGTH)


def train(
    read: Read,
    data: Pool,
    lessons: Path,
    minutes: float,
    seed: int,
    saved: Path,
    log: Callable[..., None],
    look: Callable[[dict[str, Tensor], float], None],
    start: Mapping[str, Tensor] | None = None,
    compiled: bool = False,
) -> dict[str, Tensor]:
    """Averaged weights after so many minutes, from `start` where it is given. Continues from `saved` where that exists.

    read      of `reading_stage`
    lessons   folder of what the Flux.1 starter teaches of drawing: `teacher.teach`
    look      is called now and then with averaged weights
    compiled  by torch, which takes two minutes and then saves a quarter of the time
    """
    net = flux2.fresh(seed)
    if start:
        net.load_state_dict(start)
    best = Both(net, LEARNING_RATE, lambda n, p: n.startswith(flux2.EARLY))
    best.muon.kind = torch.bfloat16
    average, halved, spent, steps = Average(net, AVERAGE), Halved(net), 0.0, 0
    for block in (one for blocks in blocks_of(halved.half) if compiled for one in blocks):
        block.compile(dynamic=True)
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        net.load_state_dict(state["net"])
        best.load_state_dict(state["best"])
        average.weights, average.steps = state["average"], state["steps"]
        spent, steps = state["seconds"], state["steps"]
    torch.manual_seed(seed + steps)
    r, pace = random.Random(seed + steps), Pace(minutes, spent)
    lot = student_stage.batches(lessons, r, BATCH)
    losses: tuple[list[float], list[float]] = ([], [])
    told = kept = looked = time.time()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel's gradient is slow in bfloat16
        while not pace.over:
            best.set_lr(pace.rate(warmup=0.02, floor=0.005, flat=0.3))
            kind = int(steps % DRAWN_OF != 0)
            if kind:
                loss, plain = loss_of(halved.take(), *batch_of(data, read, r, BATCH))
            else:
                lesson = next(lot)
                told_text = {"text": filled(read, [written(r, text) for text in lesson.texts])}
                loss, plain = student_stage.loss_of(flux2.velocity, halved.take(), lesson, told_text)
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
