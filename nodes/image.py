"""Nodes that make pictures of pictures: size, part, place, colour, number. The arithmetic is in `nodes.pixels`."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from graph_runtime.node import Knob, node
from nodes import pixels
from nodes.colors import rgb
from nodes.pixels import Blend, Fit, Method
from nodes.sockets import Image, Mask, refused

Side = Annotated[int, Knob(min=0, max=16384, step=8)]
Offset = Annotated[int, Knob(min=-16384, max=16384, step=1)]
Amount = Annotated[float, Knob(min=0, max=1, step=0.01, slider=True)]
Colour = Annotated[str, Knob(color=True)]


class PictureAndMask(NamedTuple):
    image: Image
    mask: Mask


class ImageSize(NamedTuple):
    width: int
    height: int
    count: int


def planes(image: Image) -> Tensor:
    """(B, 3, H, W), as the arithmetic wants pixels."""
    return image.pixels.movedim(-1, 1)


def picture(x: Tensor) -> Image:
    """The picture of planes (B, 3, H, W), kept between 0 and 1."""
    return Image(x.clamp(0, 1).movedim(1, -1).contiguous())


def side_lengths(before: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The size asked for; a side of 0 follows from the other one's proportion, both 0 is the size there was."""
    if width == 0 and height == 0:
        return before
    return width or max(1, round(before[0] * height / before[1])), height or max(
        1, round(before[1] * width / before[0])
    )


@node("core/scale_image", category="image")
def scale_image(
    image: Image, *, width: Side = 0, height: Side = 0, method: Method = "lanczos", fit: Fit = "stretch"
) -> Image:
    """The picture at another size.

    width: in pixels; 0 keeps the proportions
    height: in pixels; 0 keeps the proportions
    method: how pixels are made from pixels; lanczos is sharp, area is plain averaging, nearest keeps hard edges
    fit: when the proportions differ: stretch, cut the edges off, or pad with black
    """
    return picture(pixels.fitted(planes(image), *side_lengths(image.size, width, height), method, fit))


@node("core/scale_image_by", category="image")
def scale_image_by(
    image: Image,
    *,
    factor: Annotated[float, Knob(min=0.01, max=16, step=0.05)] = 2.0,
    multiple: Annotated[int, Knob(min=1, max=256, advanced=True)] = 1,
    method: Method = "lanczos",
) -> Image:
    """The picture larger or smaller by a factor.

    factor: 2 is twice as wide and twice as high
    method: how pixels are made from pixels
    multiple: both sides become a multiple of this many pixels
    """
    width, height = (max(multiple, round(side * factor / multiple) * multiple) for side in image.size)
    return picture(pixels.resize(planes(image), width, height, method))


@node("core/scale_image_to_megapixels", title="Scale image to megapixels", category="image")
def scale_image_to_megapixels(
    image: Image,
    *,
    megapixels: Annotated[float, Knob(min=0.001, max=64, step=0.05)] = 1.0,
    multiple: Annotated[int, Knob(min=1, max=256)] = 16,
    method: Method = "lanczos",
) -> Image:
    """The picture at about this many millions of pixels, its proportions kept.

    megapixels: millions of pixels
    multiple: both sides become a multiple of this many pixels; models want 16
    method: how pixels are made from pixels
    """
    width, height = image.size
    factor = (megapixels * 1e6 / (width * height)) ** 0.5
    width, height = (max(multiple, round(side * factor / multiple) * multiple) for side in image.size)
    return picture(pixels.resize(planes(image), width, height, method))


@node("core/crop_image", category="image")
def crop_image(image: Image, *, x: Offset = 0, y: Offset = 0, width: Side = 0, height: Side = 0) -> Image:
    """A rectangle of the picture.

    x: its left edge; a negative number counts from the right
    y: its upper edge; a negative number counts from below
    width: 0 goes on to the edge
    height: 0 goes on to the edge
    """
    full_w, full_h = image.size
    left, top = x if x >= 0 else full_w + x, y if y >= 0 else full_h + y
    right, bottom = left + width if width else full_w, top + height if height else full_h
    if not (0 <= left < right <= full_w and 0 <= top < bottom <= full_h):
        what = f"the rectangle {left},{top} to {right},{bottom} leaves the picture of {full_w}×{full_h}."
        raise refused("outside", "Crop image", what, "Choose a smaller one, or pad the picture first.")
    return Image(image.pixels[:, top:bottom, left:right].contiguous())


