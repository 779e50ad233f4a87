"""Conditionings put together: what a transformer is told, for several texts at once.

A conditioning is tensors by name, each with a row per text, as a family's text encoder names them. One that has a
`mask` (B, L) may be padded: what stands where the mask is 0 is not read. Knows no family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Condition = Mapping[str, Tensor]


def joined(several: Sequence[Condition]) -> dict[str, Tensor] | None:
    """All rows one below the other; texts of other lengths padded where they have a mask. None when they do not fit."""
    first = several[0]
    if any(one.keys() != first.keys() for one in several):
        return None
    if "mask" in first:
        longest = max(one["mask"].shape[1] for one in several)
        several = [padded(one, longest) for one in several]
    together = {}
    for name in first:
        rows = [one[name] for one in several]
        if any(row.shape[1:] != rows[0].shape[1:] for row in rows):
            return None
        together[name] = torch.cat(rows)
    return together


def padded(one: Condition, length: int) -> dict[str, Tensor]:
    """A conditioning with a mask (B, L), with zeroes behind it and behind every tensor (B, L, …) up to a length."""
    mask = one["mask"]
    short = length - mask.shape[1]

    def longer(tensor: Tensor) -> Tensor:
        return F.pad(tensor, (*[0, 0] * (tensor.ndim - 2), 0, short)) if tensor.shape[:2] == mask.shape else tensor

    return {name: longer(tensor) for name, tensor in one.items()} if short else dict(one)


def filling(one: Condition, batch: int) -> dict[str, Tensor]:
    """Rows repeated one by one to fill a batch: p₀ p₁ → p₀ p₀ p₁ p₁."""
    return {name: tensor.repeat_interleave(batch // len(tensor), 0) for name, tensor in one.items()}
