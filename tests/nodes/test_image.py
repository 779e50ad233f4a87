"""Picture nodes: sizes, places, colours; what does not go together is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes import image as nodes
from nodes import pixels
from nodes.sockets import Image, Mask


def noise(count: int = 1, height: int = 12, width: int = 20, seed: int = 0) -> Image:
    return Image(torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("method", ["lanczos", "bicubic", "bilinear", "area", "nearest"])
def test_a_grey_picture_stays_grey_at_any_size(method: pixels.Method) -> None:
    grey = nodes.solid_image(width=31, height=17, color="#336699")
    for width, height in ((31, 17), (64, 40), (7, 5), (1, 1)):
        scaled = nodes.scale_image(grey, width=width, height=height, method=method)
        assert scaled.size == (width, height)
        assert torch.allclose(scaled.pixels, grey.pixels[:, :1, :1].expand_as(scaled.pixels), atol=1e-5)


def test_lanczos_turns_a_slope_into_a_slope() -> None:
    slope = torch.linspace(0, 1, 64).expand(1, 1, 8, 64)
    half = pixels.resize(slope, 32, 8, "lanczos")[0, 0, 0]
    wanted = slope[0, 0, 0].view(32, 2).mean(1)
    assert torch.allclose(half[4:-4], wanted[4:-4], atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["stretch", "crop", "pad"]))
def test_every_fit_gives_exactly_the_size_asked_for(width: int, height: int, fit: pixels.Fit) -> None:
    assert nodes.scale_image(noise(), width=width, height=height, fit=fit).size == (width, height)


def test_a_side_of_0_keeps_the_proportions() -> None:
    assert nodes.scale_image(noise(), width=40).size == (40, 24)
    assert nodes.scale_image(noise(), height=6).size == (10, 6)
    assert nodes.scale_image_to_megapixels(noise(), megapixels=1.0).size == (1296, 768)


def test_a_crop_is_that_part_and_counts_from_either_side() -> None:
    picture = noise()
    assert torch.equal(nodes.crop_image(picture, x=3, y=2, width=4, height=5).pixels, picture.pixels[:, 2:7, 3:7])
    assert torch.equal(nodes.crop_image(picture, x=-4, y=-1).pixels, picture.pixels[:, -1:, -4:])
    with pytest.raises(Refused, match="leaves the picture of 20×12"):
        nodes.crop_image(picture, x=18, width=4)


def test_four_quarter_turns_and_two_flips_change_nothing() -> None:
    picture = noise()
    turned = picture
    for _ in range(4):
        turned = nodes.turn_image(turned, turn="left")
    assert torch.equal(turned.pixels, picture.pixels)
    assert torch.equal(nodes.turn_image(nodes.turn_image(picture, turn="right"), turn="left").pixels, picture.pixels)
    for flip in ("sideways", "over"):
        assert torch.equal(nodes.turn_image(nodes.turn_image(picture, flip=flip), flip=flip).pixels, picture.pixels)


def test_a_border_is_what_the_mask_shows() -> None:
    picture = noise()
    wider, mask = nodes.pad_image(picture, left=4, bottom=8, color="red")
    assert wider.size == mask.size == (24, 20)
    assert torch.equal(wider.pixels[:, :12, 4:], picture.pixels)
    assert torch.equal(wider.pixels[0, 19, 0], torch.tensor([1.0, 0, 0]))
    inside = torch.zeros(20, 24)
    inside[:12, 4:] = 1
    assert torch.equal(mask.values[0], 1 - inside)
    _, soft = nodes.pad_image(picture, left=4, feather=4)
    assert soft.values[0, 0, 3] == 1
    assert soft.values[0, 0, 4:8].tolist() == [0.875, 0.625, 0.375, 0.125]


@pytest.mark.parametrize("mode", pixels.BLENDS)
def test_a_blend_of_nothing_changes_nothing_and_stays_in_range(mode: pixels.Blend) -> None:
    a, b = noise(seed=1), noise(seed=2)
    assert torch.allclose(nodes.blend_images(a, b, amount=0, mode=mode).pixels, a.pixels)
    whole = nodes.blend_images(a, b, amount=1, mode=mode).pixels
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_a_composite_changes_what_is_inside_the_mask_and_nothing_else() -> None:
    below, above = noise(seed=1), noise(seed=2)
    values = torch.zeros(1, 12, 20)
    values[:, 3:6, 5:9] = 1
    result = nodes.composite(below, above, Mask(values)).pixels
    assert torch.equal(result[values == 1], above.pixels[values == 1])
    assert torch.equal(result[values == 0], below.pixels[values == 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(-30, 30), st.integers(-30, 30))
def test_a_composite_may_lie_anywhere_even_outside(x: int, y: int) -> None:
    below, above = (
        nodes.solid_image(width=10, height=8, color="black"),
        nodes.solid_image(width=6, height=6, color="white"),
    )
    result = nodes.composite(below, above, x=x, y=y).pixels[0, ..., 0]
    covered = max(0, min(x + 6, 10) - max(x, 0)) * max(0, min(y + 6, 8) - max(y, 0))
    assert int(result.sum()) == covered


def test_one_picture_goes_with_many_but_two_not_with_three() -> None:
    assert len(nodes.blend_images(noise(3), noise(1))) == 3
    with pytest.raises(Refused, match="2 pictures came with 3"):
        nodes.blend_images(noise(2), noise(3))


def test_adjusting_by_nothing_changes_nothing_and_no_saturation_is_grey() -> None:
    picture = noise()
    assert torch.allclose(nodes.adjust_image(picture).pixels, picture.pixels, atol=1e-6)
    grey = nodes.adjust_image(picture, saturation=0).pixels
    assert torch.allclose(grey[..., 0], grey[..., 2], atol=1e-6)
    assert torch.allclose(nodes.adjust_image(picture, invert=True).pixels, 1 - picture.pixels, atol=1e-6)


def test_a_blur_keeps_the_mean_and_loses_contrast() -> None:
    picture = noise(height=64, width=64)
    blurred = nodes.blur_image(picture, radius=3).pixels
    assert abs(float(blurred.mean() - picture.pixels.mean())) < 0.01
    assert blurred.std() < picture.pixels.std() / 4


def test_a_batch_can_be_made_split_picked_and_laid_out() -> None:
    batch = nodes.batch_images([noise(2, seed=1), noise(1, 6, 10, seed=2)])
    assert len(batch) == 3
    assert [one.size for one in nodes.split_images(batch)] == [(20, 12)] * 3
    assert torch.equal(nodes.pick_images(batch, first=-1).pixels[0], batch.pixels[2])
    assert nodes.contact_sheet(batch, columns=2, gap=3).size == (43, 27)
    with pytest.raises(Refused, match="no picture 3 among 3"):
        nodes.pick_images(batch, first=3)


def test_a_value_of_another_shape_is_refused_with_its_shape() -> None:
    with pytest.raises(Refused, match=r"\(2, 3\)"):
        Image(torch.zeros(2, 3))
    with pytest.raises(Refused, match="4 channels"):
        Image(torch.zeros(1, 2, 2, 4))
    with pytest.raises(Refused, match="nothing in it"):
        Image(torch.zeros(0, 2, 2, 3))


def test_an_unknown_colour_is_refused() -> None:
    with pytest.raises(Refused, match="'reddish' is no colour"):
        nodes.solid_image(color="reddish")
