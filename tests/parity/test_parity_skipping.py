"""Skipped evaluations against diffusers' caches on Flux.1: the same tokens, step for step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import FirstBlockCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks import HookRegistry
from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS, MagCacheConfig
from oracle import Pair
from torch import Tensor

from nodes.models.flux1.defaults import MAGNITUDES
from nodes.models.flux1.transformer import image_ids, pack, text_ids, velocity
from nodes.models.sampling.noise import noise
from nodes.models.sampling.skipping import FirstBlock, Magnitude, Skipping, Skips, Taylor

LIMIT = 2e-5
"""Largest difference of a velocity, which is about 1 in size. Measured: 6e-6 at most."""
CALLS = 16
SIGMAS = [1 - number / CALLS for number in range(CALLS)]
CASES: list[tuple[Skipping, Any]] = [
    (FirstBlock(0.45), FirstBlockCacheConfig(threshold=0.45)),
    (FirstBlock(0.7), FirstBlockCacheConfig(threshold=0.7)),
    *(
        (
            Taylor(interval, begin, order),
            TaylorSeerCacheConfig(
                cache_interval=interval, disable_cache_before_step=begin, max_order=order,
                taylor_factors_dtype=torch.float32, use_lite_mode=True,
            ),
        )
        for interval, begin, order in ((5, 3, 1), (3, 4, 2), (2, 2, 0))
    ),
    *(
        (
            Magnitude(MAGNITUDES, threshold, most),
            MagCacheConfig(
                threshold=threshold, max_skip_steps=most, num_inference_steps=CALLS, mag_ratios=FLUX_MAG_RATIOS
            ),
        )
        for threshold, most in ((0.06, 3), (0.24, 5))
    ),
]  # fmt: skip


def test_the_curve_of_flux_is_the_published_one() -> None:
    torch.testing.assert_close(torch.tensor(MAGNITUDES), FLUX_MAG_RATIOS)


@pytest.mark.parametrize(("way", "config"), CASES, ids=[str(way) for way, _ in CASES])
def test_every_evaluation_is_diffusers(dev: Pair, way: Skipping, config: Any) -> None:
    text = dev.text(["a red fox"], max_length=12).tensors
    x, step = noise((1, 16, 8, 8), 3), -1.0 / CALLS
    skips = Skips(way)
    ours = skips.over(dev.net, velocity(dev.net, text, x.shape, SIGMAS, 3.5), CALLS)
    model = dev.pipe.transformer
    model.enable_cache(config)
    try:
        worst = 0.0
        for sigma in SIGMAS:
            v = ours(x, sigma)
            theirs = called(model, x, text, sigma)
            worst = max(worst, float((pack(v) - theirs).abs().max()))
            x = x + step * v
    finally:
        model.disable_cache()
        HookRegistry.check_if_exists_or_initialize(model).reset_stateful_hooks()
    assert 0 < skips.states[0].skipped < CALLS - 1, "a case in which nothing or all is skipped compares nothing"
    assert worst <= LIMIT


@torch.no_grad()
def called(model: Any, x: Tensor, text: dict[str, Tensor], sigma: float) -> Tensor:
    with model.cache_context("cond"):
        return model(
            hidden_states=pack(x), timestep=torch.tensor([sigma]), guidance=torch.tensor([3.5]),
            pooled_projections=text["pooled"], encoder_hidden_states=text["text"],
            txt_ids=text_ids(text["text"].shape[1]), img_ids=image_ids(4, 4), return_dict=False,
        )[0]  # fmt: skip
