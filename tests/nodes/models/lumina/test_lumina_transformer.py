"""What only Lumina-Next does: masks, positions by step, proportional attention, copies in its files."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from graph_runtime.problem import Refused
from nodes.models.lumina.config import Config
from nodes.models.lumina.defaults import POSITIONS, defaults
from nodes.models.lumina.transformer import Transformer, velocity
from nodes.models.sampling.noise import noise


@pytest.fixture(scope="module")
def net() -> Transformer:
    torch.manual_seed(0)
    net = Transformer(Config.tiny()).eval().requires_grad_(False)
    for block in net.layers:
        block.attention.gate.copy_(torch.randn(4))
    return net


def told(length: int, filled: int) -> dict[str, Tensor]:
    text = torch.randn(1, 8, 48, generator=torch.Generator().manual_seed(2))
    text = torch.cat((text[:, :filled], torch.zeros(1, length - filled, 48)), dim=1)
    return {"text": text, "mask": (torch.arange(length) < filled)[None].long()}


def asked(net: Transformer, cells: tuple[int, int] = (4, 6), sigma: float = 0.5, **how: Any) -> Tensor:
    x = noise((1, 4, *cells), 1)
    conditioning = how.pop("told", told(8, 5))
    return velocity(net, conditioning, x.shape, [sigma], **how)(x, sigma)


def test_the_padded_length_is_no_part_of_the_picture(net: Transformer) -> None:
    usual = asked(net, told=told(5, 5))
    assert torch.allclose(asked(net, told=told(8, 5)), usual, atol=1e-5)
    assert torch.allclose(asked(net, told=told(200, 5)), usual, atol=1e-5)
    assert torch.allclose(asked(net, told={"text": told(5, 5)["text"]}), usual, atol=1e-5)
    assert not torch.allclose(asked(net, told=told(5, 4)), usual, atol=1e-2)


def test_a_text_of_which_nothing_is_left_is_refused(net: Transformer) -> None:
    with pytest.raises(Refused, match="leaves nothing of some text"):
        asked(net, told=told(8, 0))


@pytest.mark.parametrize("positions", POSITIONS)
def test_every_way_of_positions_can_be_asked_for(positions: str, net: Transformer) -> None:
    small = asked(net, (16, 16), positions=positions, watershed=0.3)
    assert torch.allclose(small, asked(net, (16, 16)), atol=1e-5)  # the size of training
    large = asked(net, (32, 32), positions=positions, watershed=0.3)
    assert large.isfinite().all()
    if positions != "none":
        assert not torch.allclose(large, asked(net, (32, 32), positions="none"), atol=1e-4)


def test_unknown_positions_are_refused_with_those_there_are(net: Transformer) -> None:
    with pytest.raises(Refused, match="watershed, linear, ntk, frequency, time, none"):
        asked(net, positions="yarn")


def test_the_watershed_counts_from_noise_to_picture(net: Transformer) -> None:
    early, late = 0.9, 0.5
    for sigma, same in ((early, True), (late, False)):
        before = asked(net, (32, 32), sigma, watershed=1.0)
        assert torch.allclose(asked(net, (32, 32), sigma, watershed=0.3), before, atol=1e-5) == same


def test_proportional_attention_is_usual_attention_at_the_size_of_training(net: Transformer) -> None:
    for cells, same in (((16, 16), True), ((32, 32), False), ((8, 8), False)):
        on, off = (asked(net, cells, proportional=flag) for flag in (True, False))
        assert torch.allclose(on, off, atol=1e-6) == same


def test_the_size_is_that_of_training() -> None:
    assert defaults(Config.tiny()).size == 128 and defaults(Config()).size == 1024
    assert (defaults(Config()).steps, defaults(Config()).true_cfg, defaults(Config()).guided_channels) == (30, 4.0, 3)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"heads": 5}, "does not divide into 5 heads"),
        ({"kv_heads": 3}, "4 heads do not share 3"),
        ({"out_channels": 2}, "2 channels out are fewer than 4"),
    ],
)
def test_impossible_sizes(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Config.tiny(**sizes)
