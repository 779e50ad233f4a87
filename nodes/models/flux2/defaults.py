"""What a Flux.2 model is used with when nobody says otherwise. Plain numbers; the model cards' recommendations."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.models.family import LatentFormat
from nodes.models.flux2.config import Config
from nodes.models.sampling.schedule import Schedule

ENCODERS = ("language",)
"""The text encoders it reads prompts with: a language model, Mistral 3 for dev and Qwen3 for klein."""

LATENT = LatentFormat(channels=128, downscale=16, scale=1.0, shift=0.0, patch=1)
"""What is sampled is 2 × 2 of the autoencoder's cells as one, normalised by the autoencoder itself."""

TEXT_LENGTH = 512
"""Tokens a text is filled up to; the filling is read too."""

REFERENCE_PIXELS = 1024 * 1024
"""Area a reference picture is scaled down to; 0 or absent would say that a family takes no reference pictures."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """steps, guidance (distilled), true_cfg (1 is off), schedule, solver, text_length (tokens), size and multiple
    (pixels)."""

    steps: int
    guidance: float
    schedule: Schedule
    text_length: int = 512
    true_cfg: float = 1.0
    solver: str = "euler"
    size: int = 1024
    multiple: int = 16


SCHEDULE = Schedule(dynamic=True, empirical=True)
DEV = Defaults(steps=50, guidance=4.0, schedule=SCHEDULE)
KLEIN = Defaults(steps=4, guidance=0.0, schedule=SCHEDULE)


def defaults(config: Config) -> Defaults:
    """By what the network is: without guidance it is a klein model, which is distilled to four steps.

    The klein *base* models have the same shapes and are not distilled: they want 50 steps and a true CFG of 4.
    """
    return DEV if config.guidance else KLEIN
