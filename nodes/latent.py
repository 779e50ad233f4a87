"""Nodes that make latents and change them without a model. Places and sizes are in pixels of their pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from graph_runtime.context import Context
from graph_runtime.node import Knob, node
from nodes import pixels
from nodes.models.family import family_named
from nodes.models.sampling.guidance import latent_mask
from nodes.models.sampling.noise import noise as drawn
from nodes.models.sampling.noise import noised
from nodes.recipes import Model, latent_format, same_space
from nodes.sockets import Latent, Mask, refused

Side = Annotated[int, Knob(min=0, max=16384, step=16)]
Size = Annotated[int, Knob(min=0, max=16384, step=16, auto=0)]
Seed = Annotated[int, Knob(min=0, max=2**53, seed=True)]
Count = Annotated[int, Knob(min=1, max=256)]


@node("core/empty_latent", category="latent")
def empty_latent(model: Model, ctx: Context, *, width: Size = 0, height: Size = 0, count: Count = 1) -> Latent:
    """Where painting starts from nothing: how large the pictures will be, and how many.

    model: that will paint; it says what sizes are possible
    width: in pixels; 0 is what the model was made for
    height: in pixels; 0 is what the model was made for
    count: pictures at once; each has a seed of its own
    """
    usual = model.defaults
    asked = (width or usual.size, height or usual.size)
    real = floored(ctx, *asked, usual.multiple)
    return Latent(torch.zeros(model.latent_shape(*real, count)), model.family)


def floored(ctx: Context, width: int, height: int, multiple: int) -> tuple[int, int]:
    """The size cut down to what a model can paint; a note if that changed anything. Refused when nothing is left."""
    real = width // multiple * multiple, height // multiple * multiple
    if 0 in real:
        what = f"{width}×{height} is less than one patch of {multiple}×{multiple} pixels."
        raise refused("too-small", "Empty latent", what, f"Give a width and a height of at least {multiple}.")
    if real != (width, height):
        ctx.log(f"{width}×{height} is not a multiple of {multiple}: the picture will be {real[0]}×{real[1]}.")
    return real


def cell(latent: Latent) -> int:
    """Pixels of a latent's cell, each way."""
    return latent_format(family_named(latent.family)).downscale if latent.family else 8


@node("core/mix_latents", category="latent")
def mix_latents(
    a: Latent, b: Latent, *, amount: Annotated[float, Knob(min=0, max=1, step=0.01, slider=True)] = 0.5
) -> Latent:
    """Straight line from `a` (amount 0) to `b` (amount 1).

    a: gives the result its mask
    b: of the same size and number
    amount: how far along the line
    """
    _same_space(a, b, "Mix latents")
    if a.samples.shape != b.samples.shape:
        what = f"the latents differ: {a.summary()} and {b.summary()}."
        raise refused("wrong-shape", "Mix latents", what, "Scale or repeat one of them first.")
    return a.with_samples(a.samples.lerp(b.samples, amount))


def _same_space(a: Latent, b: Latent, place: str) -> None:
    if not same_space(a.family, b.family):
        what = f"one latent is of {a.family}, the other of {b.family}."
        raise refused("other-family", place, what, "Decode one with its VAE and encode it with the other's.")
    if a.samples.shape[1] != b.samples.shape[1]:
        what = f"one latent has {a.samples.shape[1]} channels, the other {b.samples.shape[1]}."
        raise refused("other-family", place, what, "Decode one with its VAE and encode it with the other's.")


@node("core/batch_latents", category="latent/batch")
def batch_latents(latents: list[Latent]) -> Latent:
    """Latents of one size as one batch.

    latents: in this order; one of several masks counts for its own picture
    """
    first = latents[0]
    for one in latents[1:]:
        _same_space(first, one, "Batch latents")
        if one.samples.shape[2:] != first.samples.shape[2:]:
            what = f"the latents differ in size: {first.summary()} and {one.summary()}."
            raise refused("wrong-shape", "Batch latents", what, "Scale one of them first.")
    mask = None
    if any(one.mask is not None for one in latents):
        everywhere = [torch.ones(1, *one.samples.shape[2:]) if one.mask is None else one.mask for one in latents]
        mask = torch.cat([m.expand(len(one), -1, -1) for m, one in zip(everywhere, latents, strict=True)])
    return Latent(torch.cat([one.samples for one in latents]), first.family, mask)


@node("core/repeat_latent", category="latent/batch")
def repeat_latent(latent: Latent, *, times: Count = 2) -> Latent:
    """The same latent several times: as many pictures, each with a seed of its own.

    times: how often
    """
    mask = latent.mask
    if mask is not None and len(mask) > 1:
        mask = mask.repeat(times, 1, 1)
    return Latent(latent.samples.repeat(times, 1, 1, 1), latent.family, mask)


@node("core/pick_latents", category="latent/batch")
def pick_latents(latent: Latent, *, first: Annotated[int, Knob(min=-4096, max=4096)] = 0, count: Count = 1) -> Latent:
    """Some latents of a batch.

    first: 0 is the first; a negative number counts from the end
    count: how many from there
    """
    start = first if first >= 0 else len(latent) + first
    if not 0 <= start < len(latent):
        what = f"there is no latent {first} among {len(latent)}."
        raise refused("outside", "Pick latents.first", what, "Choose another one.")
    part = slice(start, start + count)
    mask = latent.mask if latent.mask is None or len(latent.mask) == 1 else latent.mask[part]
    return Latent(latent.samples[part], latent.family, mask)


