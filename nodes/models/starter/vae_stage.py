"""Trains the autoencoder: pictures of crowded scenes through 16 channels of an eighth of the size, and back.

The decoder sees latents with noise on them, so that a latent which is a little wrong still decodes to a clean shape.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.models.autoencoders.kl import Autoencoder, Config, drawn
from nodes.models.starter.drawing import crowd, draw
from nodes.models.starter.grammar import sample
from nodes.models.starter.muon import Average, Both
from nodes.models.starter.pace import Pace
from nodes.models.starter.twins import Twins

CONFIG = Config(widths=(8, 16, 32, 64), layers=1, groups=4, latent=16, scale=1.0, shift=0.0, sample_size=128)
BATCH = 4
POLISH_BATCH = 8
LEARNING_RATE = 4e-3
KL = 3e-4  # per latent value, against the mean error per colour value
NOISE = 0.1  # on the latent that is decoded; the latent itself has about unit variance


def pictures(r: random.Random, n: int, crowds: float = 0.75) -> Tensor:
    """(n, 3, 128, 128) in −1…1; that part of them are crowds, the rest scenes as captions describe them."""
    drawn_ = [crowd(r) if r.random() < crowds else draw(sample(r).scene, r) for _ in range(n)]
    return to_tensor(np.stack(drawn_))


def to_tensor(images: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 → (B, 3, H, W) in −1…1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(vae: Autoencoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and, for the curve, the mean absolute error in 0…255."""
    mean, logvar = vae.encode(x)
    z = drawn(mean, logvar)
    loss, error = likeness(vae.decode(z + NOISE * torch.randn_like(z)), x)
    return loss + KL * 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean(), error


def polish_loss_of(vae: Autoencoder, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """The decoder's part of it, on latents that are wrong by up to a tenth, as a sampled one may be.

    Half of it is of the outlines alone, each picture's counting alike: a single small shape is a fortieth of a picture.
    """
    wrong = 0.1 * z.std() * torch.rand(len(z), 1, 1, 1, device=z.device)
    y = vae.decode(z + wrong * torch.randn_like(z))
    near = outlines(x)
    share = near / near.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    loss, error = likeness(y, x)
    off = (y - x).abs()
    return loss + (share * (off + 2 * off.square())).mean(), error


def outlines(x: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W): 1 within three pixels of where the colour changes, else 0."""
    step = torch.zeros_like(x[:, :1])
    step[:, :, 1:] += x.diff(dim=2).abs().amax(1, keepdim=True)
    step[..., 1:] += x.diff(dim=3).abs().amax(1, keepdim=True)
    return F.max_pool2d((step > 0.02).float(), 7, stride=1, padding=3)


def likeness(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """How far y is from x in colours and edges, and the mean absolute error in 0…255."""
    error = (y - x).abs()
    edges = (y - x).diff(dim=2).abs().mean() + (y - x).diff(dim=3).abs().mean()
    return error.mean() + 2 * error.square().mean() + edges, error.mean().detach() * 127.5


def train(
    minutes: float,
    seed: int,
    device: str,
    threads: int,
    log: Callable[..., None],
    start: dict[str, Tensor] | None = None,
) -> Autoencoder:
    """An autoencoder after that many minutes, its weights averaged; `start` holds weights to go on from."""
    torch.manual_seed(seed)
    r = random.Random(seed)
    vae = Autoencoder(CONFIG).to(device)
    with torch.no_grad():
        vae.encoder.conv_out.bias[CONFIG.latent :] = -5.0  # start almost without noise, or nothing is learned at first
    if start:
        vae.load_state_dict(start)
    best = Both(
        vae, LEARNING_RATE, lambda n, p: "conv_in" in n or n.endswith("decoder.conv_out.weight"), adam_ratio=0.5
    )
    average = Average(vae, 0.995)
    pace, twins = Pace(minutes), Twins(vae, threads)
    seen, errors, last = 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.02, floor=0.01))
        error = twins.gradients([(x,) for x in pictures(r, BATCH).to(device).chunk(threads)], loss_of)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        best.step()
        average.update(vae)
        seen += BATCH
        errors.append(float(error))
        if time.time() - last > 15:
            log(stage="vae", seconds=pace.seconds, samples=seen, loss=float(np.mean(errors)))
            errors, last = [], time.time()
    vae.load_state_dict(average.weights)
    return vae.eval().requires_grad_(False)


def polish(
    vae: Autoencoder,
    minutes: float,
    seed: int,
    device: str,
    threads: int,
    log: Callable[..., None],
    redrawn: tuple[Tensor, Tensor] | None = None,
    look: Callable[[dict[str, Tensor]], None] | None = None,
) -> None:
    """Trains the decoder alone for that many minutes; the latents keep their meaning.

    redrawn  pictures (N, 3, 128, 128) uint8 and latents (N, 16, 16, 16) for half of each batch: `flow_stage.redrawn`
    look     is called now and then with the averaged weights
    """
    torch.manual_seed(seed)
    r = random.Random(seed)
    vae.decoder.requires_grad_(True)
    best = Both(vae.decoder, LEARNING_RATE, lambda n, p: n.startswith(("conv_in", "conv_out")), adam_ratio=0.5)
    average, pace, twins = Average(vae.decoder, 0.998), Pace(minutes), Twins(vae, threads)
    seen, errors, last = 0, [], time.time()
    while not pace.over:
        best.set_lr(pace.rate(warmup=0.05, floor=0.01))
        x = pictures(r, POLISH_BATCH // (2 if redrawn else 1), crowds=0.4).to(device)
        with torch.no_grad():
            z = vae.encode(x)[0]
        if redrawn:
            chosen = torch.randint(len(redrawn[0]), (POLISH_BATCH // 2,))
            x = torch.cat((x, redrawn[0][chosen].to(device) / 127.5 - 1))
            z = torch.cat((z, redrawn[1][chosen].to(device)))
        errors.append(
            float(twins.gradients(list(zip(x.chunk(threads), z.chunk(threads), strict=True)), polish_loss_of))
        )
        torch.nn.utils.clip_grad_norm_(vae.decoder.parameters(), 1.0)
        best.step()
        average.update(vae.decoder)
        seen += POLISH_BATCH
        if time.time() - last > 15:
            log(stage="decoder", seconds=pace.seconds, samples=seen, loss=float(np.mean(errors)))
            errors, last = [], time.time()
            if look:
                look(average.weights)
    vae.decoder.load_state_dict(average.weights)
    vae.eval().requires_grad_(False)


@torch.no_grad()
def measured(vae: Autoencoder, seed: int, device: str) -> Autoencoder:
    """The same autoencoder, its `scale` and `shift` such that latents of captioned scenes have mean 0, variance 1."""
    r = random.Random(seed)
    x = to_tensor(np.stack([draw(sample(r).scene, r) for _ in range(128)])).to(device)
    z = torch.cat([vae.encode(part)[0] for part in x.split(16)])
    vae.config = replace(vae.config, scale=round(1 / float(z.std()), 4), shift=round(float(z.mean()), 4))
    return vae
