"""Adaptive modulation: shift, scale and gate read from a vector. Peebles & Xie 2022, arXiv:2212.09748 §3.2.

Written so that each formula is one pass over the tokens where torch has a kernel for it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.layers.norm import plain_norm


class Modulate(nn.Module):
    """`parts` vectors of the model's width from one: (…, D) → (…, parts·D), lin(silu(vec))."""

    def __init__(self, width: int, parts: int, bias: bool = True) -> None:
        super().__init__()
        self.lin = nn.Linear(width, parts * width, bias=bias)

    def forward(self, vec: Tensor) -> Tensor:
        return self.lin(F.silu(vec))


def modulated(x: Tensor, shift: Tensor, scale: Tensor, eps: float = 1e-6) -> Tensor:
    """norm(x) · (1 + scale) + shift; x (B, L, D), shift and scale (B, 1, D), or (1, 1, D) for the whole batch."""
    if len(scale) == 1:  # then they are weights of the norm itself
        return plain_norm(x, 1 + scale.flatten(), shift.flatten(), eps)
    return torch.addcmul(shift, plain_norm(x, eps=eps), 1 + scale)


def gated(x: Tensor, gate: Tensor, change: Tensor) -> Tensor:
    """x + gate · change; x and change (B, L, D), gate (B or 1, 1, D)."""
    return torch.addcmul(x, gate, change)


def parts_of(modulation: Tensor, parts: int) -> tuple[Tensor, ...]:
    """(B, parts·D) → `parts` of (B, 1, D), ready to meet (B, L, D)."""
    return modulation.unsqueeze(1).chunk(parts, dim=-1)


def finite(x: Tensor) -> Tensor:
    """float16 only: keep the stream inside ±65504, where the released weights would leave it."""
    return x.clip(-65504, 65504) if x.dtype == torch.float16 else x
