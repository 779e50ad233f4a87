"""The Flux.2 starter: diffusers opens its folder as a klein pipeline, and draws and edits what we draw and edit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from oracle_flux2 import Pair, ours
from PIL import Image as Pillow
from test_parity_flux2_pipelines import reference, seeded
from torch import Tensor

import nodes.models.starter
from nodes.models.autoencoders.flux2 import unpatchify
from nodes.models.flux2.tokens import pack
from nodes.models.flux2.transformer import velocity
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS
from nodes.models.starter.edits import drawn
from nodes.models.starter.grammar import Scene, Thing

FOLDER = Path(nodes.models.starter.__file__).parent / "flux2"
LAYERS = (1, 2, 3)
LIMIT = 1e-4

pytestmark = pytest.mark.skipif(not (FOLDER / "model_index.json").is_file(), reason="the starter is not in this copy")


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "starter.json").read_text())
    return found


@pytest.fixture(scope="module")
def starter() -> Iterator[Pair]:
    pipe = Flux2KleinPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    yield Pair(pipe, FOLDER, *ours(FOLDER))


def painted(pair: Pair, told: dict[str, Any], prompt: str, shown: Tensor | None = None, steps: int = 4) -> Tensor:
    """Latents (1, 64, 8, 8)."""
    schedule = Schedule.from_config(pair.pipe.scheduler.config)
    x, solver, sigmas = noise((1, 64, 8, 8), 1), SOLVERS["euler"], schedule.sigmas(steps, 64)
    pictures = {} if shown is None else {"reference.0": shown}
    text = pair.text([prompt], max_length=told["max_sequence_length"]).tensors
    v = velocity(pair.net, text | pictures, x.shape, visited(solver, sigmas))
    *_, last = sample(v, x, sigmas, solver)
    return last.x


def theirs(pair: Pair, told: dict[str, Any], prompt: str, steps: int = 4, **more: Any) -> Tensor:
    """The autoencoder's own latents (1, 16, 16, 16), which is what klein's pipeline gives."""
    latents: Tensor = pair.pipe(
        prompt=prompt, height=128, width=128, num_inference_steps=steps, guidance_scale=told["true_cfg_scale"],
        max_sequence_length=told["max_sequence_length"], text_encoder_out_layers=LAYERS, generator=seeded(1),
        output_type="latent", **more,
    ).images  # fmt: skip
    return latents


def unscaled(pair: Pair, latent: Tensor) -> Tensor:
    return unpatchify(pair.vae.unscaled(latent))


def picture() -> Pillow.Image:
    scene = Scene((Thing("circle", "red", "large", 3), Thing("square", "blue", "small", 5)), "yellow")
    return Pillow.fromarray(drawn(scene, "parity"))


@pytest.mark.parametrize("text", ["a red circle on a grey background", "Three small rings at the top.", ""])
def test_the_text_is_read_the_same(starter: Pair, told: dict[str, Any], text: str) -> None:
    length = told["max_sequence_length"]
    embeds, _ = starter.pipe.encode_prompt(text, max_sequence_length=length, text_encoder_out_layers=LAYERS)
    with torch.no_grad():
        read = starter.text([text], max_length=length).tensors["text"]
    assert float((read - embeds.detach()).abs().max()) <= LIMIT


def test_a_drawing_is_the_same_through_both(starter: Pair, told: dict[str, Any]) -> None:
    prompt = told["prompts"][0]
    assert (
        float((unscaled(starter, painted(starter, told, prompt)) - theirs(starter, told, prompt)).abs().max()) <= LIMIT
    )


def test_an_edit_is_the_same_through_both(starter: Pair, told: dict[str, Any]) -> None:
    prompt, shown = told["instructions"][0], picture()
    latent = painted(starter, told, prompt, reference(starter, shown))
    assert float((unscaled(starter, latent) - theirs(starter, told, prompt, image=[shown])).abs().max()) <= LIMIT


def test_the_picture_that_is_shown_counts(starter: Pair, told: dict[str, Any]) -> None:
    """An edit without its picture, or of another, is another picture."""
    prompt, shown = told["instructions"][0], picture()
    other = Pillow.fromarray(np.full((128, 128, 3), 250, np.uint8))
    with_it = painted(starter, told, prompt, reference(starter, shown))
    assert float((with_it - painted(starter, told, prompt)).abs().mean()) > 0.05
    assert float((with_it - painted(starter, told, prompt, reference(starter, other))).abs().mean()) > 0.05


def test_pixels_are_the_same(starter: Pair) -> None:
    latent = reference(starter, picture())
    mine = starter.vae.decode(starter.vae.unscaled(latent))
    their = starter.pipe.vae.decode(unscaled(starter, latent)).sample.detach()
    assert float((mine.detach() - their).abs().max()) <= LIMIT
    assert pack(latent).shape == (1, 64, 64)
