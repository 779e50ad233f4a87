"""Scalars and vectors on their way to the width of the model."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoid(t: Tensor, width: int = 256, scale: float = 1.0) -> Tensor:
    """cos and sin of t at `width`/2 falling frequencies, in float32.

    t       (B,)          in the units the model was trained with (Flux: 1000 · t)
    scale                 a factor applied last, as diffusers applies it: earlier, the angles are off by 6e-5
    →       (B, width)    [cos ; sin] of t · 10⁴^(−2i/width) · scale

    Vaswani et al. 2017, arXiv:1706.03762 §3.5, cosines first.
    """
    half = width // 2
    index = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(index * (-math.log(10000.0) / half))
    angles = angles * scale if scale != 1.0 else angles
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class Embed(nn.Module):
    """W₂ · silu(W₁ x + b₁) + b₂: (…, given) → (…, width). Flux.2 has no biases."""

    def __init__(self, given: int, width: int, bias: bool = True) -> None:
        super().__init__()
        self.in_layer = nn.Linear(given, width, bias=bias)
        self.out_layer = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(x)))


class TimeEmbed(nn.Module):
    """W₂ · silu(W₁ s + b₁) + b₂ of the sinusoid s of scale · t: (S,) → (S, width)."""

    def __init__(self, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(sinusoid(t, scale=self.scale).to(self.mlp[0].weight.dtype))
