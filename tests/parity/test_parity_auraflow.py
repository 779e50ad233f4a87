"""Our AuraFlow against diffusers' on the same weights, in float32: the networks, the noise levels, whole pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.aura_flow.pipeline_aura_flow import retrieve_timesteps
from oracle import Pair, relative
from oracle_auraflow import transformer
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from nodes.models.auraflow.transformer import velocity
from nodes.models.family import find
from nodes.models.load import load_transformer
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

PROMPTS = ["an astronaut hatches from an egg on the moon", "oil painting of two sailing boats, warm palette"]
NEGATIVES = ["blurry, low quality", "watermark"]
LATENTS = 2e-5
"""Largest difference of a latent, which is about 1 in size and up to 20 with guidance. Measured: 1e-5 at most."""


def draw(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loaded(theirs: torch.nn.Module, folder: Path) -> Any:
    theirs.save_pretrained(folder / "transformer")
    return load_transformer(find(folder / "transformer"), torch.float32)


def both(theirs: Any, net: Any, cells: tuple[int, int] = (6, 10), filled: int = 5, length: int = 24) -> float:
    """One evaluation by each: not square, t different per call, text with zeroes behind it."""
    x, text = draw(2, 4, *cells), draw(2, length, net.config.text_width, seed=6)
    text[0, filled:], text[1, filled + 2 :] = 0, 0
    worst = 0.0
    for t in (0.7311, 0.0030):
        at = torch.tensor([t]).expand(2)
        expected = theirs(x, encoder_hidden_states=text, timestep=at, return_dict=False)[0]
        worst = max(worst, relative(velocity(net, {"text": text}, x.shape, [t])(x, t), expected))
    return worst


def test_the_transformer(aura: Pair) -> None:
    assert both(aura.pipe.transformer, aura.net) <= 5e-6
    assert both(aura.pipe.transformer, aura.net, (16, 16)) <= 5e-6


def test_transformers_of_other_depths_widths_and_grids(varied_aura: Pair) -> None:
    assert both(varied_aura.pipe.transformer, varied_aura.net, (14, 4)) <= 5e-6


@pytest.mark.parametrize("cells", [(6, 6), (2, 16), (10, 14), (14, 2)])
def test_positions_are_cut_from_the_middle_even_where_it_is_between_two(cells: tuple[int, int], aura: Pair) -> None:
    """Odd numbers of tokens on an even grid, where ComfyUI's cut is one off."""
    assert both(aura.pipe.transformer, aura.net, cells) <= 5e-6


def test_a_transformer_with_the_real_heads(tmp_path: Path) -> None:
    theirs = transformer(2, num_mmdit_layers=1, num_single_dit_layers=1, num_attention_heads=1, attention_head_dim=256)
    assert both(theirs, loaded(theirs, tmp_path)) <= 5e-6


@pytest.mark.parametrize("filled", [0, 1, 20, 22])
def test_text_without_zeroes_and_of_zeroes_alone(filled: int, aura: Pair) -> None:
    assert both(aura.pipe.transformer, aura.net, filled=filled) <= 5e-6


def shrunk(theirs: Any) -> Any:
    """With these weights a hundred times smaller, so that the epsilons of the norms behind them count."""
    small = ("to_q.", "to_k.", "add_q_proj.", "add_k_proj.", "pos_embed.", "context_embedder.", "register_tokens")
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            if any(part in name for part in small):
                p.mul_(0.01)
    return theirs


def test_epsilons_are_right_and_the_gate_notices_a_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = shrunk(transformer(3))
    net = loaded(theirs, tmp_path)
    assert both(theirs, net) <= 2e-5
    monkeypatch.setattr("nodes.models.auraflow.transformer.EPS", 1e-6)
    assert both(theirs, net) > 1e-3


