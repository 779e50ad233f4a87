"""Whole pictures against diffusers' Flux.2 pipelines: same folder, same arguments, latents and pixels compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle_flux2 as made
import pytest
import torch
from diffusers import Flux2KleinKVPipeline, Flux2Pipeline
from oracle import relative
from oracle_flux2 import Pair
from PIL import Image as Pillow
from torch import Tensor
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from nodes.language import seen_picture
from nodes.models.encoders.pixtral import Config as Eye
from nodes.models.flux2.tokens import pack, unpack
from nodes.models.flux2.transformer import velocity
from nodes.models.sampling.guidance import cfg
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS
from nodes.pictures import as_picture, as_pixels
from nodes.reference import scaled_down
from nodes.sockets import Image

PROMPTS = ["a hermit crab on a sunlit beach", "two cats and three dogs, Grüße 42"]
LENGTH = 128
LIMIT = 2e-5
"""Largest difference of a latent; latents are about 1 in size. Measured: 3.1e-6 at most."""


def ours(
    pair: Pair,
    x: Tensor,
    positive: dict[str, Tensor],
    negative: dict[str, Tensor] | None = None,
    steps: int | list[float] = 4,
    guidance: float = 4.0,
    scale: float = 1.0,
    counted: int = 0,
    references_once: bool = False,
) -> Tensor:
    """What a sampler node does, without the node: → latents (B, C, h, w)."""
    solver = SOLVERS["euler"]
    sigmas = Schedule(dynamic=True, empirical=True).sigmas(steps, x.shape[2] * x.shape[3], counted)
    asked = visited(solver, sigmas)
    v = velocity(pair.net, positive, x.shape, asked, guidance, references_once=references_once)
    if negative is not None:
        v = cfg(v, velocity(pair.net, negative, x.shape, asked, guidance), scale)
    *_, last = sample(v, x, sigmas, solver)
    return last.x


def start(pair: Pair, count: int, height: int, width: int, seeds: int | list[int]) -> Tensor:
    """Noise for pictures of that size."""
    return noise((count, pair.net.config.in_channels, height // 16, width // 16), seeds)


def theirs(pipe: Any, height: int | None = None, width: int | None = None, **arguments: Any) -> Tensor:
    """Packed latents (B, N, C), normalised; klein's are unpacked and not."""
    usual = {"output_type": "latent", "max_sequence_length": LENGTH, "num_inference_steps": 4}
    latents: Tensor = pipe(height=height, width=width, **(usual | arguments)).images
    return latents


