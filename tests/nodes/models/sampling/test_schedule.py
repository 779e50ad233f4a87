"""Schedules: properties that hold for all of them. Equality with diffusers is in tests/parity."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes.models.sampling.schedule import SPACINGS, Schedule, beta_quantile, last_steps


@given(
    steps=st.integers(1, 60),
    tokens=st.integers(4, 20000),
    shift=st.floats(0.3, 12),
    dynamic=st.booleans(),
    spacing=st.sampled_from(list(SPACINGS)),
)
def test_levels_fall_from_one_to_nothing(steps: int, tokens: int, shift: float, dynamic: bool, spacing: str) -> None:
    sigmas = Schedule(shift=shift, dynamic=dynamic, spacing=spacing).sigmas(steps, tokens)
    assert len(sigmas) == steps + 1
    assert abs(sigmas[0] - 1) < 1e-6 and sigmas[-1] == 0
    assert all(now > after for now, after in itertools.pairwise(sigmas))


def test_along_a_sigmoid_steps_are_small_at_both_ends_and_four_times_as_large_between() -> None:
    sigmas = Schedule(spacing="sigmoid").sigmas(200, 0)
    steps = [now - after for now, after in itertools.pairwise(sigmas)]
    assert abs(max(steps) / steps[0] - 4) < 0.1 and abs(steps[0] / steps[-1] - 1) < 0.05
    assert abs(sigmas[100] - 0.5) < 1e-6 and steps.index(max(steps)) in range(98, 102)


def test_larger_pictures_stay_longer_at_high_noise() -> None:
    small, large = (Schedule(dynamic=True).sigmas(8, tokens) for tokens in (256, 8192))
    assert all(a < b for a, b in zip(small[1:-1], large[1:-1], strict=True))


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0])
def test_beta_quantiles_solve_their_equation(p: float) -> None:
    """∫₀ˣ of the density, with t = sin²φ to remove its poles, is p."""
    x = beta_quantile(p, 0.6)
    norm = math.gamma(1.2) / math.gamma(0.6) ** 2
    n, top = 200_000, math.asin(math.sqrt(x))
    midpoints = (top * (i + 0.5) / n for i in range(n))
    below = norm * 2 * top / n * sum((math.sin(a) * math.cos(a)) ** 0.2 for a in midpoints)
    assert abs(below - p) < 2e-6


@pytest.mark.parametrize("steps", [0, -3, [], [0.5, 0.7], [1.2, 0.5], [1.0, 0.0], [0.5, 0.5]], ids=str)
def test_what_does_not_fall_is_refused(steps: int | list[float]) -> None:
    with pytest.raises(Refused, match="falling numbers"):
        Schedule().sigmas(steps, 0)


def test_an_unknown_spacing_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match="karras"):
        Schedule(spacing="kerras").sigmas(4, 0)


def test_a_strength_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="none of the 4 steps"):
        last_steps(Schedule().sigmas(4, 0), 0.0)
