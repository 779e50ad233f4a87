"""Our Lumina-Next against diffusers' on the same weights, in float32: the networks, positions, whole pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.embeddings import get_2d_rotary_pos_embed_lumina
from oracle import Pair, relative
from oracle_lumina import transformer
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from graph_runtime.problem import Refused
from nodes.models.family import find
from nodes.models.load import load_transformer
from nodes.models.lumina.positions import frequencies, table
from nodes.models.lumina.transformer import velocity
from nodes.models.sampling.guidance import cfg_of
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

PROMPTS = ["an astronaut hatches from an egg on the moon", "oil painting, warm palette"]
NEGATIVES = ["blurry, low quality", "watermark"]
LATENTS = 2e-5
"""Largest difference of a latent over its largest number."""


def draw(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loaded(theirs: torch.nn.Module, folder: Path) -> Any:
    theirs.save_pretrained(folder / "transformer")
    return load_transformer(find(folder / "transformer"), torch.float32)


def both(
    theirs: Any, net: Any, cells: tuple[int, int] = (6, 10), filled: int = 5, length: int = 16, **options: Any
) -> float:
    """One evaluation by each: not square, several t, text with padding; options as for `velocity`."""
    c = net.config
    x, text, mask = draw(2, 4, *cells), draw(2, length, c.text_width, seed=6), torch.ones(2, length, dtype=torch.long)
    mask[0, filled:], mask[1, filled + 2 :] = 0, 0
    stretch = math.sqrt(cells[0] * cells[1] / c.side**2)
    base = (c.side // 2) ** 2 if options.get("proportional", True) else None
    worst = 0.0
    for sigma in (0.9, 0.5, 0.003):
        t = 1 - torch.tensor(sigma) * 1000 / 1000
        early = t < options.get("watershed", 1.0)
        factors = {"linear_factor": stretch if early else 1.0, "ntk_factor": 1.0 if early else stretch}
        expected = theirs(
            x, encoder_hidden_states=text, encoder_mask=mask, timestep=t.expand(2), return_dict=False,
            image_rotary_emb=get_2d_rotary_pos_embed_lumina(theirs.head_dim, 384, 384, **factors),
            cross_attention_kwargs={"base_sequence_length": base},
        )[0][:, :4]  # fmt: skip
        ours = velocity(net, {"text": text, "mask": mask}, x.shape, [sigma], **options)(x, sigma)
        worst = max(worst, relative(ours, -expected))
    return worst


@pytest.mark.parametrize("watershed", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("proportional", [True, False])
def test_the_transformer(watershed: float, proportional: bool, lumina: Pair) -> None:
    options = {"watershed": watershed, "proportional": proportional}
    assert both(lumina.pipe.transformer, lumina.net, **options) <= 1e-5
    assert both(lumina.pipe.transformer, lumina.net, (20, 24), **options) <= 1e-5


def test_transformers_of_other_depths_widths_and_heads(varied_lumina: Pair) -> None:
    assert both(varied_lumina.pipe.transformer, varied_lumina.net, (14, 4)) <= 1e-5


@pytest.mark.parametrize("changes", [{"qk_norm": False}, {"learn_sigma": False}, {"num_kv_heads": 4}], ids=str)
def test_transformers_without_something(changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = transformer(2, **changes)
    net = loaded(theirs, tmp_path)
    assert (net.config.qk_norm, net.config.out_channels) == (changes.get("qk_norm", True), theirs.out_channels)
    assert both(theirs, net) <= 1e-5


def test_a_transformer_with_the_real_heads(tmp_path: Path) -> None:
    theirs = transformer(2, num_layers=1, hidden_size=144, num_attention_heads=2, num_kv_heads=1)
    assert both(theirs, loaded(theirs, tmp_path)) <= 1e-5


@pytest.mark.parametrize("filled", [1, 14])
def test_padding_is_not_read(filled: int, lumina: Pair) -> None:
    assert both(lumina.pipe.transformer, lumina.net, filled=filled) <= 1e-5


def shrunk(theirs: Any) -> Any:
    """With these weights a hundred times smaller, so that the epsilons of the norms behind them count."""
    small = ("to_q.weight", "to_k.weight", "patch_embedder.", "to_out.", "linear_2.weight")
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            if any(part in name for part in small) and "time_caption" not in name:
                p.mul_(0.01)
    return theirs


def test_epsilons_are_right_and_the_gate_notices_a_wrong_one(tmp_path: Path) -> None:
    theirs = shrunk(transformer(3))
    net = loaded(theirs, tmp_path)
    assert both(theirs, net) <= 2e-5
    for block in net.layers:
        block.attention.q_norm.eps = 1e-6
    assert both(theirs, net) > 1e-4


def test_the_gates_notice_what_is_easily_wrong(lumina: Pair, tmp_path: Path) -> None:
    """Norms before and behind exchanged, gates of heads, branches of a feed-forward, the norm of the text's keys."""
    theirs = lumina.pipe.transformer

    def wrong(change: Any) -> float:
        net = loaded(theirs, tmp_path)
        with torch.no_grad():
            change(net.layers[0])
        return both(theirs, net)

    def norms(block: Any) -> None:
        block.attention_norm1, block.attention_norm2 = block.attention_norm2, block.attention_norm1

    def branches(block: Any) -> None:
        block.feed_forward.w1, block.feed_forward.w3 = block.feed_forward.w3, block.feed_forward.w1

    def keys(block: Any) -> None:
        block.attention.ky_norm = block.attention.k_norm

    changes = (norms, branches, keys, lambda block: block.attention.gate.copy_(block.attention.gate.flip(0)))
    assert min(wrong(change) for change in changes) > 1e-3


