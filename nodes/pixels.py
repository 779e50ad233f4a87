"""Arithmetic on pixels: resizing, blurring, growing, blending. Tensors in, tensors out; knows no node and no file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Method = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]
Fit = Literal["stretch", "crop", "pad"]
Blend = Literal[
    "normal", "multiply", "screen", "overlay", "soft light", "add", "subtract", "difference", "lighten", "darken"
]

# Rec. 709, the colours of sRGB.
LUMINANCE = (0.2126, 0.7152, 0.0722)


def resize(x: Tensor, width: int, height: int, method: Method = "lanczos") -> Tensor:
    """(B, C, H, W) → (B, C, height, width); smaller sizes are filtered first, so that nothing flickers."""
    if x.shape[-2:] == (height, width):
        return x
    match method:
        case "lanczos":
            rows, columns = _lanczos(x.shape[-2], height).to(x), _lanczos(x.shape[-1], width).to(x)
            return rows @ x @ columns.T
        case "nearest":
            return F.interpolate(x, (height, width), mode="nearest-exact")
        case "area":
            return F.interpolate(x, (height, width), mode="area")
    return F.interpolate(x, (height, width), mode=method, antialias=True, align_corners=False)


def _lanczos(before: int, after: int, lobes: int = 3) -> Tensor:
    """(after, before): the weights of Lanczos' filter, rows summing to 1. Duchon 1979, J. Appl. Meteor. 18:1016."""
    scale = max(before / after, 1.0)
    centres = (torch.arange(after, dtype=torch.float64) + 0.5) * before / after - 0.5
    distance = (torch.arange(before, dtype=torch.float64) - centres[:, None]) / scale
    weights = torch.sinc(distance) * torch.sinc(distance / lobes) * (distance.abs() < lobes)
    return (weights / weights.sum(1, keepdim=True)).float()


def fitted(x: Tensor, width: int, height: int, method: Method, fit: Fit) -> Tensor:
    """(B, C, H, W) → (B, C, height, width): stretched, or at its own proportions its middle, or all on black."""
    if fit == "stretch":
        return resize(x, width, height, method)
    before_h, before_w = x.shape[-2:]
    choose = max if fit == "crop" else min
    factor = choose(width / before_w, height / before_h)
    inner_w, inner_h = max(1, round(before_w * factor)), max(1, round(before_h * factor))
    x = resize(x, inner_w, inner_h, method)
    if fit == "crop":
        left, top = max(0, (inner_w - width) // 2), max(0, (inner_h - height) // 2)
        return x[..., top : top + height, left : left + width]
    left, top = (width - inner_w) // 2, (height - inner_h) // 2
    return F.pad(x, (left, width - inner_w - left, top, height - inner_h - top))


def blurred(x: Tensor, radius: float) -> Tensor:
    """(B, C, H, W) under a Gaussian of standard deviation `radius` pixels; the edge pixels continue outside."""
    if radius < 0.05:
        return x
    reach = max(1, math.ceil(radius * 3))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=x.dtype) / radius) ** 2)
    weights = (weights / weights.sum()).to(x).expand(x.shape[1], 1, -1)
    for axis in (-1, -2):
        sides = (reach, reach, 0, 0) if axis == -1 else (0, 0, reach, reach)
        kernel = weights[:, :, None, :] if axis == -1 else weights[:, :, :, None]
        x = F.conv2d(F.pad(x, sides, mode="replicate"), kernel, groups=x.shape[1])
    return x


def grown(values: Tensor, pixels: int) -> Tensor:
    """(B, H, W) with its bright parts `pixels` wider on every side, or narrower if that is negative. Round corners."""
    if pixels == 0:
        return values
    if pixels < 0:
        return 1 - grown(1 - values, -pixels)
    reach = min(pixels, max(values.shape[-2:]))
    down = torch.arange(-reach, reach + 1)
    result = values
    for dy in down.tolist():
        dx = math.isqrt(pixels * pixels - dy * dy) if abs(dy) <= pixels else 0
        moved = _shifted(values, dy)
        wide = F.max_pool2d(F.pad(moved[:, None], (dx, dx, 0, 0)), (1, 2 * dx + 1), 1)[:, 0]
        result = torch.maximum(result, wide)
    return result


def _shifted(values: Tensor, dy: int) -> Tensor:
    """(B, H, W) moved down by dy rows; what comes in is 0."""
    moved = torch.zeros_like(values)
    if abs(dy) < values.shape[1]:
        moved[:, max(dy, 0) : values.shape[1] + min(dy, 0)] = values[:, max(-dy, 0) : values.shape[1] - max(dy, 0)]
    return moved


BLENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": lambda a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": lambda a, b: 1 - (1 - a) * (1 - b),
    "overlay": lambda a, b: torch.where(a < 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b)),
    "soft light": lambda a, b: (1 - 2 * b) * a * a + 2 * b * a,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "difference": lambda a, b: (a - b).abs(),
    "lighten": torch.maximum,
    "darken": torch.minimum,
}


def ellipse(width: int, height: int, left: float, top: float, right: float, bottom: float) -> Tensor:
    """(H, W): 1 inside the ellipse in that box (in pixels), 0 outside, a pixel's width between."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    half_w, half_h = max((right - left) / 2, 1e-6), max((bottom - top) / 2, 1e-6)
    distance = torch.hypot((x - (left + right) / 2) / half_w, (y - (top + bottom) / 2) / half_h)
    return ((1 - distance) * min(half_w, half_h) + 0.5).clamp(0, 1)


def rectangle(width: int, height: int, left: float, top: float, right: float, bottom: float) -> Tensor:
    """(H, W): 1 inside that box (in pixels), 0 outside, partly where it cuts a pixel."""

    def covered(length: int, start: float, end: float) -> Tensor:
        cells = torch.arange(length, dtype=torch.float32)
        return (torch.clamp(cells + 1, max=end) - torch.clamp(cells, min=start)).clamp(0, 1)

    return covered(height, top, bottom)[:, None] * covered(width, left, right)[None]