def test_the_gates_notice_what_is_easily_wrong(aura: Pair, tmp_path: Path) -> None:
    """Halves of the last modulation, the branches of a feed-forward, text and image of a block, missing registers."""
    theirs = aura.pipe.transformer

    def wrong(change: Any) -> float:
        net = loaded(theirs, tmp_path)
        with torch.no_grad():
            change(net)
        return both(theirs, net)

    def swapped(net: Any) -> None:
        net.modF[1].weight.data = net.modF[1].weight.roll(len(net.modF[1].weight) // 2, 0)

    def branches(net: Any) -> None:
        mlp = net.single_layers[0].mlp
        mlp.c_fc1, mlp.c_fc2 = mlp.c_fc2, mlp.c_fc1

    assert min(wrong(swapped), wrong(branches), wrong(lambda net: net.register_tokens.zero_())) > 1e-3


def test_an_original_file_gives_the_same_network(aura: Pair, tmp_path: Path) -> None:
    """In-memory names are the original ones, so our state dict is an original file."""
    save_file(aura.net.state_dict(), tmp_path / "aura.safetensors")
    found = find(tmp_path / "aura.safetensors", {"num_attention_heads": 4})
    assert both(aura.pipe.transformer, load_transformer(found, torch.float32)) <= 5e-6


def test_bfloat16_is_as_near_as_rounding_allows(aura: Pair, tmp_path: Path) -> None:
    theirs = transformer(0).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "transformer")
    net = load_transformer(find(tmp_path / "transformer"), torch.bfloat16)
    x, text = draw(2, 4, 6, 10).bfloat16(), draw(2, 24, 48).bfloat16()
    expected = theirs(x, encoder_hidden_states=text, timestep=torch.tensor([0.73]).bfloat16().expand(2))[0]
    assert relative(velocity(net, {"text": text}, x.shape, [0.73])(x, 0.73), expected) <= 2e-2


def test_the_autoencoder_both_ways(aura: Pair) -> None:
    z, picture = draw(2, 4, 6, 10) * 2, draw(2, 3, 48, 80).clamp(-1, 1)
    assert relative(aura.vae.decode(z), aura.pipe.vae.decode(z).sample) <= 1e-5
    assert relative(aura.vae.encode(picture)[0], aura.pipe.vae.encode(picture).latent_dist.mean) <= 1e-5
    assert relative(aura.vae.unscaled(z), z / 0.13025) <= 1e-6


@pytest.mark.parametrize("length", [12, 64, 256])
def test_the_text_encoder(length: int, aura: Pair, varied_aura: Pair) -> None:
    for pair in (aura, varied_aura):
        text, _, negative, _ = pair.pipe.encode_prompt(PROMPTS, NEGATIVES, max_sequence_length=length)
        assert relative(pair.text(PROMPTS, max_length=length).tensors["text"], text) <= 1e-5
        assert relative(pair.text(NEGATIVES, max_length=length).tensors["text"], negative) <= 1e-5


def test_text_that_is_cut_off_is_said(aura: Pair) -> None:
    tensors, notes = aura.text(PROMPTS, max_length=8)
    assert tensors["text"].shape[1] == 8 and len(notes) == 2 and "Pile-T5 reads 8 tokens" in notes[0]


def test_a_text_ends_and_does_not_begin_whatever_the_folder_says(aura: Pair) -> None:
    theirs = AutoTokenizer.from_pretrained(aura.folder / "tokenizer")
    tokens = aura.text.umt5_tokenizer.read(PROMPTS, 60)
    for row, mask, prompt in zip(tokens.ids, tokens.mask, PROMPTS, strict=True):
        assert row[mask.bool()].tolist() == theirs(prompt)["input_ids"]
        assert row[0] != theirs.bos_token_id and row[mask.sum() - 1] == theirs.eos_token_id


