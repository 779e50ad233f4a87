"""Pictures from captions with the parts while they are in training: Euler steps with true classifier-free guidance.

The same arithmetic as the Flux.1 pipeline: sigmas 1 − i/n bent by a static shift, v = v_empty + s·(v_text − v_empty).
Ho & Salimans 2022, arXiv:2207.12598; the shift: Esser et al. 2024, arXiv:2403.03206 §5.3.2.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nodes.models.autoencoders.kl import Autoencoder
from nodes.models.flux1.transformer import Transformer, image_ids, pack, text_ids, unpack
from nodes.models.starter.text_stage import Words, encode

CELLS = 16  # latent cells of a side: 128 pixels


@dataclass
class Parts:
    """Everything that a picture takes."""

    words: Words
    t5: nn.Module
    clip: nn.Module
    transformer: Transformer
    vae: Autoencoder


@dataclass(frozen=True)
class Settings:
    """How to sample; `shift` bends the sigmas towards noise."""

    steps: int = 16
    guidance: float = 2.0
    shift: float = 2.0


def sigmas(settings: Settings) -> list[float]:
    """steps + 1 values from 1 to 0."""
    s, n = settings.shift, settings.steps
    return [s * x / (1 + (s - 1) * x) for x in (1 - i / n for i in range(n))] + [0.0]


def velocity(net: Transformer, x: Tensor, t: Tensor, text: Tensor, pooled: Tensor) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,) → their velocity, same shape."""
    side = CELLS // 2
    modulation = net.modulation(net.vector(t, pooled))
    angles = net.angles(image_ids(side, side, x.device), text_ids(text.shape[1], x.device))
    return net(x, net.txt_in(text), modulation, angles)


@torch.no_grad()
def latents(parts: Parts, texts: list[str], seeds: list[int], settings: Settings, device: str = "cpu") -> Tensor:
    """(B, 16, 16, 16) sampled latents, one generator per picture."""
    ids = parts.words.ids([*texts, ""])
    features, pooled = encode(parts.t5, parts.clip, (ids[0].to(device), ids[1].to(device)))
    n = len(texts)
    text = torch.cat((features[:n], features[n:].expand(n, -1, -1)))
    vec = torch.cat((pooled[:n], pooled[n:].expand(n, -1)))
    x = pack(torch.cat([torch.randn(1, 16, CELLS, CELLS, generator=torch.Generator().manual_seed(s)) for s in seeds]))
    x = x.to(device)
    line = sigmas(settings)
    for now, after in itertools.pairwise(line):
        t = torch.full((2 * n,), now, device=device)
        v_text, v_empty = velocity(parts.transformer, torch.cat((x, x)), t, text, vec).chunk(2)
        x = x + (after - now) * (v_empty + settings.guidance * (v_text - v_empty))
    return unpack(x, CELLS, CELLS)


@torch.no_grad()
def images(
    parts: Parts, texts: list[str], seeds: list[int], settings: Settings, device: str = "cpu", batch: int = 32
) -> np.ndarray:
    """(B, 128, 128, 3) uint8."""
    out = []
    for i in range(0, len(texts), batch):
        z = latents(parts, texts[i : i + batch], seeds[i : i + batch], settings, device)
        y = parts.vae.decode(parts.vae.unscaled(z)).clamp(-1, 1)
        out.append(((y + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(out)


def sheet(pictures: np.ndarray, columns: int = 8) -> np.ndarray:
    """(B, H, W, 3) side by side in rows of `columns`; the last row is dropped where it is not full."""
    rows = [
        np.concatenate(list(pictures[i : i + columns]), axis=1) for i in range(0, len(pictures) - columns + 1, columns)
    ]
    return np.concatenate(rows, axis=0)
