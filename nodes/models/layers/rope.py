"""Rotary positions over several axes, interleaved pairs.

Knows neither what an axis means nor which tokens it turns.
Su et al. 2021, arXiv:2104.09864; pairing and axes as in black-forest-labs/flux `src/flux/math.py`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def rope_table(ids: Tensor, axes: Sequence[int], theta: float) -> Tensor:
    """The turn of every pair at every position, made once and used by all blocks of all steps.

    ids     (L, A)         position of each token on each axis
    axes    A even widths  how many features each axis turns; their sum is the head width d
    →       (L, d/2)       cos + i·sin, complex64; angle of pair j on an axis of width w = id · θ^(−2j/w)

    The angles are float64 (float32 on mps, which has no float64): float32 angles move the output by 2e-7.
    """
    exact = torch.float32 if ids.device.type == "mps" else torch.float64
    angles = torch.cat(
        [
            ids[:, axis, None].to(exact) * theta ** (-torch.arange(0, width, 2, dtype=exact, device=ids.device) / width)
            for axis, width in enumerate(axes)
        ],
        dim=-1,
    )
    return torch.complex(angles.cos().float(), angles.sin().float())


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn each adjacent pair (x₀, x₁) by its angle: (x₀ + i·x₁)(cos + i·sin), in float32.

    x       (B, heads, L, d)
    table   (L, d/2)         from `rope_table`; or (L, d/2, 2), the same as pairs of numbers, for compilers
    →       (B, heads, L, d) in the dtype of x
    """
    if not table.is_complex():
        a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        cos, sin = table.unbind(-1)
        return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x.dtype)
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * table).flatten(-2).to(x.dtype)
