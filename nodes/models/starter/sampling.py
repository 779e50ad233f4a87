"""Pictures from captions, by the family's own text encoder, sigmas and velocity, as its nodes call them.

Euler steps; guidance is v = v_empty + s·(v_text − v_empty), Ho & Salimans 2022, arXiv:2207.12598, and costs nothing
where s is 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodes.models.autoencoders.kl import Autoencoder
from nodes.models.family import Family
from nodes.models.sampling.schedule import Schedule
from nodes.models.starter import families

CELLS = 16  # latent cells of a side, of those families whose tokens are 2 × 2 of them
TOKENS = 64


@dataclass
class Parts:
    """Everything that a picture takes."""

    family: Family
    encoder: nn.Module
    transformer: Any
    vae: Autoencoder

    @property
    def starter(self) -> ModuleType:
        """The module of `families` that says how this one is trained and written."""
        return families.of(self.family.name)

    def told(self, texts: list[str]) -> Mapping[str, Tensor]:
        """What the transformer is told of some texts, one row each."""
        return self.encoder(texts, max_length=self.starter.LENGTH).tensors

    @torch.no_grad()
    def shown(self, pictures: np.ndarray) -> Mapping[str, Tensor]:
        """What it is told of pictures (B, H, W, 3) uint8 that it is to change, one row each."""
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        return {"reference.0": self.vae.scaled(self.vae.encode(pixels)[0])}


@dataclass(frozen=True)
class Settings:
    """How to sample; `shift` bends the sigmas towards noise."""

    steps: int = 16
    guidance: float = 2.0
    shift: float = 2.0


def sigmas(settings: Settings, usual: Schedule) -> list[float]:
    """steps + 1 values from 1 to 0, spaced as the family's usual schedule."""
    return replace(usual, shift=settings.shift, dynamic=False).sigmas(settings.steps, TOKENS)


@torch.no_grad()
def latents(
    parts: Parts,
    texts: list[str],
    seeds: list[int],
    settings: Settings,
    device: str = "cpu",
    shown: np.ndarray | None = None,
) -> Tensor:
    """(B, C, h, w) sampled latents, one generator per picture; `shown` (B, H, W, 3) uint8 are pictures to change."""
    vae = parts.vae.config
    one = (1, vae.latent, *[vae.sample_size // vae.factor] * 2)
    x = torch.cat([torch.randn(one, generator=torch.Generator().manual_seed(s)) for s in seeds])
    beside = parts.shown(shown) if shown is not None else {}
    usual = parts.family.defaults.defaults(parts.transformer.config).schedule
    x, line = x.to(device), sigmas(settings, usual)
    kinds = (texts, [""] * len(texts)) if settings.guidance != 1 else (texts,)
    told = [{**parts.told(texts), **beside} for texts in kinds]
    moves = [parts.family.transformer.velocity(parts.transformer, one, x.shape, line) for one in told]
    for now, after in itertools.pairwise(line):
        v, *empty = (move(x, now) for move in moves)
        if empty:
            v = empty[0] + settings.guidance * (v - empty[0])
        x = x + (after - now) * v
    return x


@torch.no_grad()
def images(
    parts: Parts,
    texts: list[str],
    seeds: list[int],
    settings: Settings,
    device: str = "cpu",
    batch: int = 32,
    shown: np.ndarray | None = None,
) -> np.ndarray:
    """(B, 128, 128, 3) uint8; `shown` are pictures of that form that the texts say what to change in."""
    out = []
    for i in range(0, len(texts), batch):
        given = shown[i : i + batch] if shown is not None else None
        z = latents(parts, texts[i : i + batch], seeds[i : i + batch], settings, device, given)
        y = parts.vae.decode(parts.vae.unscaled(z)).clamp(-1, 1)
        out.append(((y + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(out)


def sheet(pictures: np.ndarray, columns: int = 8) -> np.ndarray:
    """(B, H, W, 3) side by side in rows of `columns`; the last row is dropped where it is not full."""
    rows = [
        np.concatenate(list(pictures[i : i + columns]), axis=1) for i in range(0, len(pictures) - columns + 1, columns)
    ]
    return np.concatenate(rows, axis=0)
