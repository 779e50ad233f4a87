"""Flux.2's autoencoder by itself: its size, its files, and the space that is sampled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.autoencoders import keys
from nodes.models.autoencoders.flux2 import Autoencoder, Config, patchify, unpatchify
from nodes.models.family import find
from nodes.models.load import load_autoencoder

from .. import checkpoints as made
from ..flux2.namings import to_ae
from ..headers import header

SMALL = Config.tiny(widths=(32, 32, 64), groups=32, decoder_widths=(32, 64, 64))


def state(config: Config = SMALL) -> dict[str, torch.Tensor]:
    """Random weights, and statistics that are not 0 and 1."""
    with torch.device("meta"):
        found = made.drawn(Autoencoder(config))
    count = config.latent
    return found | {"bn.running_mean": torch.randn(count), "bn.running_var": torch.rand(count) + 0.5}


def test_full_size_is_the_published_size() -> None:
    """84,046,115 numbers in 251 tensors, of which a count of batches is not used."""
    with torch.device("meta"):
        module = Autoencoder(Config())
    assert sum(p.numel() for p in module.parameters()) == 84_046_115
    assert len(module.state_dict()) == 250
    assert (module.config.factor, module.config.latent) == (16, 128)


@pytest.mark.parametrize("prefix", ["", "vae.", "first_stage_model."])
@pytest.mark.parametrize("naming", ["original", "diffusers"])
def test_it_is_the_same_under_both_namings(naming: str, prefix: str, tmp_path: Path) -> None:
    """`from_single_file` of diffusers refuses the original file (0.42.1)."""
    truth = state()
    inside = {name: t for name, t in truth.items() if name.startswith(("encoder.", "decoder."))}
    around = {name: t for name, t in truth.items() if name not in inside}
    stored = to_ae(truth) if naming == "original" else made.vae_to_diffusers(inside, 3) | around
    part = find(made.save(tmp_path / "ae.safetensors", made.under(prefix, stored))).parts["vae"]
    assert (part.layout, part.variant, keys.pixels_per_cell(part.config)) == (naming, "Flux.2 autoencoder", 8)
    module = load_autoencoder(part, torch.float32)
    assert isinstance(module, Autoencoder) and module.config.decoder_widths == (32, 64, 64)
    assert module.state_dict().keys() == truth.keys()
    assert [n for n, t in module.state_dict().items() if not torch.equal(t, truth[n])] == []


def test_statistics_stay_exact_in_half_precision(tmp_path: Path) -> None:
    truth = state()
    part = find(made.save(tmp_path / "ae.safetensors", to_ae(truth))).parts["vae"]
    module = load_autoencoder(part, torch.bfloat16)
    assert torch.equal(module.state_dict()["bn.running_var"], truth["bn.running_var"])
    assert module.decoder.conv_in.weight.dtype == torch.bfloat16


def test_a_cell_is_four_in_the_order_channel_row_column() -> None:
    z = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    cells = patchify(z)
    assert cells.shape == (2, 12, 2, 3) and torch.equal(unpatchify(cells), z)
    assert cells[1, 2 * 4 + 1 * 2 + 0, 1, 2] == z[1, 2, 3, 4]


def test_what_is_sampled_has_the_statistics_taken_off() -> None:
    torch.manual_seed(0)
    module = Autoencoder(SMALL).eval().requires_grad_(False)
    module.load_state_dict(state())
    z = torch.randn(500, 16, 1, 1) * (module.bn.running_var + 1e-4).sqrt()[:, None, None]  # type: ignore[operator]
    z = z + module.bn.running_mean[:, None, None]  # type: ignore[index]
    latent = module.scaled(z)
    assert latent.mean(0).abs().max() < 0.2 and (latent.std(0) - 1).abs().max() < 0.15
    assert torch.allclose(module.unscaled(latent), z, atol=1e-5)
    picture = torch.rand(1, 3, 16, 24) * 2 - 1
    assert module.encode(picture)[0].shape == (1, 16, 2, 3) and module.decode(z[:1]).shape == (1, 3, 8, 8)


def test_shapes_that_cannot_be_are_refused() -> None:
    shapes = {name: tuple(t.shape) for name, t in to_ae(state()).items()}
    assert keys.match(header(shapes)) is not None
    for name, wrong in (
        ("bn.running_mean", (32,)), ("bn.running_mean", ()), ("decoder.up.1.block.0.conv1.weight", (40, 64, 3, 3)),
        ("decoder.up.1.block.0.conv1.weight", (0, 64, 3, 3)), ("encoder.conv_in.weight", (32,)),
    ):  # fmt: skip
        with pytest.raises(Refused):
            keys.match(header(shapes | {name: wrong}))


def test_an_autoencoder_without_statistics_is_an_ordinary_one() -> None:
    shapes = {name: tuple(t.shape) for name, t in to_ae(state()).items() if not name.startswith("bn.")}
    part = keys.match(header(shapes))
    assert part is not None and part.variant == "autoencoder" and part.config["quant"]
    assert keys.pixels_per_cell(part.config) == 4
    assert replace(Config(), widths=(8, 8)).factor == 4
