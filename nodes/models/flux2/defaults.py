"""What a Flux.2 model is used with when nobody says otherwise. Plain numbers; the model cards' recommendations."""

from __future__ import annotations

from collections.abc import Mapping
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

OPTIONS = ("references_once",)
"""What `velocity` can be told beyond what every family's can."""

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
KLEIN_BASE = Defaults(steps=50, guidance=0.0, schedule=SCHEDULE, true_cfg=4.0)


def defaults(config: Config) -> Defaults:
    """By what the network is: without guidance it is a klein model, which is distilled to four steps."""
    return DEV if config.guidance else KLEIN


def told(usual: Defaults, index: Mapping[str, object]) -> Defaults:
    """What a pipeline's model_index.json changes: klein *base* has klein's shapes and is not distilled."""
    return KLEIN_BASE if usual == KLEIN and index.get("is_distilled") is False else usual