@node("core/pad_image", category="image")
def pad_image(
    image: Image,
    *,
    left: Side = 0,
    top: Side = 0,
    right: Side = 0,
    bottom: Side = 0,
    feather: Annotated[int, Knob(min=0, max=4096)] = 0,
    edges: Literal["color", "repeat"] = "color",
    color: Colour = "#808080",
) -> PictureAndMask:
    """The picture with a border, and a mask of what was added: for painting further outwards.

    left: pixels to add
    top: pixels to add
    right: pixels to add
    bottom: pixels to add
    feather: over how many pixels the mask fades into the old picture
    edges: fill the border with a colour, or repeat the outermost pixels
    color: of the border
    mask: 1 where the picture is new
    """
    sides = (left, right, top, bottom)
    if edges == "repeat":
        x = F.pad(planes(image), sides, mode="replicate")
    else:
        fill = torch.tensor(rgb(color, "Pad image.color"))[None, :, None, None]
        x = F.pad(planes(image) - fill, sides) + fill
    width, height = image.size
    kept = torch.ones(height, width)
    for length, axis, before, after in ((width, 1, left, right), (height, 0, top, bottom)):
        cells = torch.arange(length) + 0.5
        ramp = torch.ones(length)
        if feather:
            ramp = torch.minimum(ramp, cells / feather) if before else ramp
            ramp = torch.minimum(ramp, (length - cells) / feather) if after else ramp
        kept = kept * (ramp[None] if axis else ramp[:, None])
    return PictureAndMask(picture(x), Mask(1 - F.pad(kept, sides)[None]))


@node("core/turn_image", category="image")
def turn_image(
    image: Image,
    *,
    turn: Literal["not", "left", "right", "upside down"] = "not",
    flip: Literal["not", "sideways", "over"] = "not",
) -> Image:
    """The picture turned by quarters, then flipped.

    turn: a quarter left or right, or half a turn
    flip: sideways exchanges left and right, over exchanges top and bottom
    """
    quarters = {"not": 0, "left": 1, "upside down": 2, "right": 3}[turn]
    x = torch.rot90(image.pixels, quarters, (1, 2))
    if flip != "not":
        x = x.flip(2 if flip == "sideways" else 1)
    return Image(x.contiguous())


@node("core/blend_images", category="image")
def blend_images(a: Image, b: Image, *, amount: Amount = 0.5, mode: Blend = "normal") -> Image:
    """`a`, and `b` over it.

    a: what is below
    b: what is above; scaled to the size of `a`
    amount: 0 is only `a`, 1 is only what the mode makes
    mode: what two pixels make, as in painting programs
    """
    below, above = planes(a), pixels.resize(planes(b), *a.size)
    below, above = _same_number(below, above, "Blend images")
    return picture(below.lerp(pixels.BLENDS[mode](below, above).clamp(0, 1), amount))


@node("core/composite", title="Composite images", category="image")
def composite(
    below: Image, above: Image, mask: Mask | None = None, *, x: Offset = 0, y: Offset = 0, resize: bool = False
) -> Image:
    """One picture put onto another, where the mask is 1.

    below: stays where the mask is 0
    above: is seen where the mask is 1
    mask: of the size of `above`, or scaled to it; without one, all of `above` is seen
    x: where the left edge of `above` comes
    y: where the upper edge of `above` comes
    resize: scale `above` to the size of `below` first
    """
    base, top = planes(below), planes(above)
    if resize:
        top = pixels.resize(top, *below.size)
    width, height = top.shape[-1], top.shape[-2]
    seen = (
        torch.ones(1, 1, height, width)
        if mask is None
        else pixels.resize(mask.values[:, None], width, height, "bilinear")
    )
    base, top = _same_number(base, top, "Composite images")
    base, seen = _same_number(base, seen, "Composite images")
    left, upper = max(x, 0), max(y, 0)
    right, lower = min(x + width, base.shape[-1]), min(y + height, base.shape[-2])
    if right <= left or lower <= upper:
        return below
    box = (..., slice(upper - y, lower - y), slice(left - x, right - x))
    result = base.clone()
    under = result[..., upper:lower, left:right]
    result[..., upper:lower, left:right] = under + (top[box] - under) * seen[box].clamp(0, 1)
    return picture(result)


def _same_number(a: Tensor, b: Tensor, place: str) -> tuple[Tensor, Tensor]:
    """Both with as many pictures as the longer has; one picture serves for many. Raises Refused for 2 and 3."""
    if a.shape[0] != b.shape[0]:
        if 1 not in (a.shape[0], b.shape[0]):
            what = f"{a.shape[0]} pictures came with {b.shape[0]}."
            raise refused("different-number", place, what, "Give as many of both, or only one of one of them.")
        a, b = (t.expand(max(a.shape[0], b.shape[0]), -1, -1, -1) for t in (a, b))
    return a, b


