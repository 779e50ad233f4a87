"""Trains the Flux.2 transformer of the starter: drawing from a caption, and changing a picture that it is shown.

Rectified flow as in `flow_stage`. Two thirds of the batches are captions; the others are instructions with the latents of
the picture before as reference tokens, and the picture after as what is wanted. Without an instruction ("", for
classifier-free guidance) a picture that is shown is to stay as it is.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nodes.models.autoencoders.flux2 import Autoencoder
from nodes.models.flux2.config import Config
from nodes.models.flux2.tokens import APART, image_ids, pack, text_ids
from nodes.models.flux2.transformer import Transformer
from nodes.models.starter.drawing import draw
from nodes.models.starter.edits import Edit, drawn, sample_edit
from nodes.models.starter.flux2_text import LENGTH, TAPS, WIDTH, Words, encode, written
from nodes.models.starter.grammar import Caption, reworded, sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.vae_stage import to_tensor

CONFIG = Config(
    in_channels=64,
    out_channels=64,
    width=160,
    heads=5,
    double_blocks=2,
    single_blocks=4,
    text_width=len(TAPS) * WIDTH,
    axes=(4, 12, 12, 4),
    theta=100,
    guidance=False,
    mlp=480,
)
EARLY = ("img_in", "txt_in", "time_in.in_layer", "final_layer.linear")  # what Adam trains
SIDE = 8  # tokens of a side: 128 pixels
BATCH = 40
LEARNING_RATE = 3e-3
EMPTY = 0.1  # part of the prompts that become ""
TIME_MEAN, TIME_SPREAD = 0.6, 1.2
SHAPE_WEIGHT = 2.0  # extra weight of the tokens that a shape touches
CHANGE_WEIGHT = 4.0  # extra weight of the tokens that an edit changes
SHARP = 1.5  # what the norms of queries and keys begin at: to copy a picture, attention must find one token of 64
DRAWN_OF = 3  # two batches of three are drawings, the third is of edits
SAVE_EVERY = 150.0  # seconds


@dataclass
class Parts:
    """Everything that a picture takes."""

    words: Words
    qwen: nn.Module
    transformer: Transformer
    vae: Autoencoder


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


def pools(vae: Autoencoder, captions: int, edits: int, seed: int) -> tuple[Pool, Pool]:
    """What to draw and what to change: so many captions, and so many edits, whose first pictures are drawn too."""
    r = random.Random(seed)
    told, changes = [sample(r) for _ in range(captions)], [sample_edit(r) for _ in range(edits)]
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


def fresh(seed: int) -> Transformer:
    """A transformer whose blocks and output begin at zero. Peebles & Xie 2022, arXiv:2212.09748 §3.2."""
    torch.manual_seed(seed)
    net = Transformer(CONFIG)
    for name, p in net.named_parameters():
        if "_modulation" in name or name.startswith("final_layer."):
            torch.nn.init.zeros_(p)
        elif name.endswith("norm.scale"):
            torch.nn.init.constant_(p, SHARP)
    return net


def velocity(net: Transformer, x: Tensor, t: Tensor, text: Tensor, before: Tensor | None = None) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,), shown `before` or nothing → their velocity, same shape."""
    ids = [text_ids(text.shape[1], x.device), image_ids(SIDE, SIDE, 0, x.device)]
    ids += [] if before is None else [image_ids(SIDE, SIDE, APART, x.device)]
    shown = None if before is None else net.img_in(before)
    return net(x, net.txt_in(text), net.modulation(net.vector(t)), net.angles(torch.cat(ids)), shown)


class Halved:
    """A bfloat16 copy of a network that computes in its place: where a processor multiplies bfloat16, 1.7 times as fast.

    The weights themselves stay float32. Micikevicius et al. 2017, arXiv:1710.03740.
    """

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


