"""Nodes between pictures and latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from graph_runtime.context import Context, Outlook
from graph_runtime.node import Knob, node
from nodes import working
from nodes.image import picture, planes
from nodes.models.autoencoders.kl import Autoencoder, drawn
from nodes.models.autoencoders.tiles import largest, tiled
from nodes.recipes import Vae, same_space
from nodes.sockets import Image, Latent, blank, refused

# Pixels beyond which pictures of a batch are decoded or encoded one by one: a megapixel.
AT_ONCE = 1024 * 1024
_TILE = 1024  # pixels of a side, where the memory decides and not a person
Overlap = Annotated[float, Knob(min=0, max=0.5, step=0.05)]
Tile = Annotated[int, Knob(min=64, max=4096, step=64)]


def decoding(latent: Latent, vae: Vae, tile: int = 0, **others: object) -> Outlook:
    """What decoding takes, at once or in tiles of so many pixels a side, and pictures as large as it gives."""
    count, _, height, width = latent.samples.shape
    high, wide = height * vae.factor, width * vae.factor
    most = min(tile * tile, high * wide) if tile else _pixels_at_once(count, high * wide)
    return Outlook(working.decoding(vae, most), {"image": Image(blank(count, high, wide, 3))})


def encoding(image: Image, vae: Vae, tile: int = 0, **others: object) -> Outlook:
    """What encoding takes, and latents as large as it gives."""
    width, height = (side // _multiple(vae) * _multiple(vae) for side in image.size)
    most = min(tile * tile, height * width) if tile else _pixels_at_once(len(image), height * width)
    made = blank(len(image), vae.channels, height // vae.factor, width // vae.factor)
    return Outlook(working.decoding(vae, most), {"latent": Latent(made, vae.family)})


def _pixels_at_once(count: int, pixels: int) -> int:
    """Of so many pictures of so many pixels, how many pixels are worked on together."""
    return pixels * min(count, max(1, AT_ONCE // pixels))


def _multiple(vae: Vae) -> int:
    """What a picture's sides must be multiples of."""
    return (vae.space.patch if vae.space else 2) * vae.factor


@node("core/decode", title="Decode latent", category="latent", outlook=decoding)
def decode(latent: Latent, vae: Vae, ctx: Context) -> Image:
    """The pictures of latents. Where memory does not hold that at once, in tiles, with a note.

    latent: from a sampler
    vae: of the same model
    """
    _check(latent, vae, "Decode latent")
    with ctx.use(vae) as net:
        count, _, height, width = latent.samples.shape
        pixels = _pixels_at_once(count, height * width * vae.factor**2)
        size = next(net.parameters()).element_size()

        def fits(side: int) -> bool:
            return ctx.room(net.config.decode_bytes(min(pixels, side * side), size))

        if fits(int(pixels**0.5) + 1):
            try:
                return _pictures(ctx, latent.samples, net, net.decode)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
        tile = largest(fits, _TILE)
        ctx.log(f"There is no memory to decode it at once: it is decoded in tiles of {tile} pixels.")
        return _pictures(ctx, latent.samples, net, _in_tiles(ctx, net, vae, tile, 0.25))


@node("core/decode_tiled", title="Decode latent in tiles", category="latent", outlook=decoding)
def decode_tiled(latent: Latent, vae: Vae, ctx: Context, *, tile: Tile = 1024, overlap: Overlap = 0.25) -> Image:
    """The pictures of latents, part by part: for large pictures and little memory. Seams are blended.

    tile: side of a part, in pixels
    overlap: share of a part that also lies in the next one
    """
    _check(latent, vae, "Decode latent in tiles")
    with ctx.use(vae) as net:
        return _pictures(ctx, latent.samples, net, _in_tiles(ctx, net, vae, tile, overlap))


