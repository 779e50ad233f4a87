"""Rotary positions of a picture's tokens, and how they stretch to pictures larger than those of training.

In Lumina-Next a head's features are turned in pairs, alternately by the row and by the column; both have the same
frequencies. In Lumina-T2I all are turned by one number, which counts the tokens from the first of the first row to the
last of the last one, the rows' ends among them. For a picture s times as long as those of training (s is the ratio of
areas, and in Lumina-Next its square root):

    watershed   positions divided by s while t < the watershed, then θ · s instead (NTK); t is 0 for noise and 1 for the
                picture. With the default of 1 it is always the former. What the released code of Lumina-Next does.
    linear      positions divided by s.
    ntk         θ · s. What the released code of Lumina-T2I does.
    frequency   ours, after the paper: θ grows so that the frequency whose wavelength is the length of training is
                divided by exactly s, and no frequency is divided by more.
    time        ours, after the paper: as before, but the frequency that is divided by s moves from the highest at t = 0
                (all are divided by s) to the lowest at t = 1 (NTK).
    none        as in training, whatever the size.

Lumina-Next: Zhuo et al. 2024, arXiv:2406.18583 §2.3; no released code has "frequency" or "time". Knows no network.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nodes.models.lumina.config import Config

THETA = 10000.0


class Measured(NamedTuple):
    """A picture of so many rows and columns of tokens, beside those a model was trained on.

    line      whether positions count on from row to row, in one axis
    features  of a head, that an axis turns
    stretch   how many times longer than in training
    longest   tokens along an axis in training
    sharpness  what scores of attention to the picture grow by, where they do ("proportional attention")
    """

    rows: int
    columns: int
    line: bool
    features: int
    stretch: float
    longest: int
    sharpness: float


def measured(config: Config, rows: int, columns: int) -> Measured:
    """A picture of so many tokens for this model.

    Lumina-T2I's scores do not grow at side · (side + 2) tokens, as many as it was trained with at most; a square
    picture of the size of training has side · (side + 1).
    """
    head, side, area = config.width // config.heads, config.side // 2, rows * columns
    if config.flag:
        sharpness = math.sqrt(math.log(rows * (columns + 1), side**2 + 2 * side))
        return Measured(rows, columns, True, head, area / side**2, side * (side + 1), sharpness)
    sharpness = math.sqrt(math.log(area, side**2))
    return Measured(rows, columns, False, head // 2, math.sqrt(area / side**2), side, sharpness)


def frequencies(features: int, stretch: float, t: float, longest: int, positions: str, watershed: float) -> Tensor:
    """Angle per token of each pair that an axis turns: (features/2,), float32.

    features  of a head, that the axis turns;  stretch  s;  t  0 is noise, 1 the picture
    longest   tokens along the axis in training
    """
    exponents = torch.arange(0, features, 2, dtype=torch.float32) / features
    if positions == "none" or (positions in ("frequency", "time") and stretch <= 1):
        return 1.0 / THETA**exponents
    if positions in ("watershed", "linear", "ntk"):
        divided = positions == "linear" or (positions == "watershed" and t < watershed)
        theta, divisor = (THETA, stretch) if divided else (THETA * stretch, 1.0)
        return 1.0 / theta**exponents / divisor
    # The exponent whose frequency is to be divided by exactly s; θ' = θ · s^(1/exponent).
    if positions == "frequency":
        target = math.log(longest / (2 * math.pi)) / math.log(THETA)
    else:
        target = ((2 * features - 1) * t + 1) / (2 * features)
    scaled = torch.exp(-exponents.double() * (math.log(THETA) + math.log(stretch) / max(target, 1e-6)))
    return torch.maximum(scaled, THETA ** -exponents.double() / stretch).float()


def turns(seen: Measured, each: Tensor) -> Tensor:
    """Turns of all tokens of a picture, complex64: `line`, or `table`."""
    return line(seen.rows * (seen.columns + 1), each) if seen.line else table(seen.rows, seen.columns, each)


def table(height: int, width: int, each: Tensor) -> Tensor:
    """Turns of height × width tokens, row by row: frequencies (F,) → (height·width, 2·F), complex64."""
    rows, columns = (torch.outer(torch.arange(n, device=each.device), each) for n in (height, width))
    angles = torch.stack((rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), dim=-1)
    angles = angles.flatten(-2).flatten(0, 1)
    return torch.polar(torch.ones_like(angles), angles)


def line(count: int, each: Tensor) -> Tensor:
    """Turns of tokens one after the other: frequencies (F,) → (count, F), complex64."""
    angles = torch.outer(torch.arange(count, device=each.device), each)
    return torch.polar(torch.ones_like(angles), angles)