def loss_of(
    net: Transformer, x0: Tensor, weight: Tensor, t: Tensor, noise: Tensor, text: Tensor, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The weighted squared error of the velocity, and the plain one for the curve."""
    at, kind = t[:, None, None], net.img_in.weight.dtype
    shown = None if before is None else before.to(kind)
    found = velocity(net, ((1 - at) * x0 + at * noise).to(kind), t, text.to(kind), shown).float()
    error = (found - (noise - x0)).square().mean(-1)
    return (error * weight).mean(), error.detach().mean()


def batch_of(data: Pool, parts: Parts, r: random.Random, device: str, size: int) -> tuple:
    """x₀, weights, times, noise, text and what is shown, of a random batch; captions are worded anew each time."""
    chosen = [r.randrange(len(data.prompts)) for _ in range(size)]
    x0, texts = data.latents[chosen].float(), []
    before = None if data.before is None else data.before[chosen].float()
    for row, i in enumerate(chosen):
        prompt = data.prompts[i]
        if r.random() < EMPTY:
            texts.append("")
            if before is not None:
                x0[row] = before[row]
        else:
            texts.append(written(r, (reworded(r, prompt) if isinstance(prompt, Caption) else prompt).text))
    ids, counts = parts.words.ids(texts, LENGTH)
    ids = ids[:, : r.randint(int(counts.max()), LENGTH)]  # more or less filling, so that its amount means nothing
    with torch.no_grad():
        text = encode(parts.qwen, ids.to(device), counts.to(device))
    even = (torch.randperm(size) + torch.rand(size)) / size  # one of each part of the distribution in every batch
    t = torch.sigmoid(TIME_MEAN + TIME_SPREAD * torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4))).to(device)
    x0, shown = x0.to(device), None if before is None else before.to(device)
    return x0, data.weights[chosen].to(device), t, torch.randn_like(x0), text, shown


def train(
    parts: Parts,
    pools: tuple[Pool, Pool],
    minutes: float,
    seed: int,
    device: str,
    saved: Path,
    log: Callable[..., None],
    look: Callable[[Parts, float], None],
    every: float = 400.0,
) -> None:
    """Trains `parts.transformer` for that many minutes and leaves its averaged weights in it.

    Continues from `saved` where that exists. `look` is called every so many seconds with averaged weights in place.
    """
    net = fresh(seed).to(device)
    best = Both(net, LEARNING_RATE, lambda n, p: n.startswith(EARLY))
    best.muon.kind = torch.bfloat16
    average, halved = Average(net, 0.998), Halved(net)
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    spent, steps = 0.0, 0
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        best.load_state_dict(state["best"])
        average.weights, average.steps = state["average"], state["steps"]
        spent, steps = state["seconds"], state["steps"]
    torch.manual_seed(seed + steps)
    r, pace = random.Random(seed + steps), Pace(minutes, spent)
    losses: tuple[list[float], list[float]] = ([], [])
    told = kept = looked = time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.02, floor=0.005, flat=0.3))
        kind = int(steps % DRAWN_OF == DRAWN_OF - 1)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernel's gradient is slow in bfloat16
            loss, plain = loss_of(halved.take(), *batch_of(pools[kind], parts, r, device, BATCH))
            loss.backward()
        halved.give()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        average.update(net)
        losses[kind].append(float(plain))
        steps += 1
        if time.time() - told > 30:
            drawing, editing = (float(np.mean(one)) if one else float("nan") for one in losses)
            log(stage="flow", seconds=pace.seconds, samples=steps * BATCH, loss=drawing, edit_loss=editing)
            losses, told = ([], []), time.time()
        if time.time() - kept > SAVE_EVERY or pace.over:
            state = {"net": net.state_dict(), "best": best.state_dict(), "average": average.weights}
            torch.save({**state, "steps": steps, "seconds": pace.seconds}, saved)
            kept = time.time()
        if time.time() - looked > every:
            parts.transformer.load_state_dict(average.weights)
            look(parts, pace.seconds)
            looked = time.time()
    parts.transformer.load_state_dict(average.weights)
