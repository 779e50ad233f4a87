"""What a Flux.1 model is used with when nobody says otherwise. Plain numbers; the model cards' recommendations."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.models.family import LatentFormat
from nodes.models.flux1.config import Config
from nodes.models.sampling.schedule import Schedule

ENCODERS = ("clip", "t5")
"""The text encoders it reads prompts with, in the order of a diffusers folder."""

LATENT = LatentFormat(channels=16, downscale=8, scale=0.3611, shift=0.1159, patch=2)

MAGNITUDES = (
    1.0, 1.21094, 1.11719, 1.07812, 1.0625, 1.03906, 1.03125, 1.03906, 1.02344, 1.03125, 1.02344, 0.98047, 1.01562,
    1.00781, 1.0, 1.00781, 1.0, 1.00781, 1.0, 1.0, 0.99609, 0.99609, 0.98047, 0.98828, 0.96484, 0.95703, 0.93359,
    0.89062,
)  # fmt: skip
"""How what the blocks of dev add changes in size from step to step, of 28: github.com/Zehong-Ma/MagCache."""
TEXT_LENGTH = 512
"""Tokens where nobody knows which of its models the text is for."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """steps, guidance (distilled), true_cfg (1 is off), schedule, solver, text_length (tokens of T5), size and multiple
    (pixels)."""

    steps: int
    guidance: float
    schedule: Schedule
    text_length: int
    true_cfg: float = 1.0
    solver: str = "euler"
    size: int = 1024
    multiple: int = 16


SCHNELL = Defaults(steps=4, guidance=0.0, schedule=Schedule(), text_length=256)
DEV = Defaults(steps=28, guidance=3.5, schedule=Schedule(shift=3.0, dynamic=True), text_length=512)
FILL = Defaults(steps=50, guidance=30.0, schedule=DEV.schedule, text_length=512)
CONTROL = Defaults(steps=50, guidance=30.0, schedule=DEV.schedule, text_length=512)


def defaults(config: Config) -> Defaults:
    """By what the network is: without guidance it is schnell; more input than output features is Fill or Control."""
    if not config.guidance:
        return SCHNELL
    return {1: DEV, 2: CONTROL, 6: FILL}.get(config.in_channels // config.out_channels, DEV)