def worst(ours: Tensor, theirs: Tensor) -> float:
    theirs = unpack(theirs, *ours.shape[2:]) if theirs.ndim == 3 else theirs
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def text(pair: Pair, prompts: list[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = pair.text(prompts, max_length=LENGTH).tensors
    return found


def picture(width: int, height: int, seed: int = 1) -> Pillow.Image:
    """Smooth, with a hard edge."""
    coarse = np.random.default_rng(seed).integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), np.uint8)
    whole = np.array(Pillow.fromarray(coarse).resize((width, height), Pillow.Resampling.BICUBIC))
    whole[height // 3 : height // 3 + 6, :, 0] = 255
    return Pillow.fromarray(whole)


def reference(pair: Pair, shown: Pillow.Image, count: int = 1) -> Tensor:
    """Its latent, as the node Reference image makes it: the middle of whole cells, the mean of the encoder."""
    wide, high = (side // 16 * 16 for side in shown.size)
    left, top = (shown.width - wide) // 2, (shown.height - high) // 2
    pixels = as_pixels(shown.crop((left, top, left + wide, top + high))).movedim(-1, 1) * 2 - 1
    with torch.no_grad():
        latent: Tensor = pair.vae.scaled(pair.vae.encode(pixels)[0])
    return latent.expand(count, -1, -1, -1)


def test_dev_from_a_prompt(flux2: Pair, flux2_varied: Pair) -> None:
    for pair in (flux2, flux2_varied):
        for guidance in (4.0, 2.5):
            latent = ours(pair, start(pair, 1, 64, 96, 7), text(pair, PROMPTS[:1]), guidance=guidance)
            arguments = {"prompt": PROMPTS[0], "guidance_scale": guidance, "generator": seeded(7)}
            assert worst(latent, theirs(pair.pipe, 64, 96, **arguments)) <= LIMIT


def test_pixels(flux2: Pair) -> None:
    latent = ours(flux2, start(flux2, 1, 64, 96, 7), text(flux2, PROMPTS[:1]))
    with torch.no_grad():
        decoded = (flux2.vae.decode(flux2.vae.unscaled(latent)) / 2 + 0.5).clamp(0, 1)
    expected = theirs(flux2.pipe, 64, 96, prompt=PROMPTS[0], generator=seeded(7), output_type="pt")
    assert worst(decoded, expected) <= LIMIT


def test_given_sigmas_are_shifted_as_for_fifty_steps(flux2: Pair) -> None:
    given = [1.0, 0.83, 0.5, 0.21, 0.05]
    latent = ours(flux2, start(flux2, 1, 96, 64, 3), text(flux2, PROMPTS[1:]), steps=given, counted=50)
    arguments = {"prompt": PROMPTS[1], "sigmas": given, "num_inference_steps": 50, "generator": seeded(3)}
    assert worst(latent, theirs(flux2.pipe, 96, 64, **arguments)) <= LIMIT


def test_two_prompts_two_pictures_each_with_their_own_seeds(flux2: Pair) -> None:
    latent = ours(flux2, start(flux2, 4, 64, 64, [11, 12, 13, 14]), text(flux2, PROMPTS))
    generators = [seeded(s) for s in (11, 12, 13, 14)]
    arguments = {"prompt": PROMPTS, "num_images_per_prompt": 2, "generator": generators}
    assert worst(latent, theirs(flux2.pipe, 64, 64, **arguments)) <= LIMIT


def test_one_seed_draws_a_whole_batch(flux2: Pair) -> None:
    latent = ours(flux2, start(flux2, 2, 64, 64, 21), text(flux2, PROMPTS))
    assert worst(latent, theirs(flux2.pipe, 64, 64, prompt=PROMPTS, generator=seeded(21))) <= LIMIT


def test_given_latents_and_embeddings(flux2: Pair) -> None:
    tensors, x = text(flux2, PROMPTS[1:]), start(flux2, 1, 80, 48, 8)
    latent = ours(flux2, x, tensors, steps=3)
    arguments = {"prompt_embeds": tensors["text"], "latents": x, "num_inference_steps": 3}
    assert worst(latent, theirs(flux2.pipe, 80, 48, **arguments)) <= LIMIT


def test_odd_sizes_are_floored_by_diffusers_to_what_we_are_given(flux2: Pair) -> None:
    latent = ours(flux2, start(flux2, 1, 64, 96, 4), text(flux2, PROMPTS[:1]))
    assert worst(latent, theirs(flux2.pipe, 70, 100, prompt=PROMPTS[0], generator=seeded(4))) <= LIMIT


def test_one_reference_picture_gives_the_size(flux2: Pair, flux2_varied: Pair) -> None:
    for pair in (flux2, flux2_varied):
        shown = picture(83, 75)
        given = text(pair, ["turn it into an ink drawing"]) | {"reference.0": reference(pair, shown)}
        latent = ours(pair, start(pair, 1, 64, 80, 5), given)
        arguments = {"prompt": "turn it into an ink drawing", "image": shown, "generator": seeded(5)}
        assert worst(latent, theirs(pair.pipe, **arguments)) <= LIMIT


def test_several_references_for_several_prompts(flux2: Pair) -> None:
    shown = [picture(83, 75), picture(128, 70, seed=2)]
    named = {f"reference.{i}": reference(flux2, one, 2) for i, one in enumerate(shown)}
    latent = ours(flux2, start(flux2, 4, 64, 80, 6), text(flux2, PROMPTS) | named)
    arguments = {"prompt": PROMPTS, "image": shown, "num_images_per_prompt": 2, "generator": seeded(6)}
    assert worst(latent, theirs(flux2.pipe, 64, 80, **arguments)) <= LIMIT


def test_their_order_counts(flux2: Pair) -> None:
    shown = [reference(flux2, picture(96, 64)), reference(flux2, picture(96, 64, seed=2))]
    x, words = start(flux2, 1, 64, 96, 6), text(flux2, PROMPTS[:1])
    one, other = (ours(flux2, x, words | {f"reference.{i}": s[i] for i in (0, 1)}) for s in (shown, shown[::-1]))
    assert relative(one, other) > 1e-3


@pytest.mark.parametrize("size", [(1187, 1003), (1024, 1025), (3000, 400)])
def test_a_large_reference_is_scaled_down_as_by_its_makers(size: tuple[int, int], flux2: Pair) -> None:
    shown, processor = picture(*size), flux2.pipe.image_processor
    small = processor._resize_to_target_area(shown, 1024 * 1024)
    ours = as_picture(scaled_down(Image(as_pixels(shown)), 1024 * 1024).pixels[0])
    assert ours.size == small.size
    assert np.array_equal(np.array(ours), np.array(small))


def test_klein_in_four_steps_with_a_reference(klein: Pair) -> None:
    shown = picture(83, 75)
    given = text(klein, PROMPTS[:1]) | {"reference.0": reference(klein, shown)}
    latent = klein.vae.unscaled(ours(klein, start(klein, 1, 64, 80, 5), given))
    expected = theirs(klein.pipe, prompt=PROMPTS[0], image=shown, generator=seeded(5))
    assert worst(latent, Flux2Pipeline._patchify_latents(expected)) <= LIMIT


def test_klein_base_goes_away_from_the_empty_prompt(klein_base: Pair) -> None:
    shown = {"reference.0": reference(klein_base, picture(96, 64), 2)}
    positive, negative = (text(klein_base, prompts) | shown for prompts in (PROMPTS, ["", ""]))
    x = start(klein_base, 2, 64, 64, 9)
    latent = klein_base.vae.unscaled(ours(klein_base, x, positive, negative, scale=3.0))
    arguments = {"prompt": PROMPTS, "image": picture(96, 64), "guidance_scale": 3.0, "generator": seeded(9)}
    expected = theirs(klein_base.pipe, 64, 64, **arguments)
    assert worst(latent, Flux2Pipeline._patchify_latents(expected)) <= LIMIT


def test_klein_that_looks_at_references_once(klein: Pair) -> None:
    """The pipeline of klein's KV models, which keeps the references' keys and values from its first step."""
    pipe = Flux2KleinKVPipeline(**klein.pipe.components)
    pipe.set_progress_bar_config(disable=True)
    shown = [picture(83, 75), picture(128, 70, seed=2)]
    named = {f"reference.{i}": reference(klein, one) for i, one in enumerate(shown)}
    x, words = start(klein, 1, 64, 80, 5), text(klein, PROMPTS[:1])
    latent = klein.vae.unscaled(ours(klein, x, words | named, references_once=True))
    expected = theirs(pipe, 64, 80, prompt=PROMPTS[0], image=shown, generator=seeded(5))
    assert worst(latent, Flux2Pipeline._patchify_latents(expected)) <= LIMIT
    assert relative(klein.vae.unscaled(ours(klein, x, words | named)), latent) > 1e-3, "it is not the same"
    assert torch.equal(ours(klein, x, words), ours(klein, x, words, references_once=True))


def generated(pipe: Any, inputs: dict[str, Any], temperature: float, seed: int) -> list[int]:
    """What transformers' generate writes, as the pipeline calls it."""
    torch.manual_seed(seed)
    ids = pipe.text_encoder.generate(**inputs, max_new_tokens=16, do_sample=True, temperature=temperature)
    return list(ids[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("temperature", [0.15, 1.2])
def test_a_prompt_is_rewritten_word_for_word(temperature: float, flux2: Pair) -> None:
    writer, pipe = made.whole_encoder(flux2.folder), flux2.pipe
    words = [{"role": "system", "content": [{"type": "text", "text": pipe.system_message_upsampling_t2i}]}]
    words.append({"role": "user", "content": [{"type": "text", "text": PROMPTS[0]}]})
    inputs = pipe.tokenizer.apply_chat_template(
        words, tokenize=True, return_dict=True, return_tensors="pt", padding="max_length", max_length=700
    )
    expected = pipe.tokenizer.decode(generated(pipe, inputs, temperature, 3), skip_special_tokens=True)
    assert writer.rewritten(PROMPTS[0], (), temperature, seed=3, most=16) == expected


@pytest.mark.parametrize("sizes", [[(83, 75)], [(60, 90), (128, 70)], [(900, 700)]], ids=str)
def test_a_prompt_is_rewritten_for_pictures(sizes: list[tuple[int, int]], flux2: Pair) -> None:
    """One, several beside each other, and larger than is looked at. diffusers fails for several (0.42.1)."""
    writer, pipe = made.whole_encoder(flux2.folder), flux2.pipe
    shown = [picture(*size, seed=i) for i, size in enumerate(sizes)]
    seen = seen_picture([as_pixels(one)[0] for one in shown], writer.language.vision)
    sheet = pipe.image_processor.concatenate_images(shown)
    sheet = pipe.image_processor._resize_if_exceeds_area(sheet, pipe.upsampling_max_image_size)
    processor = PixtralImageProcessorPil(size={"longest_edge": 112}, patch_size={"height": 28, "width": 28})
    pixels = processor(sheet, return_tensors="pt")
    assert relative(seen, pixels["pixel_values"].float()) <= 1e-6
    rows, columns = (int(side) // 28 for side in pixels["image_sizes"][0])
    marks = ("[IMG]" * columns + "[IMG_BREAK]") * (rows - 1) + "[IMG]" * columns + "[IMG_END]"
    chat = f"<s>[SYSTEM_PROMPT]{pipe.system_message_upsampling_i2i}[/SYSTEM_PROMPT][INST]{marks}[/INST]"
    asked = pipe.tokenizer(chat + f"[INST]{PROMPTS[0]}[/INST]", add_special_tokens=False, return_tensors="pt")
    inputs = {**asked, "pixel_values": pixels["pixel_values"], "image_sizes": pixels["image_sizes"]}
    expected = pipe.tokenizer.decode(generated(pipe, inputs, 1.0, 4), skip_special_tokens=True)
    assert writer.rewritten(PROMPTS[0], [seen], 1.0, seed=4, most=16) == expected


def test_the_eye_is_transformers(flux2: Pair) -> None:
    """Features of a picture, not only the words they lead to."""
    writer = made.whole_encoder(flux2.folder)
    pixels = made.draw(1, 3, 56, 84)
    features = flux2.pipe.text_encoder.get_image_features(pixels, torch.tensor([[56, 84]])).pooler_output[0]
    assert relative(writer.language.seen(pixels), features) <= 1e-5
    assert Eye().grid(1540, 3080) == (28, 55) and Eye().grid(27, 29) == (1, 2)


def test_bfloat16_stays_near_bfloat16(flux2: Pair) -> None:
    """Latents and pictures of a whole run; diffusers also keeps its latents in bfloat16 between steps."""
    pipe = Flux2Pipeline.from_pretrained(flux2.folder, torch_dtype=torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    half = Pair(pipe, flux2.folder, *made.ours(flux2.folder, torch.bfloat16))
    latent = ours(half, start(half, 1, 64, 96, 7).bfloat16().float(), text(half, PROMPTS[:1]))
    arguments = {"prompt": PROMPTS[0], "generator": seeded(7)}
    expected = unpack(theirs(pipe, 64, 96, **arguments).float(), 4, 6)
    assert worst(latent, expected) <= 0.1
    with torch.no_grad():
        decoded = (half.vae.decode(half.vae.unscaled(latent.bfloat16())).float() / 2 + 0.5).clamp(0, 1)
    picture = theirs(pipe, 64, 96, **arguments | {"generator": seeded(7)}, output_type="pt").float()
    assert float((decoded - picture).abs().max()) <= 0.04


def test_the_limit_has_teeth(flux2: Pair) -> None:
    """Guidance off by 1 %, or a reference at another position, moves latents by far more than the limit."""
    x, words = start(flux2, 1, 64, 64, 2), text(flux2, PROMPTS[:1])
    usual = ours(flux2, x, words)
    assert worst(ours(flux2, x, words, guidance=4.04), usual) > 10 * LIMIT
    shown = {"reference.0": reference(flux2, picture(64, 64))}
    assert worst(ours(flux2, x, words | shown), usual) > 100 * LIMIT
    assert torch.equal(pack(usual)[0, 5], usual[0, :, 1, 1])
