"""The node that paints. What a step is, `nodes.models.sampling` says; here are inputs, progress and stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from graph_runtime.context import Context, Outlook
from graph_runtime.node import Knob, node
from nodes.adapted import in_use
from nodes.latent import Seed
from nodes.models.family import family_named
from nodes.models.sampling import guidance as guided
from nodes.models.sampling import loop
from nodes.models.sampling.noise import noise as drawn
from nodes.models.sampling.noise import noised
from nodes.models.sampling.skipping import Skips
from nodes.models.sampling.solvers import SOLVERS, Velocity
from nodes.previews import Watcher
from nodes.recipes import Model, latent_format, same_space
from nodes.reference import REFERENCE
from nodes.sigmas import AUTO, Spacing, Steps, Strength, levels
from nodes.sockets import Conditioning, Latent, Sigmas, refused
from nodes.working import painting

PLACE = "Sample"


def sampling(
    model: Model,
    positive: Conditioning,
    latent: Latent,
    negative: Conditioning | None,
    sigmas: Sigmas | None,
    steps: int,
    true_cfg: float,
    schedule: str,
    denoise: float,
    solver: str,
    **others: object,
) -> Outlook:
    """What painting takes, and latents as large as it gives."""
    latent = _one_for_each(latent, positive, negative)
    walk = list(sigmas) if sigmas is not None else levels(model, latent, steps, schedule, denoise)
    method = SOLVERS[solver if solver != AUTO else model.defaults.solver]
    guided = negative if (true_cfg or model.defaults.true_cfg) > 1 else None
    works_with = _working_bytes(model, latent, len(loop.visited(method, walk)), positive, guided)
    return Outlook(works_with, {"latent": latent})


def _working_bytes(
    model: Model, latent: Latent, asked: int, positive: Conditioning, negative: Conditioning | None
) -> int:
    """What painting takes beside the weights. With a negative, both are one forward."""
    told = [one.tensors for one in (positive, negative) if one is not None]
    text = max(tensors["text"].shape[1] for tensors in told)
    patch = latent_format(family_named(model.family)).patch
    shown = [t.shape[2:] for name, t in positive.tensors.items() if name.startswith(REFERENCE)]
    seen = sum((height // patch) * (width // patch) for height, width in shown)
    batch, *rest = latent.samples.shape
    return painting(model, (batch * len(told), *rest), asked, text, seen)


@node("core/sample", category="sampling", purity="seeded", previews=True, outlook=sampling)
def sample(
    model: Model,
    positive: Conditioning,
    latent: Latent,
    negative: Conditioning | None = None,
    sigmas: Sigmas | None = None,
    noise: Latent | None = None,
    *,
    ctx: Context,
    seed: Seed = 0,
    steps: Steps = 0,
    guidance: Annotated[float, Knob(min=-1, max=100, step=0.1, auto=-1)] = -1.0,
    true_cfg: Annotated[float, Knob(min=0, max=100, step=0.1, auto=0)] = 0.0,
    solver: Annotated[str, Knob(choices=lambda: (AUTO, *SOLVERS))] = AUTO,
    schedule: Spacing = AUTO,
    denoise: Strength = 1.0,
    add_noise: Annotated[bool, Knob(advanced=True)] = True,
    guided_channels: Annotated[int, Knob(min=-1, max=256, advanced=True, auto=-1)] = -1,
) -> Latent:
    """Paint: from noise to what the text says, step by step.

    model: that paints
    positive: what is to be seen
    latent: how large and how many; with a denoise below 1, what is there already; with a mask, where to paint
    negative: what is not to be seen; only counts with a true CFG above 1, and doubles the time
    sigmas: noise levels to visit instead of steps, schedule and denoise
    noise: to begin with, instead of what the seed gives
    seed: the same seed and settings give the same picture; picture i of a batch has the seed + i
    steps: more is finer and slower; 0 is what the model is made for
    guidance: how strongly a distilled model follows the text; -1 is what the model is made for
    true_cfg: how far away from the negative; 1 is not at all, 0 is what the model is made for
    solver: how a step is made; auto is what the model is made for
    schedule: how the steps are spaced; auto is what the model is made for
    denoise: 1 paints anew, less keeps more of the latent
    add_noise: off for a latent that has the noise of the first level in it already
    guided_channels: how many channels of the latent the negative leads; 0 is all, -1 is what the model is made for
    """
    _check_family(model, latent, positive, negative)
    latent = _one_for_each(latent, positive, negative)
    walk = list(sigmas) if sigmas is not None else levels(model, latent, steps, schedule, denoise)
    method = SOLVERS[solver if solver != AUTO else model.defaults.solver]
    scale = _cfg_scale(ctx, model, true_cfg, negative)
    channels = guided_channels if guided_channels >= 0 else getattr(model.defaults, "guided_channels", 0)
    strength = guidance if guidance >= 0 else model.defaults.guidance
    _advise(ctx, model, positive, guidance, sigmas is not None and denoise < 1)
    if scale != 1 and negative is not None:
        _advise_references(ctx, positive, negative)
    seeds = [seed + number for number in range(len(latent))]
    shape = tuple(latent.samples.shape)
    start = _noise_of(noise, latent) if noise is not None else drawn(shape, seeds)
    x = noised(latent.samples, start, walk[0]) if add_noise else latent.samples
    watcher, skips = Watcher(ctx, model, len(walk) - 1), Skips(model.skipping)
    asked = loop.visited(method, walk)
    room = _working_bytes(model, latent, len(asked), positive, negative if scale != 1 else None)
    with in_use(ctx, model, room) as net:
        of_family = family_named(model.family).transformer.velocity

        def speak(told: guided.Condition, size: Sequence[int]) -> Velocity:
            velocity: Velocity = of_family(net, told, size, asked, strength, **dict(model.options))
            return skips.over(net, velocity, len(asked))

        if scale != 1 and negative is not None:
            velocity = guided.cfg_of(speak, positive.tensors, negative.tensors, shape, scale, channels)
        else:
            velocity = speak(positive.tensors, shape)
        if latent.mask is not None:
            held = (t.to(ctx.device) for t in (latent.samples, latent.mask[:, None]))
            velocity = guided.masked(velocity, *held)
        for step in loop.sample(_stoppable(velocity, ctx), x.to(ctx.device), walk, method, seeds):
            watcher.saw(step)
            x = step.x
    if model.skipping is not None:
        ctx.log(skips.told())
    return latent.with_samples(x)


def _stoppable(velocity: Velocity, ctx: Context) -> Velocity:
    """The same velocity; before each evaluation, ask whether to stop."""

    def asked(x: Tensor, sigma: float) -> Tensor:
        ctx.check()
        return velocity(x, sigma)

    return asked


def _check_family(model: Model, latent: Latent, positive: Conditioning, negative: Conditioning | None) -> None:
    """Raise Refused when something was made for another family, or does not suit the model's patches."""
    for name, conditioning in (("positive", positive), ("negative", negative)):
        if conditioning is not None and conditioning.family != model.family:
            what = f"the text was encoded for {conditioning.family}, but {model.title} is a {model.family} model."
            fix = f"Encode it with a text encoder of {model.family}."
            raise refused("other-family", f"{PLACE}.{name}", what, fix)
    if not same_space(latent.family, model.family):
        what = f"the latent is one of {latent.family}, but {model.title} is a {model.family} model."
        fix = f"Decode it with {latent.family}'s VAE and encode the picture with {model.family}'s."
        raise refused("other-family", f"{PLACE}.latent", what, fix)
    channels, (height, width) = latent.samples.shape[1], latent.samples.shape[2:]
    if channels != model.config.latent_channels:
        what = f"the latent has {channels} channels, {model.title} paints {model.config.latent_channels}."
        raise refused("wrong-latent", f"{PLACE}.latent", what, "Take an Empty latent of this model, or its own VAE.")
    patch = latent_format(family_named(model.family)).patch
    if height % patch or width % patch:
        what = f"{width}×{height} cells are not whole patches of {patch}×{patch}."
        fix = f"Use pictures whose sides are multiples of {model.defaults.multiple} pixels."
        raise refused("wrong-latent", f"{PLACE}.latent", what, fix)