def test_queries_that_are_no_copies_are_refused(tmp_path: Path) -> None:
    theirs = transformer(4)
    with torch.no_grad():
        theirs.layers[1].attn2.to_q.weight[3, 5] += 0.01
    with pytest.raises(Refused, match=r"layers\.1\.attn2\.to_q\.weight"):
        loaded(theirs, tmp_path)


def test_an_original_file_gives_the_same_network(lumina: Pair, tmp_path: Path) -> None:
    """In-memory names are the original ones, so our state dict is an original file, which diffusers cannot read."""
    save_file(lumina.net.state_dict(), tmp_path / "consolidated_ema.00-of-01.safetensors")
    found = find(tmp_path / "consolidated_ema.00-of-01.safetensors", {"sample_size": 16})
    assert both(lumina.pipe.transformer, load_transformer(found, torch.float32)) <= 1e-5


def test_bfloat16_is_as_near_as_rounding_allows(tmp_path: Path) -> None:
    theirs = transformer(0).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "transformer")
    net = load_transformer(find(tmp_path / "transformer"), torch.bfloat16)
    x, text, mask = draw(2, 4, 16, 16).bfloat16(), draw(2, 8, 48).bfloat16(), torch.ones(2, 8, dtype=torch.long)
    expected = theirs(
        x, encoder_hidden_states=text, encoder_mask=mask, timestep=torch.tensor([0.27, 0.27]), return_dict=False,
        image_rotary_emb=get_2d_rotary_pos_embed_lumina(theirs.head_dim, 384, 384),
        cross_attention_kwargs={"base_sequence_length": 64},
    )[0][:, :4]  # fmt: skip
    assert relative(velocity(net, {"text": text, "mask": mask}, x.shape, [0.73])(x, 0.73), -expected) <= 3e-2


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("watershed", [0.0, 0.3, 1.0])
def test_positions(stretch: float, watershed: float) -> None:
    for t in (0.0, 0.29999, 0.31, 0.999):
        factors = {"linear_factor": stretch} if t < watershed else {"ntk_factor": stretch}
        expected = get_2d_rotary_pos_embed_lumina(72, 20, 20, **factors)[:7, :11].flatten(0, 1)
        each = frequencies(36, stretch, t, 64, "watershed", watershed)
        assert (table(7, 11, each) - expected).abs().max() <= 1e-6


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[1:], ["a " * 300]], ids=["two", "one", "too long"])
def test_the_text_encoder(prompts: list[str], lumina: Pair, varied_lumina: Pair) -> None:
    """Before the last layer, which is not even loaded; padding on the other side, which is not read."""
    for pair in (lumina, varied_lumina):
        text, mask, *_ = pair.pipe.encode_prompt(prompts)
        tensors, notes = pair.text(prompts)
        assert tensors["text"].shape == text.shape and len(notes) == (len(prompts[0]) > 300)
        for ours, seen, theirs, real in zip(tensors["text"], tensors["mask"], text, mask, strict=True):
            assert relative(ours[seen.bool()], theirs[real.bool()]) <= 1e-5


