"""Our networks against diffusers' and transformers' on the same weights, in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from oracle import Pair, autoencoder, flux, randomise, relative
from safetensors.torch import save_file
from torch import Tensor

from nodes.models.family import find
from nodes.models.flux1.transformer import image_ids, text_ids
from nodes.models.load import load_autoencoder, load_transformer


def draw(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def both(theirs: torch.nn.Module, net: torch.nn.Module, grid: tuple[int, int] = (3, 5), text: int = 7) -> float:
    """One evaluation by each: non-square grid, text of another length, t and guidance different per sample."""
    c = net.config
    img, txt, pooled = draw(2, grid[0] * grid[1], 64), draw(2, text, c.text_width), draw(2, c.pooled_width)
    t, guidance = torch.tensor([0.7311, 0.25]), torch.tensor([3.5, 1.7]) if c.guidance else None
    places = image_ids(*grid), text_ids(text)
    expected = theirs(
        hidden_states=img, encoder_hidden_states=txt, pooled_projections=pooled, timestep=t, guidance=guidance,
        img_ids=places[0], txt_ids=places[1], return_dict=False,
    )[0]  # fmt: skip
    modulation = net.modulation(net.vector(t, pooled, guidance))
    return relative(net(img, net.txt_in(txt), modulation, net.angles(*places)), expected)


def loaded(theirs: torch.nn.Module, folder: Path) -> torch.nn.Module:
    theirs.save_pretrained(folder / "transformer")
    return load_transformer(find(folder / "transformer"), torch.float32)


def test_the_transformer_of_dev(dev: Pair) -> None:
    assert both(dev.pipe.transformer, dev.net) <= 3e-6


def test_the_transformer_of_schnell(schnell: Pair) -> None:
    assert both(schnell.pipe.transformer, schnell.net) <= 3e-6


def test_transformers_of_other_depths_widths_and_axes(varied: Pair) -> None:
    assert both(varied.pipe.transformer, varied.net, (7, 2), 4) <= 3e-6


def test_a_transformer_with_the_real_heads_and_axes(tmp_path: Path) -> None:
    theirs = flux(2, True, False, 48, 32, wide=True)
    assert both(theirs, loaded(theirs, tmp_path), (5, 4)) <= 3e-6


QUERIES = ("to_q.", "to_k.", "add_q_proj.", "add_k_proj.")


def shrunk(theirs: torch.nn.Module, parts: tuple[str, ...]) -> torch.nn.Module:
    """With these weights a hundred times smaller, so that the epsilons of the norms behind them count."""
    for name, p in theirs.named_parameters():
        if any(part in name for part in parts):
            p.mul_(0.01)
    return theirs


@pytest.mark.parametrize("parts", [QUERIES, (*QUERIES, "x_embedder.", "context_embedder.")], ids=["q k", "all"])
def test_epsilons_are_right(parts: tuple[str, ...], tmp_path: Path) -> None:
    """A wrong one moves the output by 1e-3 to 5e-2 here, and by 6e-6 or less with ordinary weights."""
    theirs = shrunk(flux(3, True, False, 48, 32), parts)
    assert both(theirs, loaded(theirs, tmp_path)) <= 1e-5


def test_the_gate_notices_a_wrong_epsilon(tmp_path: Path) -> None:
    theirs = shrunk(flux(3, True, False, 48, 32), QUERIES)
    net = loaded(theirs, tmp_path)
    for module in net.modules():
        if hasattr(module, "eps"):
            module.eps = 1.2e-7
    assert both(theirs, net) > 1e-4


def test_the_gate_notices_swapped_halves_of_the_last_modulation(dev: Pair, tmp_path: Path) -> None:
    net = loaded(dev.pipe.transformer, tmp_path)
    last = net.final_layer.adaLN_modulation[1]
    last.weight.data = last.weight.data.roll(len(last.weight) // 2, 0)
    assert both(dev.pipe.transformer, net) > 1e-2


def test_an_original_file_gives_the_same_network(dev: Pair, tmp_path: Path) -> None:
    """In-memory names are the original ones, so our state dict is an original file."""
    save_file(dev.net.state_dict(), tmp_path / "flux.safetensors")
    found = find(tmp_path / "flux.safetensors", {"axes_dims_rope": [4, 6, 6]})
    assert both(dev.pipe.transformer, load_transformer(found, torch.float32)) <= 3e-6


def test_bfloat16_rounds_time_and_guidance_as_the_pipelines_do(dev: Pair, tmp_path: Path) -> None:
    theirs = flux(0, True, False, 48, 32).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "transformer")
    net = load_transformer(find(tmp_path / "transformer"), torch.bfloat16)
    img, txt, pooled = (draw(*s).bfloat16() for s in ((2, 15, 64), (2, 7, 48), (2, 32)))
    t, guidance = torch.tensor([0.73, 0.25]), torch.tensor([3.5, 3.5])
    places = image_ids(3, 5), text_ids(7)
    expected = theirs(
        hidden_states=img, encoder_hidden_states=txt, pooled_projections=pooled, timestep=t.bfloat16(),
        guidance=guidance, img_ids=places[0].bfloat16(), txt_ids=places[1].bfloat16(), return_dict=False,
    )[0]  # fmt: skip
    modulation = net.modulation(net.vector(t, pooled, guidance))
    assert relative(net(img, net.txt_in(txt), modulation, net.angles(*places)), expected) <= 2e-2


def test_the_autoencoder_both_ways(dev: Pair, varied: Pair) -> None:
    for pair in (dev, varied):
        z, picture = draw(2, 16, 6, 10) * 2, draw(2, 3, 48, 80).clamp(-1, 1)
        assert relative(pair.vae.decode(z), pair.pipe.vae.decode(z).sample) <= 1e-5
        expected = pair.pipe.vae.encode(picture).latent_dist
        mean, logvar = pair.vae.encode(picture)
        assert relative(mean, expected.mean) <= 1e-5
        assert relative(logvar, expected.logvar) <= 1e-5


def test_an_autoencoder_with_quantisation_convolutions(tmp_path: Path) -> None:
    """What AuraFlow uses: four channels, 1 × 1 convolutions around the latent, no shift."""
    theirs = AutoencoderKL(
        block_out_channels=(32, 64), down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, latent_channels=4, norm_num_groups=16, scaling_factor=0.13025,
    )  # fmt: skip
    randomise(theirs, 4).save_pretrained(tmp_path / "vae")
    vae = load_autoencoder(find(tmp_path / "vae").parts["vae"], torch.float32)
    z, picture = draw(1, 4, 6, 10), draw(1, 3, 12, 20)
    assert relative(vae.decode(z), theirs.decode(z).sample) <= 1e-5
    assert relative(vae.encode(picture)[0], theirs.encode(picture).latent_dist.mean) <= 1e-5


@pytest.mark.parametrize("size", [(11, 17), (8, 20), (24, 9)])
def test_tiles_are_blended_as_diffusers_blends_them(dev: Pair, size: tuple[int, int]) -> None:
    theirs = autoencoder(0)
    theirs.enable_tiling()
    z, picture = draw(1, 16, *size), draw(1, 3, 8 * size[0], 8 * size[1]).clamp(-1, 1)
    with torch.no_grad():
        assert relative(dev.vae.decode_tiled(z), theirs.decode(z).sample) <= 1e-5
        expected = theirs.encode(picture).latent_dist
        mean, logvar = dev.vae.encode_tiled(picture)
        assert relative(mean, expected.mean) <= 1e-5
        assert relative(logvar, expected.logvar) <= 1e-5


PROMPTS = ["an astronaut hatches from an egg on the moon", "Oil painting of two sailing boats!"]


@pytest.mark.parametrize("length", [16, 128, 512])
def test_text_encoders(dev: Pair, length: int) -> None:
    text, pooled, _ = dev.pipe.encode_prompt(PROMPTS, max_sequence_length=length)
    tensors, notes = dev.text(PROMPTS, max_length=length)
    assert relative(tensors["text"], text) <= 1e-5
    assert relative(tensors["pooled"], pooled) <= 1e-5
    assert not notes


def test_a_second_prompt_is_read_by_t5_alone(varied: Pair) -> None:
    text, pooled, _ = varied.pipe.encode_prompt(PROMPTS, PROMPTS[::-1], max_sequence_length=32)
    tensors, _ = varied.text(PROMPTS, PROMPTS[::-1], max_length=32)
    assert relative(tensors["text"], text) <= 1e-5
    assert relative(tensors["pooled"], pooled) <= 1e-5


def test_text_that_is_cut_off_is_encoded_alike_and_said(dev: Pair) -> None:
    long = "the red fox sits beside a cold mountain stream and says hello world to two sailing boats at the moon, " * 2
    text, pooled, _ = dev.pipe.encode_prompt(long, max_sequence_length=16)
    tensors, notes = dev.text([long], max_length=16)
    assert relative(tensors["text"], text) <= 1e-5
    assert relative(tensors["pooled"], pooled) <= 1e-5
    assert len(notes) == 2 and "77" in notes[0] and "16" in notes[1]
