"""Running a network over a large picture in overlapping tiles: memory depends on the tile, not on the picture.

The result is close to, not equal to, running it at once: a tile does not see what lies outside it. Tiles start, overlap
and blend exactly as diffusers' AutoencoderKL tiles do. Knows no network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Done = Callable[[int, int], None]
"""Called with (tiles finished, tiles in all); what it raises ends the work."""


def largest(fits: Callable[[int], bool], most: int, least: int = 128) -> int:
    """The side of the largest tile in pixels, of `most`, half of it and so on, that fits; `least` if none does."""
    side = most
    while side > least and not fits(side):
        side //= 2
    return max(side, least)


def tiled(
    run: Callable[[Tensor], Tensor], x: Tensor, size: int, size_out: int, overlap: float, done: Done | None = None
) -> Tensor:
    """`run` over tiles of x (B, C, H, W), joined: (B, C', H·s, W·s) with s = size_out / size.

    size, size_out   side of a tile before and after `run`; one is a multiple of the other
    overlap          share of a tile that also lies in the next one, 0…½; blended by a straight ramp, rows first
    """
    shrink = max(1, size // size_out)
    stride = max(1, int(size * (1 - overlap)) // shrink) * shrink
    keep = stride * size_out // size
    tops, lefts = range(0, x.shape[2], stride), range(0, x.shape[3], stride)
    above: list[Tensor] = []
    rows: list[Tensor] = []
    for top in tops:
        row: list[Tensor] = []
        for left in lefts:
            tile = run(x[:, :, top : top + size, left : left + size])
            if above:
                _ramp(above[len(row)], tile, size_out - keep, 2)
            if row:
                _ramp(row[-1], tile, size_out - keep, 3)
            row.append(tile)
            if done is not None:
                done(len(rows) * len(lefts) + len(row), len(tops) * len(lefts))
        rows.append(torch.cat([tile[:, :, :keep, :keep] for tile in row], dim=3))
        above = row
    return torch.cat(rows, dim=2)


def _ramp(before: Tensor, tile: Tensor, width: int, axis: int) -> None:
    """Go over from the end of `before` to the beginning of `tile`, in place, along an axis."""
    width = min(before.shape[axis], tile.shape[axis], width)
    if width == 0:
        return
    share = (torch.arange(width, device=tile.device, dtype=tile.dtype) / width).view(-1, *[1] * (3 - axis))
    start = tile.narrow(axis, 0, width)
    end = before.narrow(axis, before.shape[axis] - width, width)
    start.copy_(end * (1 - share) + start * share)
