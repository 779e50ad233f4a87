"""Nodes that say which noise levels a sampler visits."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from graph_runtime.node import Knob, node
from nodes.models.family import family_named
from nodes.models.sampling.schedule import SPACINGS, last_steps
from nodes.recipes import Model, latent_format
from nodes.sockets import Latent, Sigmas, refused

AUTO = "auto"
Steps = Annotated[int, Knob(min=0, max=1000, auto=0)]
Spacing = Annotated[str, Knob(choices=lambda: (AUTO, *SPACINGS))]
Strength = Annotated[float, Knob(min=0, max=1, step=0.01, slider=True)]


class SigmaParts(NamedTuple):
    before: Sigmas
    after: Sigmas


def levels(
    model: Model,
    latent: Latent,
    steps: int,
    spacing: str,
    denoise: float,
    shift: float = 0.0,
    given: tuple[float, ...] = (),
) -> list[float]:
    """The noise levels of a run on latents of this size. 0, "auto" and () are what the model is made for."""
    schedule = model.defaults.schedule
    if spacing != AUTO:
        schedule = replace(schedule, spacing=spacing)
    if shift:
        schedule = replace(schedule, shift=shift, dynamic=False)
    patch = latent_format(family_named(model.family)).patch
    height, width = latent.samples.shape[2:]
    tokens = (height // patch) * (width // patch)
    count = steps or model.defaults.steps
    return last_steps(schedule.sigmas(list(given) or count, tokens, count), denoise)


@node("core/sigmas", category="sampling")
def sigmas(
    model: Model,
    latent: Latent,
    *,
    steps: Steps = 0,
    schedule: Spacing = AUTO,
    shift: Annotated[float, Knob(min=0, max=100, step=0.05, auto=0)] = 0.0,
    denoise: Strength = 1.0,
    levels_given: Annotated[tuple[float, ...], Knob(advanced=True, label="levels")] = (),
) -> Sigmas:
    """Noise levels for a sampler, as this model wants them.

    latent: its size counts, for models that shift by resolution
    steps: 0 is what the model is made for
    schedule: how they are spaced; auto is what the model is made for
    shift: more than 1 spends more steps on much noise; 0 is what the model is made for
    denoise: less than 1 keeps only the end, for changing a picture
    levels_given: levels of your own instead of spaced ones, from 1 falling, without the 0; they are shifted too, for
        models that shift by the number of steps as much as for `steps`
    """
    return Sigmas(tuple(levels(model, latent, steps, schedule, denoise, shift, levels_given)))


@node("core/sigmas_from_numbers", title="Sigmas from numbers", category="sampling")
def sigmas_from_numbers(*, numbers: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)) -> Sigmas:
    """Noise levels exactly as written.

    numbers: falling from at most 1, usually to 0
    """
    return Sigmas(numbers)


@node("core/split_sigmas", category="sampling")
def split_sigmas(sigmas: Sigmas, *, step: Annotated[int, Knob(min=1, max=1000)] = 1) -> SigmaParts:
    """Noise levels in two parts, for two samplers one after the other.

    step: how many steps the first part has
    before: for the first sampler
    after: for the second sampler, which must not add noise
    """
    if not 1 <= step < len(sigmas) - 1:
        what = f"{len(sigmas) - 1} steps cannot be split after step {step}."
        raise refused("outside", "Split sigmas.step", what, "Choose an earlier step.")
    return SigmaParts(Sigmas(sigmas.values[: step + 1]), Sigmas(sigmas.values[step:]))
