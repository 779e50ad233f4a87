"""Our noise levels against diffusers' FlowMatchEulerDiscreteScheduler, called the way its Flux pipelines call it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift, retrieve_timesteps
from diffusers.utils.torch_utils import randn_tensor
from oracle import DEV

from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule, last_steps


def theirs(config: dict[str, Any], steps: int | list[float], tokens: int) -> torch.Tensor:
    scheduler = FlowMatchEulerDiscreteScheduler(**config)
    c = scheduler.config
    mu = calculate_shift(tokens, c.base_image_seq_len, c.max_image_seq_len, c.base_shift, c.max_shift)
    given = np.linspace(1.0, 1 / steps, steps) if isinstance(steps, int) else steps
    retrieve_timesteps(scheduler, len(given), "cpu", sigmas=given, mu=mu)
    return scheduler.sigmas


@pytest.mark.parametrize(
    "config",
    [
        {}, {"shift": 3.0}, DEV, DEV | {"time_shift_type": "linear"}, DEV | {"shift_terminal": 0.1},
        {"use_karras_sigmas": True}, DEV | {"use_karras_sigmas": True}, DEV | {"use_exponential_sigmas": True},
        {"shift": 1.73, "base_shift": 0.3, "max_shift": 1.3, "use_dynamic_shifting": True}, {"invert_sigmas": True},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("tokens", [96, 256, 4096, 6120])
@pytest.mark.parametrize("steps", [1, 4, 20, 28, 50, [1.0, 0.6, 0.3], [0.9, 0.2]], ids=str)
def test_sigmas(config: dict[str, Any], tokens: int, steps: int | list[float]) -> None:
    if "shift_terminal" in config and steps == 1:
        pytest.skip("one step cannot both start at 1 and end at the terminal level")
    ours = torch.tensor(Schedule.from_config(config).sigmas(steps, tokens))
    assert torch.equal(ours, theirs(config, steps, tokens))


@pytest.mark.parametrize("strength", [0.04, 0.3, 0.5, 0.6, 0.77, 1.0])
@pytest.mark.parametrize("steps", [4, 7, 28])
def test_strength_keeps_the_steps_diffusers_keeps(strength: float, steps: int) -> None:
    kept = steps - int(max(steps - min(steps * strength, steps), 0))
    sigmas = Schedule().sigmas(steps, 0)
    if kept:
        assert last_steps(sigmas, strength) == sigmas[-kept - 1 :]


def test_noise_is_what_diffusers_draws() -> None:
    shape = (3, 16, 8, 6)
    one = randn_tensor(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float32)
    assert torch.equal(noise(shape, 7), one)
    several = randn_tensor(shape, generator=[torch.Generator().manual_seed(s) for s in (1, 2, 3)], dtype=torch.float32)
    assert torch.equal(noise(shape, [1, 2, 3]), several)
    half = randn_tensor(shape, generator=torch.Generator().manual_seed(7), dtype=torch.bfloat16)
    assert torch.equal(noise(shape, 7).bfloat16(), half)
