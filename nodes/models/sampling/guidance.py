"""Velocities made from velocities: guidance by a negative, and a part of the latent that is already known.

Each takes velocities and returns one, so they nest, and every solver works with every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.models.sampling.conditions import Condition, filling, joined
from nodes.models.sampling.solvers import Velocity

Speak = Callable[[Condition, Sequence[int]], Velocity]
"""(conditioning, shape of the latents) → the velocity of a model that is told this."""


def cfg(positive: Velocity, negative: Velocity, scale: float, channels: int = 0) -> Velocity:
    """v₋ + scale · (v₊ − v₋), in two forwards. scale 1 is v₊ alone.

    channels  only the first so many are guided, and the others are v₊'s; 0 is all

    Ho & Salimans 2022, arXiv:2207.12598.
    """

    def guided(x: Tensor, sigma: float) -> Tensor:
        towards = positive(x, sigma)
        return _away(towards, negative(x, sigma), scale, channels)

    return positive if scale == 1.0 else guided


def cfg_of(
    speak: Speak, positive: Condition, negative: Condition, shape: Sequence[int], scale: float, channels: int = 0
) -> Velocity:
    """As `cfg`, in one forward of twice the batch; in two where the texts cannot be one batch.

    shape   (B, C, h, w) of the latents; both conditionings have as many rows, or a number that divides B
    """
    batch = shape[0]
    both = joined([filling(negative, batch), filling(positive, batch)])
    if both is None:
        return cfg(speak(positive, shape), speak(negative, shape), scale, channels)
    velocity = speak(both, (2 * batch, *shape[1:]))

    def guided(x: Tensor, sigma: float) -> Tensor:
        away, towards = velocity(torch.cat((x, x)), sigma).chunk(2)
        return _away(towards, away, scale, channels)

    return guided


def _away(towards: Tensor, away: Tensor, scale: float, channels: int) -> Tensor:
    """Through `towards`, seen from `away`; in the first channels, or in all."""
    guided = away + scale * (towards - away)
    return torch.cat((guided[:, :channels], towards[:, channels:]), dim=1) if channels else guided


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
