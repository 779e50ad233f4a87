"""Nodes that show pictures to a model, beside the text: what to change, whom to paint, which style to take."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch

from graph_runtime.context import Context, Outlook
from graph_runtime.node import Knob, node
from nodes.models.family import Family, family_named
from nodes.pictures import as_picture, as_pixels
from nodes.recipes import Model, Vae, latent_format, same_space
from nodes.sockets import Conditioning, Image, Latent, refused
from nodes.vae import encode, encoding

PLACE = "Reference image"
REFERENCE = "reference."  # what reference latents are called in every conditioning that has some
SMALLEST = 64  # pixels of a side that the models were trained with
LONGEST = 8  # times as long as wide


def showing(
    conditioning: Conditioning, image: Image | None, vae: Vae | None, latent: Latent | None, megapixels: float
) -> Outlook:
    """What encoding the pictures takes, and the text with latents as large as theirs."""
    works_with, shown = None, [] if latent is None else [one[None] for one in latent.samples]
    if image is not None and vae is not None:
        seen = encoding(scaled_down(image, _most(family_named(conditioning.family), megapixels)), vae)
        works_with, shown = seen.works_with, [*seen.gives["latent"].samples.split(1), *shown]
    return Outlook(works_with, {"conditioning": _with(conditioning, shown)})


@node("core/reference_image", title="Reference image", category="text", outlook=showing)
def reference_image(
    conditioning: Conditioning,
    ctx: Context,
    image: Image | None = None,
    vae: Vae | None = None,
    latent: Latent | None = None,
    *,
    megapixels: Annotated[float, Knob(min=0, max=16, step=0.25, advanced=True, auto=0)] = 0.0,
) -> Conditioning:
    """A text that also shows pictures: to be changed, or to take persons, things and styles from.

    Several pictures are one after the other: "the first", "the second" in the text. Chain this node for pictures of
    different sizes. For a true CFG, show them to the negative too.

    conditioning: encoded text of a model that sees pictures, such as Flux.2
    image: one picture or a batch; the middle is used where a side is no multiple of the model's
    vae: of the model; it encodes the image
    latent: encoded pictures, in place of the image or after it
    megapixels: larger pictures are scaled down to this area; 0 is what the model was made for
    """
    family = _seeing(conditioning)
    shown = [] if image is None else _encoded(ctx, image, vae, family, megapixels)
    if latent is not None:
        known = latent.family or latent.samples.shape[1] == latent_format(family).channels
        if not known or not same_space(latent.family, family.name):
            what = f"the latent is {latent.summary()}, the text was encoded for {family.name}."
            raise refused("other-family", f"{PLACE}.latent", what, f"Encode the picture with {family.name}'s VAE.")
        shown += [one[None] for one in latent.samples]
    if not shown:
        raise refused("nothing", PLACE, "there is neither an image nor a latent.", "Wire one of them.")
    return _with(conditioning, shown)


def _with(conditioning: Conditioning, shown: list[torch.Tensor]) -> Conditioning:
    """The text with latents (1, C, h, w) of more pictures."""
    first = sum(name.startswith(REFERENCE) for name in conditioning.tensors)
    count = len(conditioning)
    named = {f"{REFERENCE}{first + i}": one.expand(count, -1, -1, -1) for i, one in enumerate(shown)}
    return Conditioning(conditioning.family, {**conditioning.tensors, **named}, conditioning.note)


def _most(family: Family, megapixels: float) -> float:
    """Pixels of a reference picture at the most."""
    return megapixels * 1024 * 1024 or float(family.defaults.REFERENCE_PIXELS)


@node("core/references_once", title="Look at references once", category="sampling")
def references_once(model: Model, ctx: Context, *, once: bool = True) -> Model:
    """Whether reference pictures are looked at before the first step only: faster, the more references there are.

    Exact for klein's KV models, which were trained for it; other models paint another picture with it.

    model: that paints
    once: off looks at them in every step, as most models were trained to
    """
    if "references_once" not in getattr(family_named(model.family).defaults, "OPTIONS", ()):
        ctx.log(f"This has no effect: {model.title} is a {model.family} model, which sees no reference pictures.")
        return model
    return replace(model, options=tuple(sorted((dict(model.options) | {"references_once": once}).items())))


def _seeing(conditioning: Conditioning) -> Family:
    """The family the text is for. Raises Refused when its models see no pictures."""
    family = family_named(conditioning.family)
    if not getattr(family.defaults, "REFERENCE_PIXELS", 0):
        what = f"the text was encoded for {family.name}, whose models see no reference pictures."
        fix = "Use a model that does, such as Flux.2; or begin from the picture: Encode image and a denoise below 1."
        raise refused("no-references", PLACE, what, fix)
    return family


def _encoded(ctx: Context, image: Image, vae: Vae | None, family: Family, megapixels: float) -> list[torch.Tensor]:
    """Latents (1, C, h, w) of every picture of a batch."""
    if vae is None:
        raise refused("no-vae", f"{PLACE}.vae", "an image is given, but no VAE to encode it.", "Wire the model's VAE.")
    if vae.family and not same_space(vae.family, family.name):
        what = f"the VAE is {vae.family}'s, the text was encoded for {family.name}."
        raise refused("other-family", f"{PLACE}.vae", what, f"Use the VAE of {family.name}.")
    width, height = image.size
    if min(width, height) < SMALLEST or max(width, height) > LONGEST * min(width, height):
        what = f"a picture of {width}×{height} is too small or too narrow to be a reference."
        fix = f"Use one of at least {SMALLEST} pixels a side, at most {LONGEST} times as long as wide."
        raise refused("too-small", f"{PLACE}.image", what, fix)
    return list(encode(scaled_down(image, _most(family, megapixels)), vae, ctx).samples.split(1))


def scaled_down(image: Image, most: float) -> Image:
    """The picture at its own proportions with at most so many pixels, by Pillow's Lanczos as Flux.2's makers do."""
    width, height = image.size
    if width * height <= most:
        return image
    scale = math.sqrt(most / (width * height))
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return Image(torch.cat([as_pixels(as_picture(one).resize(size, resample=1)) for one in image.pixels]))