def _one_for_each(latent: Latent, positive: Conditioning, negative: Conditioning | None) -> Latent:
    """As many latents as there are texts to paint. Raises Refused where one number does not divide the other."""
    if len(latent) == 1 and len(positive) > 1:
        latent = replace(latent, samples=latent.samples.repeat(len(positive), 1, 1, 1))
    for texts in (positive, negative):
        if texts is not None and len(latent) % len(texts):
            what = f"{len(texts)} texts cannot be shared out to {len(latent)} latents."
            raise refused("different-number", PLACE, what, "Give one text, or one for each latent.")
    return latent


def _noise_of(noise: Latent, latent: Latent) -> Tensor:
    if noise.samples.shape != latent.samples.shape:
        what = f"the noise is {tuple(noise.samples.shape)}, the latent {tuple(latent.samples.shape)}."
        raise refused("wrong-shape", f"{PLACE}.noise", what, "Make the noise from this latent.")
    return noise.samples


def _cfg_scale(ctx: Context, model: Model, asked: float, negative: Conditioning | None) -> float:
    """How far from the negative to go; 1 where there is none. Says when what was asked for has no effect."""
    scale = asked or model.defaults.true_cfg
    if negative is None:
        if asked > 1:
            ctx.log(f"A true CFG of {asked:g} has no effect without a negative. Wire one; an empty text will do.")
        elif scale > 1:
            ctx.log(f"{model.title} is best used with a true CFG of {scale:g}. Wire a negative; an empty text will do.")
        return 1.0
    if scale <= 1:
        ctx.log("The negative has no effect, because the true CFG is not above 1. Raise it to 2 or more.")
        return 1.0
    return scale


def _advise_references(ctx: Context, positive: Conditioning, negative: Conditioning) -> None:
    """Say when only one side of the guidance sees the reference pictures: it then leads away from, or to, them."""
    seen = [sum(name.startswith(REFERENCE) for name in one.tensors) for one in (positive, negative)]
    if seen[0] != seen[1]:
        ctx.log(f"The text sees {seen[0]} reference pictures, the negative {seen[1]}: show both the same.")


def _advise(ctx: Context, model: Model, positive: Conditioning, guidance: float, strength_lost: bool) -> None:
    """Say what else was asked for in vain, or is not what the model was made for."""
    if guidance > 0 and not model.config.guidance:
        ctx.log(f"{model.title} was not distilled with guidance: {guidance:g} has no effect.")
    text = positive.tensors.get("text")
    longest = model.defaults.text_length
    if isinstance(text, torch.Tensor) and text.ndim == 3 and text.shape[1] > longest:
        ctx.log(
            f"The text has {text.shape[1]} tokens, {model.title} was made for {longest}. Set max_length to {longest}."
        )
    if strength_lost:
        ctx.log("Denoise has no effect, because sigmas are given. Set it where they are made.")