def test_a_text_begins_and_does_not_end(lumina: Pair) -> None:
    theirs = AutoTokenizer.from_pretrained(lumina.folder / "tokenizer")
    tokens = lumina.text.gemma_tokenizer.read(PROMPTS, 256, 8)
    for row, mask, prompt in zip(tokens.ids, tokens.mask, PROMPTS, strict=True):
        assert row[mask.bool()].tolist() == theirs(prompt)["input_ids"] and row[0] == theirs.bos_token_id
    assert lumina.text([""]).tensors["mask"].tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]


def test_small_letters_are_the_prompt_s_and_not_the_negative_s(lumina: Pair) -> None:
    loud = ["An ASTRONAUT"]
    text, mask, negative, cut = lumina.pipe.encode_prompt(loud, negative_prompt=loud)
    small, asked = lumina.text(loud).tensors, lumina.text(loud, lower=False).tensors
    assert relative(small["text"][small["mask"].bool()], text[mask.bool()]) <= 1e-5
    assert relative(asked["text"][0, : int(cut.sum())], negative[cut.bool()]) <= 1e-5
    assert relative(asked["text"][0, 1:8], small["text"][0, 1:8]) > 0.1


def ours(
    pair: Pair,
    x: Tensor,
    positive: dict[str, Tensor],
    negative: dict[str, Tensor] | None = None,
    steps: int | list[float] = 3,
    scale: float = 4.0,
    channels: int = 3,
    solver: str = "euler",
    **options: Any,
) -> Tensor:
    """What a sampler node does, without the node: → latents (B, 4, h, w)."""
    method = SOLVERS[solver]
    sigmas = pair.schedule.sigmas(steps, 0)

    def speak(told: Any, shape: Any) -> Any:
        return velocity(pair.net, told, shape, visited(method, sigmas), **options)

    v = speak(positive, x.shape) if negative is None else cfg_of(speak, positive, negative, x.shape, scale, channels)
    *_, last = sample(v, x, sigmas, method)
    return last.x


def theirs(pair: Pair, **arguments: Any) -> Tensor:
    usual = {"num_inference_steps": 3, "output_type": "latent", "height": 64, "width": 96, "clean_caption": False}
    return pair.pipe(**(usual | arguments)).images


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / max(1.0, float(theirs.abs().max())))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texts(pair: Pair, prompts: list[str], **more: Any) -> dict[str, Tensor]:
    return pair.text(prompts, **more).tensors


def test_a_picture_from_a_prompt_with_shifts_of_one_and_four(lumina: Pair, varied_lumina: Pair) -> None:
    for pair in (lumina, varied_lumina):
        latent = ours(pair, noise((1, 4, 8, 12), 5), texts(pair, PROMPTS[:1]), texts(pair, [""]))
        assert worst(latent, theirs(pair, prompt=PROMPTS[0], generator=seeded(5))) <= LATENTS


