"""Velocities made from velocities: guidance by a negative, and a part of the latent that is already known.

Each takes velocities and returns one, so they nest, and every solver works with every one of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.models.sampling.solvers import Velocity


def cfg(positive: Velocity, negative: Velocity, scale: float) -> Velocity:
    """v₋ + scale · (v₊ − v₋): two forwards, because their texts may differ in length. scale 1 is v₊ alone.

    Ho & Salimans 2022, arXiv:2207.12598.
    """

    def guided(x: Tensor, sigma: float) -> Tensor:
        towards = positive(x, sigma)
        away = negative(x, sigma)
        return away + scale * (towards - away)

    return positive if scale == 1.0 else guided


def masked(velocity: Velocity, known: Tensor, mask: Tensor) -> Velocity:
    """Paint where the mask is 1 and keep `known` where it is 0, for any solver.

    known  (B, C, h, w)        x must start from `noised(known, noise, sigmas[0])`
    mask   (B or 1, 1, h, w)   0…1

    Where the latent is known, so is the slope that leads there: v' = m · v + (1 − m) · (x − known) / σ. On the straight
    line from noise that is noise − known, so for a mask of zeros and ones this is
    x ← (1 − m)(σ'·noise + (1 − σ')·known) + m·x after every step, as diffusers' FluxInpaintPipeline does it; off the
    line, where a random solver puts x, it still leads to `known`. In between, the known part counts by 1 − m.
    """

    def held(x: Tensor, sigma: float) -> Tensor:
        return torch.lerp((x - known) / sigma, velocity(x, sigma), mask.to(x.dtype))

    return held


def latent_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask in pixels (B, H, W) as one in latent cells (B, 1, h, w): the nearest pixel, as diffusers takes it."""
    return F.interpolate(mask[:, None].float(), size=(height, width))
