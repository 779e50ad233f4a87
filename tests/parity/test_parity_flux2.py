"""Flux.2's networks against diffusers' and transformers' on the same weights, in float32."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import oracle_flux2 as made
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from oracle import relative
from oracle_flux2 import Pair, draw
from safetensors.torch import save_file
from torch import Tensor

from nodes.models.family import family_named, find
from nodes.models.flux2.tokens import image_ids, text_ids
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer
from nodes.models.sampling.schedule import Schedule


def both(theirs: torch.nn.Module, net: torch.nn.Module, grid: tuple[int, int] = (3, 5), guided: bool = True) -> float:
    """One evaluation by each: non-square grid, two reference pictures, t and guidance different per sample."""
    c, text = net.config, 7
    spots = [image_ids(*grid, 0), image_ids(2, 4, 10), image_ids(3, 1, 20)]
    img, txt = draw(2, sum(map(len, spots)), c.in_channels), draw(2, text, c.text_width, seed=6)
    t, guidance = torch.tensor([0.7311, 0.25]), torch.tensor([4.0, 1.7]) if c.guidance and guided else None
    count = len(spots[0])
    expected = theirs(
        hidden_states=img, encoder_hidden_states=txt, timestep=t, guidance=guidance, img_ids=torch.cat(spots),
        txt_ids=text_ids(text), return_dict=False,
    )[0][:, :count]  # fmt: skip
    modulation = net.modulation(net.vector(t, guidance))
    angles = net.angles(torch.cat([text_ids(text), *spots]))
    return relative(net(img[:, :count], net.txt_in(txt), modulation, angles, net.img_in(img[:, count:])), expected)


def loaded(theirs: torch.nn.Module, folder: Path) -> torch.nn.Module:
    theirs.save_pretrained(folder / "transformer")
    return load_transformer(find(folder / "transformer"), torch.float32)


def test_the_transformer_of_dev(flux2: Pair) -> None:
    assert both(flux2.pipe.transformer, flux2.net) <= 3e-6
    assert both(flux2.pipe.transformer, flux2.net, guided=False) <= 3e-6


def test_transformers_of_other_depths_and_heads(flux2_varied: Pair) -> None:
    assert both(flux2_varied.pipe.transformer, flux2_varied.net, (7, 2)) <= 3e-6


def test_the_transformer_of_klein(klein: Pair) -> None:
    assert both(klein.pipe.transformer, klein.net) <= 3e-6


def test_a_transformer_with_the_real_head(tmp_path: Path) -> None:
    theirs = made.transformer(2, 16, 8, True, wide=True)
    assert both(theirs, loaded(theirs, tmp_path), (5, 4)) <= 3e-6


QUERIES = ("to_q.", "to_k.", "add_q_proj.", "add_k_proj.")


@pytest.mark.parametrize("parts", [QUERIES, (*QUERIES, "x_embedder.", "context_embedder.")], ids=["q k", "all"])
def test_epsilons_are_right(parts: tuple[str, ...], tmp_path: Path) -> None:
    """With these weights a hundred times smaller the epsilons of the norms behind them count."""
    theirs = made.transformer(3, 16, 8, True)
    for name, p in theirs.named_parameters():
        if any(part in name for part in parts):
            p.mul_(0.01)
        if "to_qkv_mlp_proj" in name:
            p[: 2 * p.shape[1]].mul_(0.01)
    net = loaded(theirs, tmp_path)
    assert both(theirs, net) <= 1e-5
    for module in net.modules():
        if hasattr(module, "eps"):
            module.eps = 1.2e-7
    assert both(theirs, net) > 1e-4, "the gate notices a wrong epsilon"


def test_the_gate_notices_swapped_halves_of_the_last_modulation(flux2: Pair, tmp_path: Path) -> None:
    net = loaded(flux2.pipe.transformer, tmp_path)
    last = net.final_layer.adaLN_modulation[1]
    last.weight.data = last.weight.data.roll(len(last.weight) // 2, 0)
    assert both(flux2.pipe.transformer, net) > 1e-2


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_an_original_file_gives_the_same_network_under_any_prefix(prefix: str, flux2: Pair, tmp_path: Path) -> None:
    """In-memory names are the original ones. diffusers' converter raises KeyError on the prefix (0.42.1)."""
    state = {prefix + name: tensor for name, tensor in flux2.net.state_dict().items()}
    save_file(state, tmp_path / "flux2-dev.safetensors")
    net = load_transformer(find(tmp_path / "flux2-dev.safetensors"), torch.float32)
    assert both(flux2.pipe.transformer, net) <= 3e-6


