"""Nodes that read and write pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from graph_runtime.context import Context
from graph_runtime.node import Knob, definition, node
from nodes import NODES, picture, pixels, provenance
from nodes.provenance import Metadata
from nodes.sockets import Image, Mask, SavedFiles, refused


class LoadedImage(NamedTuple):
    image: Image
    mask: Mask


@node("core/load_image", category="image")
def load_image(ctx: Context, *, file: Annotated[str, Knob(file="image")] = "") -> LoadedImage:
    """A picture from a file, upright as its camera meant it.

    file: PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF, up to 64 megapixels
    mask: 1 where the picture is transparent; empty if it is nowhere
    """
    if not file:
        raise refused("no-file", "Load image.file", "no picture is chosen.", "Choose one.")
    pixels_, alpha = picture.read_picture(ctx.find("image", file), file)
    mask = torch.zeros(pixels_.shape[:3]) if alpha is None else 1 - alpha
    return LoadedImage(Image(pixels_), Mask(mask))


@node("core/save_image", category="image", output=True, document=True)
def save_image(
    image: Image,
    mask: Mask | None = None,
    *,
    ctx: Context,
    name: str = "picture",
    format: Literal["png", "webp", "jpeg"] = "png",
    quality: Annotated[int, Knob(min=1, max=100, advanced=True)] = 95,
    metadata: Metadata = "full",
) -> SavedFiles:
    """Write pictures into the output folder. Nothing is ever overwritten: a number is added to the name.

    mask: becomes transparency: 1 is transparent; not for JPEG
    name: of the file; a/b writes into the folder a
    quality: of WebP and JPEG; 100 makes WebP lossless
    format: png keeps every pixel as it is
    metadata: what the file tells of how it was made: the whole workflow, so that opening the picture opens it;
        only prompt and settings; or nothing
    """
    alphas = _alphas(image, mask)
    texts = provenance.texts(ctx.document, ctx.step, metadata, output_number)
    inside = picture.that_fit(texts, format)
    beside = {key: text for key, text in texts.items() if key not in inside and key == picture.OURS}
    paths = []
    for number, (one, alpha) in enumerate(zip(image.pixels, alphas, strict=True)):
        paths.append(_save(ctx, name, one, alpha, format, quality, inside))
        if beside:
            _save_beside(ctx, paths[-1], beside)
        ctx.progress(number + 1, len(image))
    return SavedFiles(tuple(map(str, paths)))


def _save(
    ctx: Context,
    name: str,
    one: Tensor,
    alpha: Tensor | None,
    form: str,
    quality: int,
    texts: Mapping[str, str],
    kind: str = "output",
) -> Path:
    return ctx.save(
        name,
        picture.SUFFIXES[form],
        lambda stream: picture.write_picture(stream, one, alpha, form=form, quality=quality, texts=texts),
        kind,
    )


def _save_beside(ctx: Context, path: Path, texts: Mapping[str, str]) -> None:
    """The workflow as a file of its own, when the picture cannot hold it."""
    beside = ctx.save(path.stem, ".json", lambda stream: stream.writelines(map(str.encode, texts.values())))
    ctx.log(f"The workflow is too large for {path.name}; it is in {beside.name}.")


def output_number(kind: str, output: str) -> int:
    """Which output of a built-in kind this is, counted from 0, for formats without names; 0 for other packs."""
    names = _outputs().get(kind, ())
    return names.index(output) if output in names else 0


@cache
def _outputs() -> dict[str, tuple[str, ...]]:
    found = (definition(value) for module in NODES for value in vars(import_module(module)).values())
    return {one.kind: tuple(output.name for output in one.outputs) for one in found if one}


def _alphas(image: Image, mask: Mask | None) -> list[Tensor | None]:
    if mask is None:
        return [None] * len(image)
    if len(mask) not in (1, len(image)):
        what = f"{len(mask)} masks came with {len(image)} pictures."
        raise refused("different-number", "Save image.mask", what, "Give one mask, or one for each picture.")
    seen = 1 - pixels.resize(mask.values[:, None], *image.size, "bilinear")[:, 0]
    return list(seen.expand(len(image), -1, -1))


@node("core/preview_image", category="image", output=True)
def preview_image(image: Image, *, ctx: Context) -> SavedFiles:
    """Show pictures without keeping them."""
    paths = [_save(ctx, "preview", one, None, "png", 95, {}, "temp") for one in image.pixels]
    return SavedFiles(tuple(map(str, paths)), "temp")
