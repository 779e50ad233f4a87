"""Nodes that make masks: from pictures, from shapes, from each other. 1 is inside, 0 is outside."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from graph_runtime.node import Knob, node
from nodes import pixels
from nodes.colors import rgb
from nodes.image import Colour, Side, planes, side_lengths
from nodes.sockets import Image, Mask, refused

Share = Annotated[float, Knob(min=0, max=1, step=0.01, slider=True)]


@node("core/mask_from_image", category="mask")
def mask_from_image(image: Image, *, channel: Literal["brightness", "red", "green", "blue"] = "brightness") -> Mask:
    """One channel of a picture as a mask.

    channel: what becomes 1 where it is full
    """
    if channel == "brightness":
        return Mask((image.pixels * torch.tensor(pixels.LUMINANCE)).sum(-1))
    return Mask(image.pixels[..., ("red", "green", "blue").index(channel)].contiguous())


@node("core/mask_from_color", title="Mask from colour", category="mask")
def mask_from_color(image: Image, *, color: Colour = "#ffffff", tolerance: Share = 0.1) -> Mask:
    """The mask of everything that has about this colour.

    color: #rrggbb, or a name such as orange
    tolerance: how far a pixel may be off; 0 is exactly that colour
    """
    wanted = torch.tensor(rgb(color, "Mask from colour.color"))
    distance = (image.pixels - wanted).abs().amax(-1)
    return Mask((distance <= tolerance + 0.5 / 255).float())


@node("core/shape_mask", category="mask")
def shape_mask(
    *,
    width: Annotated[int, Knob(min=1, max=16384)] = 512,
    height: Annotated[int, Knob(min=1, max=16384)] = 512,
    shape: Literal["rectangle", "ellipse"] = "rectangle",
    left: Share = 0.25,
    top: Share = 0.25,
    right: Share = 0.75,
    bottom: Share = 0.75,
) -> Mask:
    """A mask of a plain shape, placed by shares of the picture's width and height.

    width: of the mask, in pixels
    height: of the mask, in pixels
    shape: a rectangle, or the ellipse that fills it
    left: where the shape begins; 0 is the left edge, 1 the right one
    top: where it begins; 0 is the upper edge
    right: where it ends
    bottom: where it ends
    """
    draw = pixels.rectangle if shape == "rectangle" else pixels.ellipse
    return Mask(draw(width, height, left * width, top * height, right * width, bottom * height)[None])


@node("core/invert_mask", category="mask")
def invert_mask(mask: Mask) -> Mask:
    """Inside becomes outside."""
    return Mask(1 - mask.values)


@node("core/threshold_mask", category="mask")
def threshold_mask(mask: Mask, *, above: Share = 0.5) -> Mask:
    """A mask with hard edges.

    above: what is at least this becomes 1, the rest 0
    """
    return Mask((mask.values >= above).float())


@node("core/grow_mask", category="mask")
def grow_mask(
    mask: Mask,
    *,
    by: Annotated[int, Knob(min=-1024, max=1024)] = 8,
    feather: Annotated[float, Knob(min=0, max=256, step=0.5)] = 0.0,
) -> Mask:
    """A mask that reaches further, or less far, with soft edges if wanted.

    by: pixels on every side; negative shrinks it
    feather: over how many pixels the edge then fades (a Gaussian's radius)
    """
    grown = pixels.grown(mask.values, by)
    return Mask(pixels.blurred(grown[:, None], feather)[:, 0].clamp(0, 1))


@node("core/combine_masks", category="mask")
def combine_masks(
    a: Mask, b: Mask, *, how: Literal["either", "both", "a without b", "one of the two"] = "either"
) -> Mask:
    """Two masks as one.

    b: is scaled to the size of `a`
    how: what is inside the result
    """
    one, other = a.values, pixels.resize(b.values[:, None], *a.size, "bilinear")[:, 0]
    if one.shape[0] != other.shape[0] and 1 not in (one.shape[0], other.shape[0]):
        what = f"{one.shape[0]} masks came with {other.shape[0]}."
        raise refused("different-number", "Combine masks", what, "Give as many of both, or only one of one of them.")
    match how:
        case "either":
            result = torch.maximum(one, other)
        case "both":
            result = torch.minimum(one, other)
        case "a without b":
            result = torch.minimum(one, 1 - other)
        case _:
            result = (one - other).abs()
    return Mask(result)


@node("core/scale_mask", category="mask")
def scale_mask(mask: Mask, *, width: Side = 0, height: Side = 0) -> Mask:
    """A mask at another size.

    width: in pixels; 0 keeps the proportions
    height: in pixels; 0 keeps the proportions
    """
    return Mask(pixels.resize(mask.values[:, None], *side_lengths(mask.size, width, height), "bilinear")[:, 0])


@node("core/mask_to_image", category="mask")
def mask_to_image(mask: Mask) -> Image:
    """A mask as a picture: white inside, black outside."""
    return Image(mask.values.clamp(0, 1)[..., None].expand(-1, -1, -1, 3).contiguous())


@node("core/show_mask", title="Image with mask", category="mask")
def show_mask(image: Image, mask: Mask, *, color: Colour = "#ff0000", amount: Share = 0.5) -> Image:
    """The picture with what is inside the mask tinted: to see where it lies.

    color: of the tint
    amount: how strong it is
    """
    tint = torch.tensor(rgb(color, "Image with mask.color"))[None, :, None, None]
    seen: Tensor = pixels.resize(mask.values[:, None], *image.size, "bilinear") * amount
    x = planes(image)
    if seen.shape[0] not in (1, x.shape[0]):
        what = f"{seen.shape[0]} masks came with {x.shape[0]} pictures."
        raise refused("different-number", "Image with mask", what, "Give one mask, or one for each picture.")
    return Image((x + (tint - x) * seen).movedim(1, -1).contiguous())
