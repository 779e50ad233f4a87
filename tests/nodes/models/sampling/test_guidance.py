"""Velocities made from velocities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nodes.models.sampling.guidance import cfg, latent_mask, masked
from nodes.models.sampling.loop import sample
from nodes.models.sampling.noise import noise, noised
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS


def towards(x: Tensor, sigma: float) -> Tensor:
    return torch.sin(3 * x) + sigma


def away(x: Tensor, sigma: float) -> Tensor:
    return torch.cos(2 * x) - sigma


def test_guidance_goes_from_the_negative_through_the_positive() -> None:
    x = noise((1, 2, 4, 4), 1)
    expected = away(x, 0.4) + 3.0 * (towards(x, 0.4) - away(x, 0.4))
    assert torch.equal(cfg(towards, away, 3.0)(x, 0.4), expected)


def test_a_scale_of_one_never_asks_the_negative() -> None:
    def never(x: Tensor, sigma: float) -> Tensor:
        raise AssertionError

    assert cfg(towards, never, 1.0) is towards


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_what_is_known_comes_out_as_it_was_with_every_solver(name: str, strength: float) -> None:
    known, start = noise((2, 4, 6, 6), 1), noise((2, 4, 6, 6), 2)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 2:5, 1:4] = 1
    sigmas = [s * strength for s in Schedule().sigmas(6, 0)]
    velocity = masked(towards, known, mask)
    *_, last = sample(velocity, noised(known, start, sigmas[0]), sigmas, SOLVERS[name])
    *_, free = sample(towards, noised(known, start, sigmas[0]), sigmas, SOLVERS[name])
    inside = mask.bool().expand_as(known)
    assert torch.allclose(last.x[~inside], known[~inside], atol=1e-5)
    assert torch.allclose(last.x[inside], free.x[inside], atol=1e-5)


def test_a_half_mask_lies_half_way() -> None:
    known, start = noise((1, 4, 6, 6), 1), noise((1, 4, 6, 6), 2)
    slope = masked(towards, known, torch.full((1, 1, 6, 6), 0.5))(start, 1.0)
    assert torch.allclose(slope, (towards(start, 1.0) + start - known) / 2, atol=1e-6)


def test_a_mask_in_pixels_becomes_one_in_cells() -> None:
    mask = torch.zeros(1, 32, 48)
    mask[:, 8:16, 16:48] = 1
    cells = latent_mask(mask, 4, 6)
    assert cells.shape == (1, 1, 4, 6)
    assert cells[0, 0, 1, 2:].eq(1).all() and cells.sum() == 4
