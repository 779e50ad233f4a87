"""What a Lumina model is used with when nobody says otherwise. Plain numbers: those of Lumina-Next's released pipeline,
and of the demonstration of Lumina-T2I, `lumina_t2i/demo.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.models.autoencoders import sdxl
from nodes.models.family import LatentFormat
from nodes.models.lumina.config import Config
from nodes.models.sampling.schedule import Schedule

ENCODERS = ("gemma",)
"""The text encoders it reads prompts with, in the order of a diffusers folder."""

FLAG_ENCODERS = ("llama",)
"""Those of Lumina-T2I."""

READINGS = (ENCODERS, FLAG_ENCODERS)

LATENT = LatentFormat(channels=sdxl.CHANNELS, downscale=8, scale=sdxl.SCALE, shift=0.0, patch=2)

TEXT_LENGTH = 256
"""Tokens of a text at most. Shorter ones are padded, and the padding is never read. Lumina-T2I was trained with 128;
its authors' own programs cut nothing."""

OPTIONS = ("positions", "watershed", "proportional")
"""What `velocity` can be told beyond what every family's can."""

POSITIONS = ("watershed", "linear", "ntk", "frequency", "time", "none")
"""How positions stretch to other sizes than those of training (`lumina.positions`)."""
NEGATIVE = {"lower": False}
"""The released pipeline puts prompts into small letters and leaves negatives as they are."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """steps, guidance (distilled: it has none), true_cfg (1 is off), schedule, solver, text_length (tokens), size and
    multiple (pixels).

    guided_channels  how many of the latent's channels a negative leads; 0 is all. Three of four is an oversight that
                     the released pictures were made with
    """

    steps: int
    schedule: Schedule
    true_cfg: float
    guided_channels: int
    guidance: float = 0.0
    text_length: int = TEXT_LENGTH
    solver: str = "euler"
    size: int = 1024
    multiple: int = 16


RELEASED = Defaults(steps=30, schedule=Schedule(spacing="normal"), true_cfg=4.0, guided_channels=3)


FLAG = replace(RELEASED, schedule=Schedule(shift=4.0))


def defaults(config: Config) -> Defaults:
    """The size is what it was trained on. The authors' scripts use a shift of 4 for Lumina-Next too."""
    return replace(FLAG if config.flag else RELEASED, size=8 * config.side)


def encoders(config: Config) -> tuple[str, ...]:
    """The text encoders that a transformer of these sizes reads with: one of READINGS."""
    return FLAG_ENCODERS if config.flag else ENCODERS


def usual_positions(config: Config) -> str:
    """The way for other sizes that the released code of this transformer has: one of POSITIONS."""
    return "ntk" if config.flag else "watershed"
