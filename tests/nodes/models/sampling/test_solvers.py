"""Solvers: what they claim about order and cost is measured, on equations whose solution is known."""

from __future__ import annotations

import importlib.util
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nodes.models.sampling.solvers import SOLVERS, Solver, solvers_in

STRAIGHT = {name: solver for name, solver in SOLVERS.items() if not solver.random}
RANDOM = {name: solver for name, solver in SOLVERS.items() if solver.random}


def bent(x: Tensor, sigma: float) -> Tensor:
    """dx/dσ = σ²·x² + cos 5σ·x, solved through (0.9, 1) by Bernoulli's substitution u = 1/x."""
    return sigma**2 * x**2 + math.cos(5 * sigma) * x


def exact(sigma: float) -> float:
    """u' = −cos 5σ·u − σ², u(0.9) = 1, by the integrating factor e^(sin 5σ / 5), on a fine grid."""
    s = np.linspace(0.9, sigma, 200001)
    factor = np.exp(np.sin(5 * s) / 5)
    integral = np.sum((factor * s**2)[:-1] + (factor * s**2)[1:]) / 2 * (s[1] - s[0])
    return float(factor[-1] / (factor[0] - integral))


def end(solver: Solver, steps: int) -> float:
    sigmas = np.linspace(0.9, 0.1, steps + 1).tolist()
    *_, x = solver(bent, torch.ones(1, dtype=torch.float64), sigmas)
    return float(x)


@pytest.mark.parametrize("name", STRAIGHT)
def test_halving_the_step_divides_the_error_as_its_order_says(name: str) -> None:
    solver = STRAIGHT[name]
    errors = [abs(end(solver, steps) - exact(0.1)) for steps in (40, 80, 160)]
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert min(orders) > solver.order - 0.25, orders
    assert max(orders) < solver.order + 0.6, orders


@pytest.mark.parametrize("name", SOLVERS)
def test_a_step_costs_as_many_calls_as_it_says(name: str) -> None:
    solver, calls = SOLVERS[name], 0

    def counted(x: Tensor, sigma: float) -> Tensor:
        nonlocal calls
        calls += 1
        return x

    fresh = (lambda: torch.zeros(2),) if solver.random else ()
    states = list(solver(counted, torch.ones(2), [1.0, 0.8, 0.6, 0.4], *fresh))
    assert len(states) == 3
    assert calls == 3 * solver.calls


@pytest.mark.parametrize("name", STRAIGHT)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_straight_path_is_followed_exactly_from_noise_to_the_end(name: str, steps: int) -> None:
    """When x₀ is known, so is every point of the way, in any number of steps from σ = 1 to 0."""
    clean, noise = torch.tensor([0.3, -1.2], dtype=torch.float64), torch.tensor([1.1, 0.4], dtype=torch.float64)
    sigmas = np.linspace(1, 0, steps + 1).tolist()
    velocity = lambda x, sigma: (x - clean) / sigma if sigma else noise - clean  # noqa: E731
    for sigma, x in zip(sigmas[1:], STRAIGHT[name](velocity, noise, sigmas), strict=True):
        assert torch.allclose(x, sigma * noise + (1 - sigma) * clean, atol=1e-12)


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_solver_keeps_the_mean_and_the_variance_of_the_path(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, many = 0.7, 200_000
    x = torch.randn(many, generator=generator)
    fresh = lambda: torch.randn(many, generator=generator)  # noqa: E731
    sigmas = [1.0, 0.75, 0.5, 0.2, 0.0]
    states = RANDOM[name](lambda x, s: (x - clean) / s, x, sigmas, fresh)
    for sigma, state in zip(sigmas[1:], states, strict=True):
        assert abs(float(state.mean()) - (1 - sigma) * clean) < 0.01
        assert abs(float(state.std()) - sigma) < 0.01


def test_a_new_solver_is_one_function_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from itertools import pairwise\n"
        "from nodes.models.sampling.solvers import solver\n\n"
        "@solver('Mine')\n"
        "def mine(velocity, x, sigmas):\n"
        "    for now, after in pairwise(sigmas):\n"
        "        x = x + (after - now) * velocity(x, now)\n"
        "        yield x\n"
    )
    spec = importlib.util.spec_from_file_location("mine", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = solvers_in(vars(module))
    assert list(found) == ["mine"] and found["mine"].title == "Mine"
    assert end(found["mine"], 10) == end(SOLVERS["euler"], 10)