def test_pixels(lumina: Pair) -> None:
    latent = ours(lumina, noise((1, 4, 8, 12), 5), texts(lumina, PROMPTS[:1]), texts(lumina, [""]))
    picture = (lumina.vae.decode(lumina.vae.unscaled(latent)) / 2 + 0.5).clamp(0, 1)
    expected = theirs(lumina, prompt=PROMPTS[0], generator=seeded(5), output_type="pt")
    assert worst(picture, expected) <= 2e-5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"guidance_scale": 1.0}, None),
        ({"proportional_attn": False}, {"proportional": False}),
        ({"scaling_watershed": 0.3}, {"watershed": 0.3}),
        ({"height": 160, "width": 320, "scaling_watershed": 0.3}, {"watershed": 0.3}),
        ({"height": 256, "width": 128}, {}),
        ({"height": 32, "width": 32}, {}),
        ({"negative_prompt": "blurry", "guidance_scale": 6.0}, {"scale": 6.0}),
        ({"sigmas": [1.0, 0.6, 0.3], "num_inference_steps": None}, {"steps": [1.0, 0.6, 0.3]}),
    ],
    ids=lambda option: "-".join(option) if isinstance(option, dict) else "",
)
def test_every_option(given: dict[str, Any], told: dict[str, Any] | None, lumina: Pair) -> None:
    shape = (1, 4, given.get("height", 64) // 8, given.get("width", 96) // 8)
    negative = None if told is None else texts(lumina, [given.get("negative_prompt", "")], lower=False)
    latent = ours(lumina, noise(shape, 7), texts(lumina, PROMPTS[:1]), negative, **(told or {}))
    assert worst(latent, theirs(lumina, prompt=PROMPTS[0], generator=seeded(7), **given)) <= LATENTS


def test_given_latents_and_embeddings(lumina: Pair) -> None:
    start = noise((1, 4, 8, 12), 8)
    embeds, mask, away, away_mask = lumina.pipe.encode_prompt(PROMPTS[:1], negative_prompt=NEGATIVES[:1])
    latent = ours(lumina, start, {"text": embeds, "mask": mask}, {"text": away, "mask": away_mask})
    arguments = {
        "prompt_embeds": embeds, "prompt_attention_mask": mask, "negative_prompt_embeds": away,
        "negative_prompt_attention_mask": away_mask, "latents": start,
    }  # fmt: skip
    assert worst(latent, theirs(lumina, **arguments)) <= LATENTS


def test_two_prompts_of_different_length(lumina: Pair) -> None:
    latent = ours(lumina, noise((2, 4, 8, 12), [1, 2]), texts(lumina, PROMPTS), texts(lumina, NEGATIVES, lower=False))
    arguments = {"prompt": PROMPTS, "negative_prompt": NEGATIVES, "generator": [seeded(1), seeded(2)]}
    assert worst(latent, theirs(lumina, **arguments)) <= LATENTS


def test_several_pictures_of_each_prompt_keep_their_own_masks(lumina: Pair) -> None:
    """diffusers tiles the masks (m₀ m₁ m₀ m₁) where it repeats the texts (p₀ p₀ p₁ p₁): its pictures 1 and 2 are wrong.

    Ours are those of the four prompts written out, which diffusers paints right.
    """
    seeds = [1, 2, 3, 4]
    latent = ours(lumina, noise((4, 4, 8, 12), seeds), texts(lumina, PROMPTS), texts(lumina, [""]))
    written_out = [prompt for prompt in PROMPTS for _ in range(2)]
    right = theirs(lumina, prompt=written_out, generator=[seeded(s) for s in seeds])
    assert worst(latent, right) <= LATENTS
    tiled = theirs(lumina, prompt=PROMPTS, num_images_per_prompt=2, generator=[seeded(s) for s in seeds])
    assert [worst(latent[i], tiled[i]) <= LATENTS for i in range(4)] == [True, False, False, True]


def test_a_negative_longer_than_the_prompt_is_read_to_its_end(lumina: Pair) -> None:
    """diffusers cuts it to the padded length of the prompt."""
    x, positive = noise((1, 4, 8, 12), 5), texts(lumina, ["a"])
    long = "a very long text of what is not to be seen"
    cut = texts(lumina, [long], lower=False, max_length=positive["text"].shape[1])
    expected = theirs(lumina, prompt="a", negative_prompt=long, generator=seeded(5))
    assert worst(ours(lumina, x, positive, cut), expected) <= LATENTS
    assert worst(ours(lumina, x, positive, texts(lumina, [long])), expected) > 100 * LATENTS


def test_guidance_of_all_channels_is_another_picture(lumina: Pair) -> None:
    x, positive, negative = noise((1, 4, 8, 12), 5), texts(lumina, PROMPTS[:1]), texts(lumina, [""])
    three, four = (ours(lumina, x, positive, negative, channels=n, steps=[1.0]) for n in (3, 0))
    assert torch.allclose(three[:, :3], four[:, :3], atol=1e-5) and not torch.allclose(three[:, 3], four[:, 3])


@pytest.mark.parametrize("factor", [1.0, 4.0, 6.0])
@pytest.mark.parametrize("steps", [5, 30])
def test_the_authors_time_steps_are_a_shift(factor: float, steps: int) -> None:
    """t' = t / (t + f − f·t) for t from 0 to 1 is a shift of f."""
    t = torch.linspace(0, 1, steps)
    original = 1 - t / (t + factor - factor * t)
    given = np.linspace(1, 0, steps)[:-1].tolist()
    assert np.allclose(Schedule(shift=factor).sigmas(given, 0), original.numpy(), atol=1e-6)


def test_midpoint_asks_twice_in_a_step_as_the_authors_solver_does(lumina: Pair) -> None:
    """Two steps by hand: x + h·v(x + h/2·v(x, t), t + h/2)."""
    x, told = noise((1, 4, 8, 12), 5), texts(lumina, PROMPTS[:1])
    latent = ours(lumina, x, told, steps=[1.0, 0.5], solver="midpoint")
    for now, after in ((1.0, 0.5), (0.5, 0.0)):
        middle = (now + after) / 2
        v = velocity(lumina.net, told, x.shape, [now, middle])
        x = x + (after - now) * v(x + (after - now) / 2 * v(x, now), middle)
    assert torch.allclose(latent, x, atol=1e-5)
