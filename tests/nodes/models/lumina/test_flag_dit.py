"""What only Lumina-T2I does: rows with an end, positions in one line, shifts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from graph_runtime.problem import Refused
from nodes.models.lumina.config import Config
from nodes.models.lumina.defaults import POSITIONS, defaults, encoders
from nodes.models.lumina.positions import frequencies, line, measured
from nodes.models.lumina.transformer import Transformer, ended, unended, velocity
from nodes.models.sampling.noise import noise

CONFIG = Config.tiny(kv_heads=4, flag=True)  # trained on 8 × 8 tokens


@pytest.fixture(scope="module")
def net() -> Transformer:
    torch.manual_seed(0)
    net = Transformer(CONFIG).eval().requires_grad_(False)
    net.eol_token.normal_()
    for block in net.layers:
        block.attention.gate.normal_()
    return net


def told() -> dict[str, Tensor]:
    return {"text": torch.randn(1, 5, 48, generator=torch.Generator().manual_seed(2))}


def asked(net: Transformer, cells: tuple[int, int] = (4, 6), sigma: float = 0.5, **how: Any) -> Tensor:
    x = noise((1, 4, *cells), 1)
    return velocity(net, told(), x.shape, [sigma], **how)(x, sigma)


def test_every_row_ends_with_the_same_token_and_it_is_taken_away_again() -> None:
    x, mark = torch.arange(6.0)[None, :, None], torch.tensor([9.0])
    assert ended(x, mark, 2)[0, :, 0].tolist() == [0, 1, 2, 9, 3, 4, 5, 9]
    assert ended(x, mark, 3)[0, :, 0].tolist() == [0, 1, 9, 2, 3, 9, 4, 5, 9]
    assert torch.equal(unended(ended(x, mark, 3), 3), x)


def test_the_shape_of_a_picture_is_seen_by_its_rows(net: Transformer) -> None:
    """The same tokens in the same order, in rows of other lengths, are another picture."""
    tokens = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(3))
    text = told()["text"]
    with torch.no_grad():
        mod = net.modulation(net.condition(torch.tensor([0.5]), text, torch.ones(1, 5))).at(0)
        answers = [net(tokens, mod, line(12 + rows, torch.ones(8)), 0.25, net.read(text)) for rows in (2, 3)]
    assert answers[0].shape == answers[1].shape == (1, 12, 32)
    assert not torch.allclose(*answers, atol=1e-3)


def test_positions_count_on_from_row_to_row() -> None:
    seen = measured(CONFIG, 3, 5)
    each = frequencies(seen.features, 1.0, 0.0, seen.longest, "none", 1.0)
    assert (len(each), seen.longest) == (8, 8 * 9)
    turned = line(18, each).angle()
    assert torch.allclose(turned[3], 3 * each, atol=1e-6)
    assert torch.allclose(line(18, each)[17], torch.polar(torch.ones(8), 17 * each), atol=1e-5)
    assert torch.allclose(each, 10000 ** (-torch.arange(8) / 8), rtol=1e-5)


def test_what_stretches_is_the_number_of_tokens_not_the_side() -> None:
    """A picture of twice the side is four times as long a line."""
    assert measured(CONFIG, 16, 16).stretch == 4 and measured(CONFIG, 4, 16).stretch == 1
    assert measured(Config.tiny(), 16, 16).stretch == 2


@pytest.mark.parametrize("positions", POSITIONS)
def test_every_way_of_positions_can_be_asked_for(positions: str, net: Transformer) -> None:
    usual = asked(net, (16, 16))
    assert torch.allclose(asked(net, (16, 16), positions=positions, watershed=0.3), usual, atol=1e-5)
    large = asked(net, (32, 32), positions=positions, watershed=0.3)
    assert large.isfinite().all()
    assert torch.allclose(large, asked(net, (32, 32)), atol=1e-5) == (positions in ("ntk", "watershed"))
    if positions != "none":
        assert not torch.allclose(large, asked(net, (32, 32), positions="none"), atol=1e-4)


def test_scores_are_measured_by_a_few_more_tokens_than_a_square_of_training_has(net: Transformer) -> None:
    """The base is side · (side + 2), as the authors' programs give it; there is no size where it has no effect."""
    assert measured(Config.flag_dit(), 64, 64).sharpness == math.sqrt(math.log(4160) / math.log(4224))
    assert measured(CONFIG, 1, 79).sharpness == 1.0
    large = [asked(net, (32, 32), proportional=flag) for flag in (True, False)]
    assert not torch.allclose(*large, atol=1e-5)


def test_it_is_best_used_as_its_demonstration_does() -> None:
    usual = defaults(Config.flag_dit())
    assert (usual.steps, usual.true_cfg, usual.guided_channels, usual.size) == (30, 4.0, 3, 1024)
    t = torch.linspace(0, 1, 31)
    theirs = 1 - t / (t + 4 - 4 * t)
    assert torch.allclose(torch.tensor(usual.schedule.sigmas(30, 4096)), theirs, atol=1e-6)
    assert encoders(Config.flag_dit()) == ("llama",) and encoders(Config()) == ("gemma",)


def test_unknown_positions_are_refused(net: Transformer) -> None:
    with pytest.raises(Refused, match="positions 'yarn' are unknown"):
        asked(net, positions="yarn")
