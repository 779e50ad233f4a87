"""What an AuraFlow model is used with when nobody says otherwise. Plain numbers; those of its released pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.models.auraflow.config import Config
from nodes.models.autoencoders import sdxl
from nodes.models.family import LatentFormat
from nodes.models.sampling.schedule import Schedule

ENCODERS = ("umt5",)
"""The text encoders it reads prompts with, in the order of a diffusers folder."""

LATENT = LatentFormat(channels=sdxl.CHANNELS, downscale=8, scale=sdxl.SCALE, shift=0.0, patch=2)

TEXT_LENGTH = 256
"""Tokens where nobody knows which of its models the text is for. Pony V7 was trained with up to 768."""


OPTIONS = ("positions",)
"""What `velocity` can be told beyond what every family's can."""

POSITIONS = ("cut", "stretched")
"""What becomes of pictures larger than the grid of learned positions: refused, or painted on a grid made wider."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """steps, guidance (distilled: it has none), true_cfg (1 is off), schedule, solver, text_length (tokens), size and
    multiple (pixels)."""

    steps: int
    schedule: Schedule
    true_cfg: float
    guidance: float = 0.0
    text_length: int = TEXT_LENGTH
    solver: str = "euler"
    size: int = 1024
    multiple: int = 16


RELEASED = Defaults(steps=50, schedule=Schedule(shift=1.73, spacing="normal"), true_cfg=3.5)


def defaults(config: Config) -> Defaults:
    """The same for every release; a grid too small for a megapixel says the size."""
    return replace(RELEASED, size=min(RELEASED.size, config.longest_side))
