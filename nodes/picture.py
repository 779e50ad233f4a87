"""Picture files: pixels in and out, and the workflow that a file carries.

PNG keeps texts in uncompressed iTXt chunks (compressed ones over 1 MiB cannot be read back by Pillow), WebP and JPEG in
EXIF strings `key:text`, the way ComfyUI writes them. What is read is decided by content, never by suffix, and a file is
refused before it is decoded when it is larger than `PIXELS_AT_MOST`. Knows nothing of nodes, and nothing of what a
workflow means.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import ExifTags, ImageOps, PngImagePlugin
from PIL import Image as Pillow
from torch import Tensor

from graph_runtime.problem import Problem, Refused

PIXELS_AT_MOST = 64_000_000
TEXT_AT_MOST = 4 << 20  # bytes of one text in a file
EXIF_AT_MOST = {"webp": TEXT_AT_MOST, "jpeg": 60_000}  # a JPEG segment ends at 64 KiB
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}

OURS = "latentloom"
WORKFLOW_KEYS = (OURS, "workflow", "prompt")  # ours, then ComfyUI's two, best first
# Which EXIF tag holds which text. ComfyUI: 0x0110 for the prompt, downwards from 0x010F for the others.
_EXIF_TAGS = {"prompt": 0x0110, "workflow": 0x010F, OURS: 0x010E, "parameters": 0x0131}
# What Pillow raises on a file that is not what it says.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)


def read_picture(source: Path | bytes, name: str = "") -> tuple[Tensor, Tensor | None]:
    """The pixels (1, H, W, 3) from 0 to 1, upright as EXIF says, and the alpha (1, H, W) if there is any.

    Of a file with several frames, the first. Raises Refused for what is no picture, too large, or broken.
    """
    place = name or (source.name if isinstance(source, Path) else "the picture")
    with _opened(source, place) as picture:
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            array, alpha = _arrays(upright)
        except (*_BROKEN, MemoryError) as error:
            raise _broken(place, error) from None
    return torch.from_numpy(array)[None], None if alpha is None else torch.from_numpy(alpha)[None]


def write_picture(
    stream: BinaryIO,
    pixels: Tensor,
    alpha: Tensor | None = None,
    *,
    form: str = "png",
    quality: int = 95,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Encode pixels (H, W, 3), and alpha (H, W) where the form has it, as "png", "webp" or "jpeg" with `texts` in it.

    255 · value is rounded, as diffusers does. A WebP of quality 100 is lossless. The texts must fit: see `that_fit`.
    """
    bytes_ = _to_bytes(pixels)
    if alpha is not None and form != "jpeg":
        bytes_ = np.dstack((bytes_, _to_bytes(alpha)))
    picture = Pillow.fromarray(bytes_)
    texts = texts or {}
    if form == "png":
        info = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            info.add_itxt(key, text, zip=False)
        picture.save(stream, "PNG", pnginfo=info, compress_level=4)
        return
    exif = _exif(texts)
    if form == "webp":
        picture.save(stream, "WEBP", quality=quality, lossless=quality == 100, method=4, exif=exif)
    else:
        picture.save(stream, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, exif=exif)


def thumbnail(pixels: Tensor, side: int = 512) -> bytes:
    """A small JPEG of pixels (H, W, 3): at most `side` wide and high."""
    picture = Pillow.fromarray(_to_bytes(pixels))
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def that_fit(texts: Mapping[str, str], form: str) -> dict[str, str]:
    """Those texts that a file of this form can hold; the others belong into a file beside it."""
    room = TEXT_AT_MOST if form == "png" else EXIF_AT_MOST[form]
    kept: dict[str, str] = {}
    for key, text in texts.items():
        size = len(text.encode("utf-8")) + len(key) + 16
        if size > TEXT_AT_MOST or (form != "png" and (size > room or key not in _EXIF_TAGS)):
            continue
        room -= size if form != "png" else 0
        kept[key] = text
    return kept


def read_texts(source: Path | bytes) -> dict[str, str]:
    """The texts a picture carries: a PNG's chunks, or EXIF strings `key:text`. Raises Refused if it is no picture."""
    place = source.name if isinstance(source, Path) else "the picture"
    with _opened(source, place) as picture:
        try:
            found = {key: text for key, text in picture.info.items() if isinstance(key, str) and isinstance(text, str)}
            exif = picture.getexif()
        except _BROKEN as error:
            raise _broken(place, error) from None
    for value in exif.values():
        if isinstance(value, str):
            key, colon, text = value.partition(":")
            if colon and key.isidentifier():
                found.setdefault(key, text.rstrip("\0"))
    return {key: text for key, text in found.items() if len(text) <= TEXT_AT_MOST}


def read_workflow(source: Path | bytes) -> dict[str, Any] | None:
    """The workflow in a picture: ours, else ComfyUI's own, else None. Refused if it is no picture.

    What is in it is data from whoever made the file: nobody has checked it yet.
    """
    texts = read_texts(source)
    for key in WORKFLOW_KEYS:
        workflow = _parsed(texts.get(key, ""))
        if workflow is not None:
            return workflow
    return None


def is_picture(source: bytes) -> bool:
    """Whether the first bytes of a file are those of a PNG, JPEG or WebP."""
    return source.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        source[:4] == b"RIFF" and source[8:12] == b"WEBP"
    )


def _parsed(text: str) -> dict[str, Any] | None:
    def no_constant(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    try:
        workflow = json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return None
    return workflow if isinstance(workflow, dict) else None


def _opened(source: Path | bytes, place: str) -> Pillow.Image:
    """The file, its header read and its size accepted; nothing decoded yet."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # our own limit is the lower one
        try:
            picture = Pillow.open(stream, formats=FORMATS)
        except Pillow.DecompressionBombError as error:
            raise Refused(_too_large(place, str(error))) from None
        except _BROKEN as error:
            raise _broken(place, error) from None
    width, height = picture.size
    if width * height > PIXELS_AT_MOST:
        picture.close()
        raise Refused(_too_large(place, f"it is {width}×{height}"))
    return picture


def _too_large(place: str, what: str) -> Problem:
    most = PIXELS_AT_MOST // 1_000_000
    return Problem(
        "picture-too-large", place, f"{what}; pictures of up to {most} megapixels are read.", "Make it smaller first."
    )


def _broken(place: str, error: BaseException) -> Refused:
    what = (
        "is no picture of a known kind"
        if isinstance(error, Pillow.UnidentifiedImageError)
        else f"cannot be read: {error}"
    )
    if isinstance(error, FileNotFoundError):
        what = "is not there"
    return Refused(
        Problem("bad-picture", place, f"{what}.", f"Use a whole {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file.")
    )


def _arrays(picture: Pillow.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours (H, W, 3) and alpha (H, W), float32 from 0 to 1."""
    if picture.mode.startswith(("I", "F")):  # one channel of 16 or 32 bits
        values = np.asarray(picture, dtype=np.float32)
        most = 65535.0 if picture.mode.startswith("I") else 1.0
        grey = np.nan_to_num(values / most).clip(0, 1)
        return np.repeat(grey[..., None], 3, axis=2), None
    if picture.has_transparency_data:
        array = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
        return np.ascontiguousarray(array[..., :3]), np.ascontiguousarray(array[..., 3])
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255, None


def _to_bytes(values: Tensor) -> np.ndarray:
    return (values.detach().float().nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _exif(texts: Mapping[str, str]) -> Pillow.Exif:
    exif = Pillow.Exif()
    for key, text in texts.items():
        exif[ExifTags.Base(_EXIF_TAGS[key]).value] = f"{key}:{text}"
    return exif