@pytest.mark.parametrize("steps", [1, 4, 20, 50, [1.0, 0.6, 0.3]], ids=str)
@pytest.mark.parametrize("shift", [1.73, 1.0, 4.0])
def test_sigmas_are_shifted_as_the_pipeline_shifts_them(steps: int | list[float], shift: float) -> None:
    """Twice at the end of usual ones, once for given ones."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    given = {"sigmas": steps} if isinstance(steps, list) else {"num_inference_steps": steps}
    retrieve_timesteps(scheduler, device="cpu", **given)
    ours = torch.tensor(Schedule(shift=shift, spacing="normal").sigmas(steps, 0))
    assert torch.equal(ours, scheduler.sigmas)


def test_sigmas_are_those_the_specification_lists() -> None:
    usual = Schedule(shift=1.73, spacing="normal").sigmas(4, 0)
    assert np.allclose(usual, [1, 0.776236, 0.465096, 0.0029869, 0], atol=1e-6)
    assert np.allclose(Schedule(shift=1.73).sigmas([1, 0.6, 0.3], 0), [1, 0.72184, 0.42576, 0], atol=1e-5)


def ours(
    pair: Pair,
    x: Tensor,
    positive: dict[str, Tensor],
    negative: dict[str, Tensor] | None = None,
    steps: int | list[float] = 3,
    scale: float = 3.5,
) -> Tensor:
    """What a sampler node does, without the node: → latents (B, 4, h, w)."""
    solver = SOLVERS["euler"]
    sigmas = pair.schedule.sigmas(steps, 0)

    def speak(told: Any, shape: Any) -> Any:
        return velocity(pair.net, told, shape, visited(solver, sigmas))

    v = speak(positive, x.shape) if negative is None else cfg_of(speak, positive, negative, x.shape, scale)
    *_, last = sample(v, x, sigmas, solver)
    return last.x


def theirs(pair: Pair, **arguments: Any) -> Tensor:
    usual = {"num_inference_steps": 3, "max_sequence_length": 40, "output_type": "latent", "height": 64, "width": 96}
    return pair.pipe(**(usual | arguments)).images


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / max(1.0, float(theirs.abs().max())))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texts(pair: Pair, prompts: list[str]) -> dict[str, Tensor]:
    return pair.text(prompts, max_length=40).tensors


def test_a_picture_from_a_prompt(aura: Pair, varied_aura: Pair) -> None:
    for pair in (aura, varied_aura):
        latent = ours(pair, noise((1, 4, 8, 12), 5), texts(pair, PROMPTS[:1]), texts(pair, [""]))
        assert worst(latent, theirs(pair, prompt=PROMPTS[0], generator=seeded(5))) <= LATENTS


def test_pixels(aura: Pair) -> None:
    latent = ours(aura, noise((1, 4, 8, 12), 5), texts(aura, PROMPTS[:1]), texts(aura, [""]))
    picture = (aura.vae.decode(aura.vae.unscaled(latent)) / 2 + 0.5).clamp(0, 1)
    assert worst(picture, theirs(aura, prompt=PROMPTS[0], generator=seeded(5), output_type="pt")) <= 1e-5


def test_without_guidance(aura: Pair) -> None:
    latent = ours(aura, noise((1, 4, 8, 12), 5), texts(aura, PROMPTS[:1]))
    assert worst(latent, theirs(aura, prompt=PROMPTS[0], generator=seeded(5), guidance_scale=1.0)) <= LATENTS


def test_two_prompts_two_negatives_two_pictures_each_with_their_own_seeds(aura: Pair) -> None:
    latent = ours(aura, noise((4, 4, 8, 12), [1, 2, 3, 4]), texts(aura, PROMPTS), texts(aura, NEGATIVES), scale=6.0)
    arguments = {"prompt": PROMPTS, "negative_prompt": NEGATIVES, "num_images_per_prompt": 2, "guidance_scale": 6.0}
    assert worst(latent, theirs(aura, generator=[seeded(s) for s in (1, 2, 3, 4)], **arguments)) <= LATENTS


def test_one_negative_for_a_batch_of_one_seed(aura: Pair) -> None:
    latent = ours(aura, noise((2, 4, 8, 12), 9), texts(aura, PROMPTS), texts(aura, NEGATIVES[:1]))
    arguments = {"prompt": PROMPTS, "negative_prompt": NEGATIVES[0], "generator": seeded(9)}
    assert worst(latent, theirs(aura, **arguments)) <= LATENTS


@pytest.mark.parametrize("size", [(16, 16), (48, 112), (128, 80), (128, 128)])
def test_other_sizes_up_to_the_whole_grid(size: tuple[int, int], aura: Pair) -> None:
    shape = (1, 4, size[0] // 8, size[1] // 8)
    latent = ours(aura, noise(shape, 2), texts(aura, PROMPTS[:1]), texts(aura, [""]), steps=2)
    arguments = {"prompt": PROMPTS[0], "generator": seeded(2), "num_inference_steps": 2}
    assert worst(latent, theirs(aura, height=size[0], width=size[1], **arguments)) <= LATENTS


def test_given_sigmas_latents_and_embeddings(aura: Pair) -> None:
    start, text, negative = noise((1, 4, 8, 12), 8), texts(aura, PROMPTS[1:]), texts(aura, NEGATIVES[:1])
    latent = ours(aura, start, text, negative, steps=[1.0, 0.6, 0.3])
    embeds, mask, away, away_mask = aura.pipe.encode_prompt(PROMPTS[1], NEGATIVES[0], max_sequence_length=40)
    arguments = {
        "prompt_embeds": embeds, "prompt_attention_mask": mask, "negative_prompt_embeds": away,
        "negative_prompt_attention_mask": away_mask, "latents": start, "sigmas": [1.0, 0.6, 0.3],
        "num_inference_steps": None,
    }  # fmt: skip
    assert worst(latent, theirs(aura, **arguments)) <= LATENTS


def test_the_padded_length_is_part_of_the_picture(aura: Pair) -> None:
    x = noise((1, 4, 8, 12), 5)
    short, long = (aura.text(PROMPTS[:1], max_length=n).tensors for n in (60, 90))
    assert worst(ours(aura, x, short), ours(aura, x, long)) > 100 * LATENTS
