"""What only AuraFlow does: positions cut from a grid, text whose zeroes stand for one another."""

from __future__ import annotations

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.auraflow.config import Config
from nodes.models.auraflow.defaults import defaults
from nodes.models.auraflow.transformer import Transformer, shortened, velocity
from nodes.models.layers.patches import latent_of, patches_of
from nodes.models.sampling.noise import noise


@pytest.fixture(scope="module")
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config.tiny()).eval().requires_grad_(False)


def text(filled: int, length: int = 60) -> torch.Tensor:
    drawn = torch.randn(1, length, 48, generator=torch.Generator().manual_seed(2))
    drawn[:, filled:] = 0
    return drawn


def test_a_third_of_the_weights_is_read_before_the_loop_only() -> None:
    with torch.device("meta"):
        net = Transformer(Config())
    early = frozenset(net.before_loop())
    share = sum(p.numel() for name, p in net.named_parameters() if name in early) / 6_858_605_568
    assert 0.33 < share < 0.35


def test_positions_are_cut_from_the_middle(net: Transformer) -> None:
    net.positional_encoding.copy_(torch.arange(64.0).view(1, 64, 1).expand(1, 64, 64))
    assert net.places(2, 4)[0, :, 0].tolist() == [26, 27, 28, 29, 34, 35, 36, 37]
    assert net.places(3, 1)[0, :, 0].tolist() == [28, 36, 44]
    assert net.places(8, 8)[0, :, 0].tolist() == list(range(64))


@pytest.mark.parametrize("size", [(18, 4), (4, 18), (18, 18)])
def test_a_picture_larger_than_the_grid_is_refused_with_the_limit(size: tuple[int, int], net: Transformer) -> None:
    """Where diffusers wraps into the rows beside, or reads outside."""
    with pytest.raises(Refused, match="at most 128 pixels"):
        velocity(net, {"text": text(5)}, (1, 4, *size), [0.5])


@pytest.mark.parametrize("filled", [0, 1, 20, 51])
def test_zeroes_in_one_row_weigh_as_much_as_all_of_them(filled: int, net: Transformer) -> None:
    x = noise((1, 4, 4, 6), 1)
    whole = text(filled)
    short, bias = shortened(whole, 6)
    assert short.shape[1] == filled + 1 and bias is not None
    quick = velocity(net, {"text": whole}, x.shape, [0.5])(x, 0.5)
    modulation = net.modulation(net.t_embedder(torch.tensor([0.5])))
    slow = latent_of(net(patches_of(x), net.tokens(whole), net.places(2, 3), modulation), 4, 6)
    assert torch.allclose(quick, slow, atol=2e-5)


def test_texts_of_one_batch_keep_the_zeroes_that_the_longest_needs(net: Transformer) -> None:
    both = torch.cat((text(5), text(30)))
    short, bias = shortened(both, 6)
    assert short.shape[1] == 31 and bias is not None
    assert bias[:, 0, 0].exp().sum(-1).tolist() == pytest.approx([60 + 6, 60 + 6])
    x = noise((2, 4, 4, 6), 1)
    together = velocity(net, {"text": both}, x.shape, [0.5])(x, 0.5)
    for row in range(2):
        alone = velocity(net, {"text": both[row : row + 1]}, (1, 4, 4, 6), [0.5])(x[row : row + 1], 0.5)
        assert torch.allclose(together[row : row + 1], alone, atol=2e-5)


def test_text_that_fills_its_length_is_left_alone() -> None:
    for filled in (53, 60):
        short, bias = shortened(text(filled), 6)
        assert short.shape[1] == 60 and bias is None


def test_features_go_in_by_channel_and_come_out_by_cell() -> None:
    latent = noise((2, 4, 6, 10), 1)
    tokens = patches_of(latent)
    assert torch.equal(tokens[0, 7, 2 * 4 : 3 * 4], latent[0, 2, 2:4, 4:6].flatten())
    back = tokens.unflatten(-1, (4, 4)).transpose(-1, -2).flatten(-2)
    assert torch.equal(latent_of(back, 6, 10), latent)


def test_a_model_with_a_small_grid_is_used_for_what_it_can_paint() -> None:
    assert defaults(Config.tiny()).size == 128 and defaults(Config()).size == 1024
    assert defaults(Config()).schedule.shift == 1.73 and defaults(Config()).true_cfg == 3.5
    with pytest.raises(Refused, match="does not divide into 3 heads"):
        Config.tiny(heads=3)