@node("core/crop_latent", category="latent")
def crop_latent(latent: Latent, *, x: Side = 0, y: Side = 0, width: Side = 0, height: Side = 0) -> Latent:
    """A rectangle of a latent, in pixels of its picture.

    x: its left edge
    y: its upper edge
    width: 0 goes on to the edge
    height: 0 goes on to the edge
    """
    size = cell(latent)
    full_h, full_w = latent.samples.shape[2:]
    left, top = x // size, y // size
    right, bottom = left + width // size if width else full_w, top + height // size if height else full_h
    if not (left < right <= full_w and top < bottom <= full_h):
        what = f"{x},{y} to {right * size},{bottom * size} leaves the latent of {full_w * size}×{full_h * size}."
        raise refused("outside", "Crop latent", what, "Choose a smaller rectangle.")
    mask = None if latent.mask is None else latent.mask[:, top:bottom, left:right]
    return Latent(latent.samples[:, :, top:bottom, left:right].contiguous(), latent.family, mask)


@node("core/turn_latent", category="latent")
def turn_latent(
    latent: Latent,
    *,
    turn: Literal["not", "left", "right", "upside down"] = "not",
    flip: Literal["not", "sideways", "over"] = "not",
) -> Latent:
    """A latent turned by quarters, then flipped. Its picture turns too, nearly; a short sampling mends it.

    turn: a quarter left or right, or half a turn
    flip: sideways exchanges left and right, over exchanges top and bottom
    """
    quarters = {"not": 0, "left": 1, "upside down": 2, "right": 3}[turn]

    def turned(x: Tensor) -> Tensor:
        x = torch.rot90(x, quarters, (-2, -1))
        return (x.flip(-1 if flip == "sideways" else -2) if flip != "not" else x).contiguous()

    return Latent(turned(latent.samples), latent.family, None if latent.mask is None else turned(latent.mask))


@node("core/scale_latent", category="latent")
def scale_latent(
    latent: Latent,
    *,
    width: Side = 0,
    height: Side = 0,
    method: Literal["bicubic", "bilinear", "nearest", "area", "lanczos"] = "bicubic",
) -> Latent:
    """A latent at another size, to be sampled again with a denoise of about a half. Scaling pictures is sharper.

    width: of its picture, in pixels; 0 keeps the proportions
    height: of its picture, in pixels; 0 keeps the proportions
    method: how cells are made from cells
    """
    size = cell(latent)
    full_h, full_w = latent.samples.shape[2:]
    wide, high = width // size, height // size
    if not wide and not high:
        return latent
    even = latent_format(family_named(latent.family)).patch if latent.family else 2
    wide = wide or max(even, round(full_w * high / full_h / even) * even)
    high = high or max(even, round(full_h * wide / full_w / even) * even)
    mask = latent.mask if latent.mask is None else pixels.resize(latent.mask[:, None], wide, high, "bilinear")[:, 0]
    return Latent(pixels.resize(latent.samples, wide, high, method), latent.family, mask)


@node("core/set_latent_mask", category="latent")
def set_latent_mask(latent: Latent, mask: Mask, *, soft: bool = False) -> Latent:
    """Where the sampler may paint. The rest stays what it was: for repainting a part of a picture.

    latent: of the whole picture
    mask: 1 where to paint; scaled to the latent
    soft: let the mask's greys count; otherwise a cell is painted or it is not
    """
    if len(mask) not in (1, len(latent)):
        what = f"{len(mask)} masks came with {len(latent)} latents."
        raise refused("different-number", "Set latent mask", what, "Give one mask, or one for each latent.")
    height, width = latent.samples.shape[2:]
    proportion = abs(mask.size[0] / mask.size[1] / (width / height) - 1)
    if proportion > 0.1:
        size = cell(latent)
        what = f"a mask of {mask.size[0]}×{mask.size[1]} was given for a picture of {width * size}×{height * size}."
        raise refused("wrong-shape", "Set latent mask", what, "Make the mask in the proportions of the picture.")
    if soft:
        cells = pixels.resize(mask.values[:, None], width, height, "area")
    else:
        cells = (latent_mask(mask.values, height, width) >= 0.5).float()
    return replace(latent, mask=cells[:, 0].clamp(0, 1))


@node("core/noise", category="latent", purity="seeded")
def noise(latent: Latent, *, seed: Seed = 0, together: bool = False) -> Latent:
    """Noise in the size of a latent, for the sampler's noise input.

    latent: only its size counts
    seed: the same seed gives the same noise
    together: one draw for the whole batch, as other programs do; otherwise picture i has the seed + i
    """
    seeds = seed if together else [seed + number for number in range(len(latent))]
    return Latent(drawn(tuple(latent.samples.shape), seeds), latent.family, latent.mask)


@node("core/add_noise", category="latent")
def add_noise(latent: Latent, noise: Latent, *, sigma: Annotated[float, Knob(min=0, max=1, step=0.01)] = 0.5) -> Latent:
    """A latent on its way to noise: sigma · noise + (1 − sigma) · latent.

    noise: from the node Noise
    sigma: 0 is the latent, 1 the noise
    """
    _same_space(latent, noise, "Add noise")
    if latent.samples.shape != noise.samples.shape:
        what = f"the noise does not suit the latent: {noise.summary()} and {latent.summary()}."
        raise refused("wrong-shape", "Add noise", what, "Make the noise from this latent.")
    return latent.with_samples(noised(latent.samples, noise.samples, sigma))
