"""The autoencoder by itself: size, scale, draws, tiles, and pictures of latents without it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nodes.models.autoencoders.kl import Autoencoder, Config, drawn
from nodes.models.autoencoders.preview import false_colors, fitted, fitted_to
from nodes.models.autoencoders.tiles import tiled
from nodes.models.family import find
from nodes.models.load import load_autoencoder
from nodes.models.starter.drawing import draw
from nodes.models.starter.grammar import sample

STARTER = Path(__file__).parents[4] / "nodes/models/starter/flux1"


@pytest.fixture(scope="module")
def vae() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(Config.tiny()).eval().requires_grad_(False)


def test_full_size_is_the_published_size() -> None:
    with torch.device("meta"):
        model = Autoencoder(Config())
    assert sum(p.numel() for p in model.parameters()) == 83_819_683
    assert len(model.state_dict()) == 244


def test_shapes_both_ways(vae: Autoencoder) -> None:
    mean, logvar = vae.encode(torch.randn(2, 3, 24, 40))
    assert mean.shape == logvar.shape == (2, 4, 6, 10)
    assert vae.decode(mean).shape == (2, 3, 24, 40)


def test_scaling_and_its_undoing(vae: Autoencoder) -> None:
    z = torch.randn(1, 4, 6, 6)
    assert torch.allclose(vae.unscaled(vae.scaled(z)), z, atol=1e-5)


def test_a_draw_has_the_mean_the_spread_and_repeats_by_seed() -> None:
    mean, logvar = torch.full((1, 4, 200, 200), 2.0), torch.full((1, 4, 200, 200), -1.0)
    one = drawn(mean, logvar, torch.Generator().manual_seed(1))
    assert abs(float(one.mean()) - 2) < 0.01 and abs(float(one.std()) - 0.6065) < 0.01
    assert torch.equal(one, drawn(mean, logvar, torch.Generator().manual_seed(1)))


def test_both_halves_can_be_trained() -> None:
    vae = Autoencoder(Config.tiny())
    mean, logvar = vae.encode(torch.randn(1, 3, 16, 16))
    (vae.decode(drawn(mean, logvar)).square().mean() + logvar.square().mean()).backward()
    assert all(p.grad is not None for p in vae.parameters())


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.integers(4, 24),
    overlap=st.sampled_from([0, 0.25, 0.5]),
)
def test_tiles_of_what_looks_at_single_points_join_without_a_trace(
    height: int, width: int, size: int, overlap: float
) -> None:
    grown = lambda x: x.repeat_interleave(3, 2).repeat_interleave(3, 3) * 2  # noqa: E731
    shrunk = lambda x: x[:, :, ::3, ::3] * 2  # noqa: E731
    picture = torch.randn(1, 2, height, width)
    assert torch.allclose(tiled(grown, picture, size, 3 * size, overlap), grown(picture), atol=1e-5)
    large = grown(picture)
    assert torch.allclose(tiled(shrunk, large, 3 * size, size, overlap), shrunk(large), atol=1e-5)


def test_tiles_are_counted_and_can_be_stopped(vae: Autoencoder) -> None:
    seen: list[tuple[int, int]] = []
    vae.decode_tiled(torch.randn(1, 4, 14, 20), done=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))] and len(seen) > 1

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vae.decode_tiled(torch.randn(1, 4, 14, 20), done=stop)


@pytest.mark.parametrize("tile", [1, 5, 8, 40])
def test_tiles_of_any_size_make_a_picture_of_the_right_size(vae: Autoencoder, tile: int) -> None:
    z, picture = torch.randn(1, 4, 9, 14), torch.randn(1, 3, 36, 56)
    assert vae.decode_tiled(z, tile).shape == picture.shape
    assert vae.encode_tiled(picture, tile * 4 + 3)[0].shape == z.shape


def test_a_tile_that_holds_everything_is_the_whole(vae: Autoencoder) -> None:
    z, picture = torch.randn(1, 4, 6, 9), torch.randn(1, 3, 24, 36)
    assert torch.equal(vae.decode_tiled(z, 16), vae.decode(z))
    assert torch.equal(vae.encode_tiled(picture, 64)[0], vae.encode(picture)[0])


def smooth(*shape: int) -> Tensor:
    coarse = torch.randn(*shape[:2], 3, 3, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bicubic")


def test_a_linear_picture_is_seen_in_its_colours() -> None:
    matrix = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.4, -0.2], [0.1, 0.0, 0.3], [-0.2, 0.2, 0.1]])
    latents = smooth(2, 4, 12, 12)
    cells = torch.einsum("bchw,cd->bdhw", latents, matrix) + torch.tensor([0.1, -0.2, 0.0])[:, None, None]
    colors = fitted(latents, cells.repeat_interleave(8, 2).repeat_interleave(8, 3))
    assert torch.allclose(colors.matrix, matrix, atol=5e-3)
    pixels = colors.pixels(latents[0])
    assert pixels.shape == (12, 12, 3) and pixels.dtype == torch.uint8
    wanted = ((cells[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1) * 255).round()
    assert (pixels - wanted).abs().max() <= 2


def test_the_colours_of_an_autoencoder_are_always_the_same(vae: Autoencoder) -> None:
    one, other = fitted_to(vae), fitted_to(vae)
    assert torch.equal(one.matrix, other.matrix) and one.matrix.shape == (4, 3)


def test_the_colours_of_an_autoencoder_show_its_pictures() -> None:
    part = find(STARTER).parts["vae"]
    trained = load_autoencoder(part, torch.float32, "cpu", None)
    r = random.Random(5)
    scenes = torch.stack([torch.from_numpy(draw(sample(r).scene, r)) for _ in range(6)])
    pictures = scenes.permute(0, 3, 1, 2).float() / 127.5 - 1
    colors = fitted_to(trained)
    latents = trained.scaled(trained.encode(pictures)[0])
    shown = torch.stack([colors.pixels(one) for one in latents]).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert (shown - F.adaptive_avg_pool2d(pictures, shown.shape[2:])).abs().mean() < 0.3  # from black to white is 2


def test_false_colours_show_shapes() -> None:
    latent = torch.zeros(16, 8, 8)
    latent[3, :, 4:] = 2.0
    pixels = false_colors(latent).pixels(latent).float()
    assert (pixels[:, 4:].mean() - pixels[:, :4].mean()).abs() > 60


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 4, 4), (16, 1, 1)])
def test_false_colours_of_any_latent(shape: tuple[int, int, int]) -> None:
    assert false_colors(torch.randn(shape)).pixels(torch.randn(shape)).shape == (*shape[1:], 3)