def test_bfloat16_rounds_time_and_guidance_as_the_pipeline_does(tmp_path: Path) -> None:
    theirs = made.transformer(4, 16, 8, True).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "transformer")
    net = load_transformer(find(tmp_path / "transformer"), torch.bfloat16)
    img, txt, t = draw(2, 15, 32).bfloat16(), draw(2, 7, 48).bfloat16(), torch.tensor([0.73, 0.25])
    guidance = torch.tensor([4.0, 4.0])
    expected = theirs(
        hidden_states=img, encoder_hidden_states=txt, timestep=t.bfloat16(), guidance=guidance,
        img_ids=image_ids(3, 5, 0), txt_ids=text_ids(7), return_dict=False,
    )[0]  # fmt: skip
    angles = net.angles(torch.cat((text_ids(7), image_ids(3, 5, 0))))
    assert relative(net(img, net.txt_in(txt), net.modulation(net.vector(t, guidance)), angles), expected) <= 2e-2


def normalised(vae: torch.nn.Module, latent: Tensor) -> Tensor:
    """As diffusers' pipeline makes what is sampled of an encoder's latent."""
    latent = Flux2Pipeline._patchify_latents(latent)
    spread = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    return (latent - vae.bn.running_mean.view(1, -1, 1, 1)) / spread


def test_the_autoencoder_both_ways(flux2: Pair, flux2_varied: Pair) -> None:
    for pair in (flux2, flux2_varied):
        picture = draw(2, 3, 48, 80).clamp(-1, 1)
        theirs = pair.pipe.vae.encode(picture).latent_dist
        mean, logvar = pair.vae.encode(picture)
        assert relative(pair.vae.scaled(mean), normalised(pair.pipe.vae, theirs.mode())) <= 1e-5
        assert relative(logvar, Flux2Pipeline._patchify_latents(theirs.logvar)) <= 1e-5
        z = draw(2, pair.vae.config.latent, 3, 5)
        plain = Flux2Pipeline._unpatchify_latents(z)
        assert relative(pair.vae.decode(z), pair.pipe.vae.decode(plain).sample) <= 1e-5
        assert relative(pair.vae.unscaled(pair.vae.scaled(mean)), mean) <= 1e-6


def test_an_autoencoder_with_a_small_decoder(tmp_path: Path) -> None:
    theirs = made.autoencoder(4, small_decoder=True)
    theirs.save_pretrained(tmp_path / "vae")
    vae = load_autoencoder(find(tmp_path / "vae").parts["vae"], torch.float32)
    assert vae.config.decoder_widths == (32, 32, 32, 64) and vae.config.widths == (32, 32, 64, 64)
    z = draw(1, 32, 3, 5)
    assert relative(vae.decode(z), theirs.decode(Flux2Pipeline._unpatchify_latents(z)).sample) <= 1e-5


