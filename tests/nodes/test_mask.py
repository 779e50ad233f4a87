"""Mask nodes: 1 is inside."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes import mask as nodes
from nodes.image import solid_image
from nodes.pixels import grown
from nodes.sockets import Image, Mask


def square() -> Mask:
    return nodes.shape_mask(width=40, height=32, left=0.25, top=0.25, right=0.75, bottom=0.75)


def test_a_shape_covers_its_share() -> None:
    assert float(square().values.sum()) == 20 * 16
    ellipse = nodes.shape_mask(width=200, height=100, shape="ellipse", left=0, top=0, right=1, bottom=1)
    assert abs(float(ellipse.values.mean()) - torch.pi / 4) < 0.01


def test_inverting_twice_changes_nothing() -> None:
    assert torch.equal(nodes.invert_mask(nodes.invert_mask(square())).values, square().values)


def test_growing_a_point_gives_a_disc_and_shrinking_takes_it_back() -> None:
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 1
    disc = grown(point, 10)
    y, x = torch.meshgrid(torch.arange(41) - 20, torch.arange(41) - 20, indexing="ij")
    assert torch.equal(disc[0], (x * x + y * y <= 100).float())
    assert torch.equal(grown(disc, -10), point)


@settings(max_examples=15, deadline=None)
@given(st.integers(-50, 50), st.floats(0, 20))
def test_any_growth_and_feather_stays_between_0_and_1(by: int, feather: float) -> None:
    values = nodes.grow_mask(square(), by=by, feather=feather).values
    assert values.shape == (1, 32, 40)
    assert values.min() >= 0
    assert values.max() <= 1


def test_masks_combine_as_sets_do() -> None:
    a = square()
    b = nodes.shape_mask(width=40, height=32, left=0.5, top=0, right=1, bottom=1)
    sizes = {how: int(nodes.combine_masks(a, b, how=how).values.sum()) for how in ("either", "both", "a without b")}
    assert sizes == {"either": 320 + 640 - 160, "both": 160, "a without b": 160}
    assert int(nodes.combine_masks(a, b, how="one of the two").values.sum()) == 320 + 640 - 2 * 160
    with pytest.raises(Refused, match="2 masks came with 3"):
        nodes.combine_masks(Mask(torch.ones(2, 4, 4)), Mask(torch.ones(3, 4, 4)))


def test_a_colour_a_channel_and_a_threshold_make_masks() -> None:
    pixels = torch.zeros(1, 2, 2, 3)
    pixels[0, 0, 0] = torch.tensor([1.0, 0.5, 0.0])
    picture = Image(pixels)
    assert nodes.mask_from_color(picture, color="#ff8000", tolerance=0.01).values.sum() == 1
    assert nodes.mask_from_image(picture, channel="red").values[0, 0, 0] == 1
    assert nodes.mask_from_image(picture, channel="green").values[0, 0, 0] == 0.5
    soft = nodes.mask_from_image(picture, channel="green")
    assert nodes.threshold_mask(soft, above=0.5).values.sum() == 1
    assert nodes.threshold_mask(soft, above=0.6).values.sum() == 0


def test_a_mask_is_shown_where_it_lies() -> None:
    grey = solid_image(width=40, height=32, color="#000000")
    tinted = nodes.show_mask(grey, square(), color="red", amount=1.0).pixels
    assert torch.equal(tinted[..., 0], square().values)
    assert torch.equal(nodes.mask_to_image(square()).pixels[..., 1], square().values)
