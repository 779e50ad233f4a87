"""Whole pictures against diffusers' Flux pipelines: same folder, same arguments, latents and pixels compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxImg2ImgPipeline, FluxInpaintPipeline
from oracle import Pair, relative
from PIL import Image
from torch import Tensor

from nodes.models.autoencoders.kl import drawn
from nodes.models.flux1.transformer import pack, unpack, velocity
from nodes.models.sampling.guidance import cfg, latent_mask, masked
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise, noised
from nodes.models.sampling.schedule import last_steps
from nodes.models.sampling.solvers import SOLVERS

PROMPTS = ["an astronaut hatches from an egg on the moon", "oil painting of two sailing boats, warm palette"]
NEGATIVES = ["blurry, low quality", "watermark"]
LIMIT = 2e-5
"""Largest difference of a latent; latents are about 1 in size. Measured: 7e-6 at most."""


def ours(
    pair: Pair,
    x: Tensor,
    positive: dict[str, Tensor],
    negative: dict[str, Tensor] | None = None,
    steps: int | list[float] = 4,
    guidance: float = 3.5,
    true_cfg: float = 1.0,
    strength: float = 1.0,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """What a sampler node does, without the node: → latents (B, C, h, w)."""
    solver = SOLVERS["euler"]
    sigmas = last_steps(pair.schedule.sigmas(steps, x.shape[2] * x.shape[3] // 4), strength)
    asked = visited(solver, sigmas)
    v = velocity(pair.net, positive, x.shape, asked, guidance)
    if negative is not None:
        v = cfg(v, velocity(pair.net, negative, x.shape, asked, guidance), true_cfg)
    if known is not None:
        latent, mask = known
        v = masked(v, latent, mask)
    *_, last = sample(v, x, sigmas, solver)
    return last.x


def pixels(pair: Pair, latent: Tensor) -> Tensor:
    return (pair.vae.decode(pair.vae.unscaled(latent)) / 2 + 0.5).clamp(0, 1)


def theirs(pipe: Any, height: int, width: int, **arguments: Any) -> Tensor:
    packed = pipe(height=height, width=width, output_type="latent", max_sequence_length=24, **arguments).images
    return unpack(packed, height // 16 * 2, width // 16 * 2)


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_schnell_and_dev_from_a_prompt(schnell: Pair, dev: Pair) -> None:
    for pair, steps in ((schnell, 4), (dev, 5)):
        text = pair.text(PROMPTS[:1], max_length=24).tensors
        latent = ours(pair, noise((1, 16, 12, 8), 5), text, steps=steps)
        expected = theirs(pair.pipe, 96, 64, prompt=PROMPTS[0], num_inference_steps=steps, generator=seeded(5))
        assert worst(latent, expected) <= LIMIT


def test_other_depths_and_widths(varied: Pair) -> None:
    text = varied.text(PROMPTS[:1], max_length=24).tensors
    latent = ours(varied, noise((1, 16, 8, 14), 6), text, steps=3, guidance=2.0)
    arguments = {"prompt": PROMPTS[0], "num_inference_steps": 3, "generator": seeded(6), "guidance_scale": 2.0}
    assert worst(latent, theirs(varied.pipe, 64, 112, **arguments)) <= LIMIT


def test_pixels(dev: Pair) -> None:
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    picture = pixels(dev, ours(dev, noise((1, 16, 12, 8), 5), text))
    arguments = {"num_inference_steps": 4, "generator": seeded(5), "max_sequence_length": 24, "output_type": "pt"}
    expected = dev.pipe(PROMPTS[0], height=96, width=64, **arguments).images
    assert worst(picture, expected) <= LIMIT


def test_two_prompts_two_pictures_each_with_their_own_seeds(dev: Pair) -> None:
    text = dev.text(PROMPTS, PROMPTS[::-1], max_length=24).tensors
    latent = ours(dev, noise((4, 16, 6, 10), [1, 2, 3, 4]), text, steps=3)
    arguments = {
        "prompt": PROMPTS, "prompt_2": PROMPTS[::-1], "num_inference_steps": 3, "num_images_per_prompt": 2,
        "generator": [seeded(s) for s in (1, 2, 3, 4)],
    }  # fmt: skip
    assert worst(latent, theirs(dev.pipe, 48, 80, **arguments)) <= LIMIT


def test_one_seed_draws_a_whole_batch(schnell: Pair) -> None:
    text = schnell.text(PROMPTS[:1], max_length=24).tensors
    latent = ours(schnell, noise((3, 16, 6, 10), 9), text, steps=2)
    arguments = {"num_inference_steps": 2, "num_images_per_prompt": 3, "generator": seeded(9)}
    assert worst(latent, theirs(schnell.pipe, 48, 80, prompt=PROMPTS[0], **arguments)) <= LIMIT


def test_true_guidance_by_a_negative_prompt(dev: Pair, schnell: Pair) -> None:
    for pair in (dev, schnell):
        positive = pair.text(PROMPTS, max_length=24).tensors
        negative = pair.text(NEGATIVES, max_length=24).tensors
        latent = ours(pair, noise((2, 16, 8, 12), 3), positive, negative, steps=3, true_cfg=4.0)
        arguments = {"prompt": PROMPTS, "negative_prompt": NEGATIVES, "true_cfg_scale": 4.0, "num_inference_steps": 3}
        assert worst(latent, theirs(pair.pipe, 64, 96, generator=seeded(3), **arguments)) <= LIMIT


def test_a_negative_may_be_shorter_than_the_prompt(dev: Pair) -> None:
    positive, negative = (dev.text([PROMPTS[0]], max_length=n).tensors for n in (24, 16))
    x = noise((1, 16, 8, 8), 3)
    both, alone = (ours(dev, x, positive, n, steps=2, true_cfg=2.0) for n in (negative, None))
    assert both.shape == alone.shape and worst(both, alone) > 1e-3


def test_given_sigmas_are_shifted_like_the_usual_ones(dev: Pair) -> None:
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    latent = ours(dev, noise((1, 16, 8, 8), 2), text, steps=[1.0, 0.6, 0.3])
    arguments = {"prompt": PROMPTS[0], "sigmas": [1.0, 0.6, 0.3], "generator": seeded(2)}
    assert worst(latent, theirs(dev.pipe, 64, 64, **arguments)) <= LIMIT


def test_given_latents_and_embeddings(dev: Pair) -> None:
    text = dev.text(PROMPTS[1:], max_length=24).tensors
    start = noise((1, 16, 10, 6), 8)
    latent = ours(dev, start, text, steps=3)
    arguments = {"prompt_embeds": text["text"], "pooled_prompt_embeds": text["pooled"], "latents": pack(start)}
    assert worst(latent, theirs(dev.pipe, 80, 48, num_inference_steps=3, **arguments)) <= LIMIT


def test_odd_sizes_are_floored_by_diffusers_to_what_we_are_given(dev: Pair) -> None:
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    latent = ours(dev, noise((1, 16, 8, 12), 4), text, steps=2)
    packed = dev.pipe(
        PROMPTS[0], height=72, width=100, num_inference_steps=2, generator=seeded(4), max_sequence_length=24,
        output_type="latent",
    ).images  # fmt: skip
    assert worst(latent, unpack(packed, 8, 12)) <= LIMIT


def photograph() -> Image.Image:
    rows, columns = np.mgrid[0:96, 0:64]
    colors = np.stack((rows * 2, columns * 3, (rows * columns) % 255), axis=-1)
    return Image.fromarray(colors.astype(np.uint8))


def encoded(pair: Pair, generator: torch.Generator) -> Tensor:
    """The photograph as a scaled latent, drawn from the posterior as diffusers' image pipelines draw it."""
    picture = torch.from_numpy(np.array(photograph())).permute(2, 0, 1)[None] / 127.5 - 1
    return pair.vae.scaled(drawn(*pair.vae.encode(picture), generator))


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_image_to_image(dev: Pair, strength: float) -> None:
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    generator = seeded(12)  # the latent is drawn before the noise, from the same one
    known = encoded(dev, generator)
    start = noise((1, 16, 12, 8), generator)
    sigmas = last_steps(dev.schedule.sigmas(5, 24), strength)
    latent = ours(dev, noised(known, start, sigmas[0]), text, steps=5, strength=strength)
    pipe = FluxImg2ImgPipeline(**dev.pipe.components)
    pipe.set_progress_bar_config(disable=True)
    arguments = {"prompt": PROMPTS[0], "image": photograph(), "strength": strength, "guidance_scale": 3.5}
    expected = theirs(pipe, 96, 64, num_inference_steps=5, generator=seeded(12), **arguments)
    assert worst(latent, expected) <= LIMIT


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting(dev: Pair, strength: float) -> None:
    mask = np.zeros((96, 64), np.uint8)
    mask[16:60, 8:40] = 255
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    generator = seeded(13)
    known = encoded(dev, generator)
    start = noise((1, 16, 12, 8), generator)
    sigmas = last_steps(dev.schedule.sigmas(5, 24), strength)
    where = latent_mask(torch.from_numpy(mask)[None] / 255, 12, 8)
    x = noised(known, start, sigmas[0])
    latent = ours(dev, x, text, steps=5, strength=strength, known=(known, where))
    pipe = FluxInpaintPipeline(**dev.pipe.components)
    pipe.set_progress_bar_config(disable=True)
    arguments = {"image": photograph(), "mask_image": Image.fromarray(mask), "strength": strength}
    expected = theirs(
        pipe, 96, 64, prompt=PROMPTS[0], num_inference_steps=5, generator=seeded(13), guidance_scale=3.5, **arguments
    )
    assert worst(latent, expected) <= LIMIT


def test_tiny_pictures_differ_when_anything_does(dev: Pair) -> None:
    """The limit has teeth: guidance off by 1 %, or a seed, moves latents by far more than it."""
    text = dev.text(PROMPTS[:1], max_length=24).tensors
    x = noise((1, 16, 8, 8), 2)
    usual = ours(dev, x, text)
    assert worst(ours(dev, x, text, guidance=3.535), usual) > 100 * LIMIT
    assert relative(ours(dev, noise((1, 16, 8, 8), 3), text), usual) > 0.1
