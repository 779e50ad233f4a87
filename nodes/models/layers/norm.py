"""Norms whose details differ from torch's own modules: names, missing weights, epsilon."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """y = scale · x / √(mean(x²) + ε) over the last axis; the weight is called `scale`, as original Flux files do.

    Zhang & Sennrich 2019, arXiv:1910.07467.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.scale.shape, self.scale, self.eps)


class QKNorm(nn.Module):
    """An RMS norm for queries and one for keys, over the features of a head. Dehghani et al. 2023, arXiv:2302.05442."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm = RMSNorm(width)
        self.key_norm = RMSNorm(width)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_norm(q), self.key_norm(k)


def plain_norm(x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """Layer norm without weights of its own: what adaptive modulation scales and shifts, each (D,)."""
    return F.layer_norm(x, x.shape[-1:], scale, shift, eps=eps)
