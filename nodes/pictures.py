"""Between pixels on a wire and Pillow's pictures: for resampling that must be Pillow's own, to the last level."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor


def as_picture(pixels: Tensor) -> Pillow.Image:
    """(H, W, 3) from 0 to 1, rounded to 255 levels."""
    return Pillow.fromarray((pixels * 255).round().clamp(0, 255).to(torch.uint8).numpy())


def as_pixels(picture: Pillow.Image) -> Tensor:
    """→ (1, H, W, 3) from 0 to 1."""
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.uint8).copy())[None].float() / 255