def _in_tiles(ctx: Context, net: Autoencoder, vae: Vae, tile: int, overlap: float) -> Callable[[Tensor], Tensor]:
    cells = max(1, tile // vae.factor)
    return lambda z: tiled(net.decode, z, cells, cells * vae.factor, overlap, ctx.progress)


def _pictures(ctx: Context, samples: Tensor, net: Autoencoder, run: object) -> Image:
    """Decode scaled latents, as many at once as fit into about a megapixel."""
    at_once = max(1, AT_ONCE // (samples.shape[2] * samples.shape[3] * net.config.factor**2))
    weight = next(net.parameters())
    made = []
    for part in samples.split(at_once):
        ctx.check()
        with torch.no_grad():
            z = net.unscaled(part.to(weight.device, weight.dtype))
            made.append((run(z).float().cpu() / 2 + 0.5).clamp(0, 1))  # type: ignore[operator]
    return picture(torch.cat(made))


@node("core/encode", title="Encode image", category="latent", purity="seeded", outlook=encoding)
def encode(
    image: Image,
    vae: Vae,
    ctx: Context,
    *,
    draw: Annotated[bool, Knob(advanced=True)] = False,
    seed: Annotated[int, Knob(min=0, max=2**53, seed=True, advanced=True)] = 0,
) -> Latent:
    """The latents of pictures.

    image: whose sides are multiples of 16; others are cut off a little, with a note
    vae: of the model that will paint
    draw: a sample of what the VAE gives, as diffusers takes it, instead of its mean
    seed: of that sample
    """
    return _latents(ctx, image, vae, lambda net, x: net.moments(x), draw, seed)


@node("core/encode_tiled", title="Encode image in tiles", category="latent", outlook=encoding)
def encode_tiled(image: Image, vae: Vae, ctx: Context, *, tile: Tile = 1024, overlap: Overlap = 0.25) -> Latent:
    """The latents of pictures, part by part: for large pictures and little memory.

    tile: side of a part, in pixels
    overlap: share of a part that also lies in the next one
    """

    def run(net: Autoencoder, x: Tensor) -> Tensor:
        return torch.cat(net.encode_tiled(x, tile, overlap, ctx.progress), dim=1)

    return _latents(ctx, image, vae, run, False, 0)


def _latents(ctx: Context, image: Image, vae: Vae, run: object, draw: bool, seed: int) -> Latent:
    x = planes(cut_to(ctx, image, _multiple(vae))) * 2 - 1
    generator = torch.Generator().manual_seed(seed)
    made = []
    with ctx.use(vae) as net:
        weight = next(net.parameters())
        at_once = max(1, AT_ONCE // (x.shape[2] * x.shape[3]))
        for part in x.split(at_once):
            ctx.check()
            with torch.no_grad():
                moments = run(net, part.to(weight.device, weight.dtype))  # type: ignore[operator]
                mean, logvar = (t.float().cpu() for t in moments.chunk(2, dim=1))
                z = drawn(mean, logvar.clamp(-30, 20), generator) if draw else mean
                made.append(net.scaled(z))
    return Latent(torch.cat(made), vae.family)


def cut_to(ctx: Context, image: Image, multiple: int) -> Image:
    """The middle of a picture, its sides whole multiples; with a note if that changed anything."""
    width, height = image.size
    wide, high = width // multiple * multiple, height // multiple * multiple
    if not wide or not high:
        what = f"a picture of {width}×{height} is smaller than {multiple}×{multiple}."
        raise refused("too-small", "Encode image", what, "Scale it up first.")
    if (wide, high) == (width, height):
        return image
    ctx.log(f"{width}×{height} is not a multiple of {multiple}: the middle {wide}×{high} is used.")
    left, top = (width - wide) // 2, (height - high) // 2
    return Image(image.pixels[:, top : top + high, left : left + wide].contiguous())


def _check(latent: Latent, vae: Vae, place: str) -> None:
    if not same_space(latent.family, vae.family):
        what = f"the latent is one of {latent.family}, the VAE is {vae.family}'s."
        raise refused("other-family", place, what, f"Use the VAE of {latent.family}.")
    if latent.samples.shape[1] != vae.channels:
        what = f"the latent has {latent.samples.shape[1]} channels, {vae.title} takes {vae.channels}."
        raise refused("wrong-latent", place, what, "Use the VAE of the model that painted it.")
