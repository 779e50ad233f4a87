"""Latents as tokens of the Flux.2 transformer, and where each token stands. Knows no network.

black-forest-labs/flux2 `src/flux2/sampling.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

REFERENCE = "reference."
"""Beginning of the names of a conditioning's reference latents: reference.0, reference.1, …"""
APART = 10
"""Position on the first axis of the first reference picture; the second has twice that."""


def references_of(conditioning: Mapping[str, Tensor]) -> list[Tensor]:
    """Reference latents in the order of their numbers."""
    named = [name for name in conditioning if name.startswith(REFERENCE) and name[len(REFERENCE) :].isdecimal()]
    return [conditioning[name] for name in sorted(named, key=lambda name: int(name[len(REFERENCE) :]))]


def image_ids(height: int, width: int, picture: int, device: torch.device | str = "cpu") -> Tensor:
    """Positions (picture, row, column, 0) of height × width tokens, row by row: (height·width, 4), float32."""
    row, column = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    zero = torch.zeros_like(row)
    return torch.stack((zero + picture, row, column, zero), dim=-1).flatten(0, 1).float()


def text_ids(length: int, device: torch.device | str = "cpu") -> Tensor:
    """Positions (0, 0, 0, word): (length, 4), float32."""
    ids = torch.zeros(length, 4, device=device)
    ids[:, 3] = torch.arange(length, device=device)
    return ids


def pack(latent: Tensor) -> Tensor:
    """A cell is a token: (B, C, h, w) → (B, h·w, C)."""
    return latent.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The way back: (B, h·w, C) → (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, (height, width))