@pytest.mark.parametrize("size", [(5, 8), (12, 4)])
def test_tiles_are_blended_as_diffusers_blends_them(flux2: Pair, size: tuple[int, int]) -> None:
    theirs = made.autoencoder(0, flux2.vae.config.latent // 4)
    theirs.enable_tiling()
    z, picture = draw(1, flux2.vae.config.latent, *size), draw(1, 3, 16 * size[0], 16 * size[1]).clamp(-1, 1)
    with torch.no_grad():
        assert relative(flux2.vae.decode_tiled(z), theirs.decode(Flux2Pipeline._unpatchify_latents(z)).sample) <= 1e-5
        expected = Flux2Pipeline._patchify_latents(theirs.encode(picture).latent_dist.mean)
        assert relative(flux2.vae.encode_tiled(picture)[0], expected) <= 1e-5


TEXT = 1e-5
"""Largest relative difference of text features. Measured: 2e-6 at most, after thirty layers of random weights."""
PROMPTS = {
    "short": "a hermit crab on a sunlit beach",
    "image tag": "a [IMG] b, Grüße 42 山中",
    "special tokens": "a [INST] within </s> the text <pad>",
    "long": "two cats and three dogs " * 40,
    "empty": "",
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_text_with_its_filling(prompt: str, flux2: Pair) -> None:
    """Filled rows too: they attend to nothing, which is a zero and no average, as torch's attention has it."""
    expected, _ = flux2.pipe.encode_prompt(PROMPTS[prompt], max_sequence_length=192)
    tensors, notes = flux2.text([PROMPTS[prompt]], max_length=192)
    assert relative(tensors["text"], expected) <= TEXT
    assert bool(notes) == (prompt == "long")


def test_text_of_other_models(flux2_varied: Pair, klein: Pair) -> None:
    for pair in (flux2_varied, klein):
        for length in (128, 512):
            expected, _ = pair.pipe.encode_prompt([PROMPTS["short"], PROMPTS["image tag"]], max_sequence_length=length)
            tensors, _ = pair.text([PROMPTS["short"], PROMPTS["image tag"]], max_length=length)
            assert relative(tensors["text"], expected) <= TEXT


def test_other_layers(flux2: Pair) -> None:
    text = made.whole_encoder(flux2.folder)
    for layers in ((4, 17, 29), (0, 1, text.language.total)):
        expected, _ = flux2.pipe.encode_prompt(PROMPTS["short"], max_sequence_length=64, text_encoder_out_layers=layers)
        assert relative(text([PROMPTS["short"]], max_length=64, layers=layers).tensors["text"], expected) <= TEXT


def test_epsilons_of_the_language_models_are_right(flux2: Pair, klein: Pair, tmp_path: Path) -> None:
    """With embeddings and queries a hundred times smaller the epsilons of the norms behind them count."""
    for pair in (flux2, klein):
        theirs = copy.deepcopy(pair.pipe.text_encoder)
        for name, p in theirs.named_parameters():
            if any(part in name for part in ("embed_tokens", "q_proj", "k_proj")) and "vision" not in name:
                p.mul_(0.003)
        folder = tmp_path / pair.folder.name
        theirs.save_pretrained(folder / "text_encoder")
        pair.pipe.tokenizer.save_pretrained(folder / "tokenizer")
        part = find(folder / "text_encoder").parts["language"]
        text = load_text_encoder(family_named("flux2"), {"language": part}, torch.float32)
        inputs = pair.pipe.tokenizer("a hermit crab", return_tensors="pt")
        taps = (3, 9, 18)
        expected = theirs(**inputs, output_hidden_states=True).hidden_states
        expected = torch.cat([expected[tap] for tap in taps], dim=-1)[0]
        assert relative(text.language.hidden(inputs["input_ids"][0], taps), expected) <= TEXT
        for module in text.language.modules():
            if isinstance(module, torch.nn.RMSNorm):
                module.eps = 2e-7
        assert relative(text.language.hidden(inputs["input_ids"][0], taps), expected) > 10 * TEXT


def theirs_sigmas(steps: int | list[float], tokens: int) -> Tensor:
    scheduler = FlowMatchEulerDiscreteScheduler(**made.SCHEDULER)
    count = steps if isinstance(steps, int) else 50
    given = np.linspace(1.0, 1 / count, count) if isinstance(steps, int) else steps
    scheduler.set_timesteps(sigmas=given, mu=compute_empirical_mu(tokens, count))
    return scheduler.sigmas


@pytest.mark.parametrize("tokens", [24, 1024, 4096, 4300, 4301, 16384])
@pytest.mark.parametrize("steps", [1, 4, 28, 50, 200, [1.0, 0.83, 0.5, 0.21, 0.05]], ids=str)
def test_sigmas(steps: int | list[float], tokens: int) -> None:
    ours = Schedule(dynamic=True, empirical=True).sigmas(steps, tokens, 50)
    assert torch.equal(torch.tensor(ours), theirs_sigmas(steps, tokens))


def test_the_shift_jumps_where_the_makers_jumps() -> None:
    schedule = Schedule(dynamic=True, empirical=True)
    found = [round(schedule.mu(tokens, steps), 4) for steps, tokens in ((50, 4096), (50, 4300), (50, 4301), (28, 4096))]
    assert found == [2.0234, 2.0447, 1.1847, 2.1514]