@node("core/adjust_image", category="image")
def adjust_image(
    image: Image,
    *,
    brightness: Annotated[float, Knob(min=-1, max=1, step=0.01, slider=True)] = 0.0,
    contrast: Annotated[float, Knob(min=0, max=4, step=0.01)] = 1.0,
    saturation: Annotated[float, Knob(min=0, max=4, step=0.01)] = 1.0,
    gamma: Annotated[float, Knob(min=0.1, max=10, step=0.01)] = 1.0,
    invert: bool = False,
) -> Image:
    """Brightness, contrast and colour.

    brightness: is added
    contrast: 1 changes nothing; around the middle grey
    saturation: 0 is grey, 1 changes nothing
    gamma: above 1 lightens the middle tones
    invert: light for dark, at the end
    """
    x = (planes(image) - 0.5) * contrast + 0.5 + brightness
    grey = (x * torch.tensor(pixels.LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    x = (grey + (x - grey) * saturation).clamp(0, 1) ** (1 / gamma)
    return picture(1 - x if invert else x)


@node("core/blur_image", category="image")
def blur_image(image: Image, *, radius: Annotated[float, Knob(min=0, max=256, step=0.5)] = 4.0) -> Image:
    """The picture out of focus.

    radius: of the Gaussian, in pixels
    """
    return picture(pixels.blurred(planes(image), radius))


@node("core/sharpen_image", category="image")
def sharpen_image(
    image: Image,
    *,
    radius: Annotated[float, Knob(min=0, max=64, step=0.5)] = 1.0,
    amount: Annotated[float, Knob(min=0, max=8, step=0.1)] = 1.0,
) -> Image:
    """The picture with what a blur would take away added again.

    radius: of that blur, in pixels
    amount: how often it is added
    """
    x = planes(image)
    return picture(x + amount * (x - pixels.blurred(x, radius)))


@node("core/solid_image", title="Solid colour", category="image")
def solid_image(
    *,
    width: Annotated[int, Knob(min=1, max=16384)] = 512,
    height: Annotated[int, Knob(min=1, max=16384)] = 512,
    count: Annotated[int, Knob(min=1, max=256)] = 1,
    color: Colour = "#808080",
) -> Image:
    """Pictures of one colour.

    width: in pixels
    height: in pixels
    count: how many pictures
    color: #rrggbb, or a name such as orange
    """
    return Image(torch.tensor(rgb(color, "Solid colour.color")).repeat(count, height, width, 1))


@node("core/image_size", title="Size of image", category="image")
def image_size(image: Image) -> ImageSize:
    """How large a picture is, and how many there are.

    count: how many pictures of that size
    """
    return ImageSize(*image.size, len(image))


@node("core/batch_images", category="image/batch")
def batch_images(images: list[Image], *, fit: Fit = "crop") -> Image:
    """All pictures as one batch, in the size of the first.

    images: as many as you like
    fit: when proportions differ: stretch, cut the edges off, or pad with black
    """
    size = images[0].size
    return picture(torch.cat([pixels.fitted(planes(image), *size, "lanczos", fit) for image in images]))


@node("core/split_images", category="image/batch")
def split_images(image: Image) -> list[Image]:
    """Every picture of a batch on its own: what follows runs once for each."""
    return [Image(one[None]) for one in image.pixels]


@node("core/pick_images", category="image/batch")
def pick_images(
    image: Image,
    *,
    first: Annotated[int, Knob(min=-4096, max=4096)] = 0,
    count: Annotated[int, Knob(min=1, max=4096)] = 1,
) -> Image:
    """Some pictures of a batch.

    first: 0 is the first; a negative number counts from the end
    count: how many from there
    """
    start = first if first >= 0 else len(image) + first
    if not 0 <= start < len(image):
        raise refused(
            "outside", "Pick images.first", f"there is no picture {first} among {len(image)}.", "Choose another one."
        )
    return Image(image.pixels[start : start + count])


@node("core/contact_sheet", category="image/batch")
def contact_sheet(
    image: Image,
    *,
    columns: Annotated[int, Knob(min=0, max=64)] = 0,
    gap: Annotated[int, Knob(min=0, max=256)] = 4,
    color: Colour = "#000000",
) -> Image:
    """A batch as one picture, in rows.

    columns: how many side by side; 0 makes it about square
    gap: pixels between them
    color: of the gaps
    """
    count, (width, height) = len(image), image.size
    across = min(count, columns or int(count**0.5 + 0.999))
    down = -(-count // across)
    sheet = torch.tensor(rgb(color, "Contact sheet.color")).repeat(
        down * (height + gap) - gap, across * (width + gap) - gap, 1
    )
    for number, one in enumerate(image.pixels):
        top, left = (number // across) * (height + gap), (number % across) * (width + gap)
        sheet[top : top + height, left : left + width] = one
    return Image(sheet[None])
