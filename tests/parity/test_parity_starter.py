"""The starter checkpoint that comes with the project: diffusers opens its folder and paints what we paint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline
from oracle import Pair, ours
from test_parity_pipelines import ours as painted
from test_parity_pipelines import pixels, seeded, theirs, worst

import nodes.models.starter
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule

FOLDER = Path(nodes.models.starter.__file__).parent / "flux1"
PROMPT = "a red circle on a blue background"
LIMIT = 1e-4

pytestmark = pytest.mark.skipif(not (FOLDER / "model_index.json").is_file(), reason="the starter is not in this copy")


@pytest.fixture(scope="module")
def starter() -> Pair:
    pipe = FluxPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return Pair(pipe, FOLDER, *ours(FOLDER), Schedule.from_config(pipe.scheduler.config))


def test_the_starter_paints_the_same_through_both(starter: Pair) -> None:
    """With the negative it is made for: an empty text and true guidance."""
    recommended = FOLDER / "starter.json"
    scale = json.loads(recommended.read_text()).get("true_cfg_scale", 2.5) if recommended.is_file() else 2.5
    texts = (starter.text([text], max_length=24).tensors for text in (PROMPT, ""))
    latent = painted(starter, noise((1, 16, 16, 16), 1), *texts, steps=4, true_cfg=scale)
    arguments = {"prompt": PROMPT, "negative_prompt": "", "true_cfg_scale": scale, "num_inference_steps": 4}
    expected = theirs(starter.pipe, 128, 128, generator=seeded(1), **arguments)
    assert worst(latent, expected) <= LIMIT
    decoded = starter.pipe.vae.decode(starter.vae.unscaled(expected)).sample / 2 + 0.5
    assert worst(pixels(starter, latent), decoded.clamp(0, 1)) <= LIMIT
