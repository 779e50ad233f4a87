"""Picture files: what is written is read again, and what is hostile is refused before it is decoded."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import PngImagePlugin

from graph_runtime.problem import Refused
from nodes import picture

WORKFLOW = {
    "format": "latentloom",
    "version": 1,
    "steps": {"a": {"kind": "core/text_value", "inputs": {"text": "ü — 絵"}}},
}


def encoded(
    form: str = "png", pixels: torch.Tensor | None = None, alpha: torch.Tensor | None = None, **texts: str
) -> bytes:
    stream = io.BytesIO()
    pixels = torch.rand(12, 20, 3, generator=torch.Generator().manual_seed(1)) if pixels is None else pixels
    picture.write_picture(stream, pixels, alpha, form=form, quality=100, texts=texts)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["png", "webp"])
def test_a_lossless_file_gives_back_every_pixel_and_the_alpha(form: str) -> None:
    pixels = torch.randint(0, 256, (9, 14, 3)).float() / 255
    alpha = torch.randint(1, 256, (9, 14)).float() / 255
    back, back_alpha = picture.read_picture(encoded(form, pixels, alpha))
    assert torch.equal(back[0], pixels)
    assert back_alpha is not None
    assert torch.equal(back_alpha[0], alpha)


def test_values_are_rounded_and_kept_inside() -> None:
    pixels = torch.tensor([[-1.0, 0.4999, 2.0], [0.5 / 255, 1.5 / 255 + 1e-6, float("nan")]])[:, None].expand(2, 1, 3)
    back, _ = picture.read_picture(encoded("png", pixels))
    assert (back[0, :, 0] * 255).round().int().tolist() == [[0, 127, 255], [0, 2, 0]]


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
def test_a_workflow_written_into_a_picture_is_read_again(form: str) -> None:
    data = encoded(form, None, None, latentloom=json.dumps(WORKFLOW), prompt="{}", parameters="a cat")
    assert picture.read_workflow(data) == WORKFLOW
    assert picture.read_texts(data)["parameters"] == "a cat"


def test_a_picture_without_a_workflow_gives_none() -> None:
    assert picture.read_workflow(encoded()) is None
    assert picture.read_workflow(encoded(latentloom="[1, 2]", prompt="no json", workflow="NaN")) is None
    assert picture.read_workflow(encoded(prompt="[" * 100_000)) is None


def test_comfyui_s_own_chunks_are_read_where_ours_is_missing() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps({"1": {"class_type": "KSampler"}}))
    stream = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=info)
    assert picture.read_workflow(stream.getvalue()) == {"1": {"class_type": "KSampler"}}


def test_a_text_of_three_megabytes_is_read_again() -> None:
    large = {"note": "x" * (3 << 20)}
    assert picture.read_workflow(encoded(latentloom=json.dumps(large))) == large


def test_texts_that_do_not_fit_are_left_out() -> None:
    large = "x" * (picture.TEXT_AT_MOST + 1)
    assert picture.that_fit({"latentloom": large, "prompt": "p"}, "png") == {"prompt": "p"}
    assert picture.that_fit({"prompt": "p", "latentloom": "x" * 70_000}, "jpeg") == {"prompt": "p"}


def test_the_camera_s_orientation_is_applied(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned a quarter
    stream = io.BytesIO()
    Pillow.new("RGB", (30, 10)).save(stream, "JPEG", exif=exif)
    pixels, _ = picture.read_picture(stream.getvalue())
    assert pixels.shape == (1, 30, 10, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_of_pillow_becomes_three_channels(mode: str) -> None:
    stream = io.BytesIO()
    form = {"CMYK": "TIFF", "YCbCr": "JPEG", "F": "TIFF", "I": "TIFF"}.get(mode, "PNG")
    Pillow.new(mode, (6, 4)).save(stream, form)
    pixels, alpha = picture.read_picture(stream.getvalue())
    assert pixels.shape == (1, 4, 6, 3)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert (alpha is not None) == (mode in ("LA", "RGBA"))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is enormous: 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 8000), (13000, 13000), (2**31 - 1, 2**31 - 1), (100_000, 100_000)])
def test_a_picture_over_the_limit_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(Refused) as refused:
        picture.read_picture(bomb(*size), "bomb.png")
    assert refused.value.problems[0].code in ("picture-too-large", "bad-picture")
    assert refused.value.problems[0].place == "bomb.png"


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", bomb(4, 4)]
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        picture.read_picture(data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["png", "webp", "jpeg"]))
    whole = bytearray(encoded(form, None, None, latentloom=json.dumps(WORKFLOW)))
    del whole[data.draw(st.integers(1, len(whole))) :]
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for read in (picture.read_picture, picture.read_workflow):
        try:
            read(bytes(whole))
        except Refused as refused:
            assert refused.problems[0].fix


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.png: is not there"):
        picture.read_picture(tmp_path / "none.png")
