"""Rotary positions of a picture's rows and columns, and how they stretch to pictures larger than those of training.

A head's features are turned in pairs, alternately by the row and by the column; both have the same frequencies. For a
picture s times as large as those of training (s is the square root of the ratio of areas):

    watershed   positions divided by s while t < the watershed, then θ · s instead (NTK); t is 0 for noise and 1 for the
                picture. With the default of 1 it is always the former. What the released code does.
    frequency   ours, after the paper: θ grows so that the frequency whose wavelength is the side of training is divided
                by exactly s, and no frequency is divided by more.
    time        ours, after the paper: as before, but the frequency that is divided by s moves from the highest at t = 0
                (all are divided by s) to the lowest at t = 1 (NTK).
    none        as in training, whatever the size.

Lumina-Next: Zhuo et al. 2024, arXiv:2406.18583 §2.3; no released code has "frequency" or "time". Knows no network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

THETA = 10000.0


def frequencies(head: int, stretch: float, t: float, side: int, positions: str, watershed: float) -> Tensor:
    """Angle per token of each pair that a row (or a column) turns: (head/4,), float32.

    head     features of a head;  stretch  s;  t  0 is noise, 1 the picture;  side  tokens of a side in training
    """
    exponents = torch.arange(0, head // 2, 2, dtype=torch.float32) / (head // 2)
    if positions == "none" or (positions in ("frequency", "time") and stretch <= 1):
        return 1.0 / THETA**exponents
    if positions == "watershed":
        early = t < watershed
        theta, divisor = (THETA, stretch) if early else (THETA * stretch, 1.0)
        return 1.0 / theta**exponents / divisor
    # The exponent whose frequency is to be divided by exactly s; θ' = θ · s^(1/exponent).
    if positions == "frequency":
        target = math.log(side / (2 * math.pi)) / math.log(THETA)
    else:
        target = ((head - 1) * t + 1) / head
    scaled = torch.exp(-exponents.double() * (math.log(THETA) + math.log(stretch) / max(target, 1e-6)))
    return torch.maximum(scaled, THETA ** -exponents.double() / stretch).float()


def table(height: int, width: int, each: Tensor) -> Tensor:
    """Turns of height × width tokens, row by row: frequencies (F,) → (height·width, 2·F), complex64."""
    rows, columns = (torch.outer(torch.arange(n, device=each.device), each) for n in (height, width))
    angles = torch.stack((rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), dim=-1)
    angles = angles.flatten(-2).flatten(0, 1)
    return torch.polar(torch.ones_like(angles), angles)
