"""The loop: what it tells after each step, that it stops when told, that it knows which sigmas will be asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS

SIGMAS = Schedule(shift=3.0).sigmas(5, 0)


class Recorded:
    """A velocity towards 0.5 that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.asked.append(sigma)
        return (x - 0.5) / max(sigma, 1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_visited_names_every_sigma_that_is_asked_for(name: str) -> None:
    velocity = Recorded()
    list(sample(velocity, noise((1, 2, 4, 4), 1), SIGMAS, SOLVERS[name], seed=1))
    assert list(dict.fromkeys(velocity.asked)) == visited(SOLVERS[name], SIGMAS)


def test_each_step_says_where_it_is_and_what_the_end_will_be() -> None:
    steps = list(sample(Recorded(), noise((1, 2, 4, 4), 1), SIGMAS, SOLVERS["euler"]))
    assert [(step.index, step.total) for step in steps] == [(i, 5) for i in range(1, 6)]
    assert [step.sigma for step in steps] == SIGMAS[1:]
    assert all(torch.allclose(step.clean, torch.tensor(0.5), atol=1e-5) for step in steps)
    assert torch.allclose(steps[-1].x, torch.tensor(0.5), atol=1e-5)


def test_closing_the_loop_ends_the_work() -> None:
    velocity = Recorded()
    steps = sample(velocity, noise((1, 2, 4, 4), 1), SIGMAS, SOLVERS["euler"])
    next(steps)
    steps.close()
    assert len(velocity.asked) == 1


def test_x_is_stepped_in_float32_whatever_came() -> None:
    steps = list(sample(Recorded(), noise((1, 2, 4, 4), 1).bfloat16(), SIGMAS, SOLVERS["heun"]))
    assert steps[-1].x.dtype == torch.float32


@pytest.mark.parametrize("name", [name for name, solver in SOLVERS.items() if solver.random])
def test_a_random_solver_repeats_itself_by_seed_and_image_by_image(name: str) -> None:
    def end(seed: int | list[int], count: int) -> Tensor:
        x = noise((count, 2, 4, 4), [5] * count)
        *_, last = sample(lambda x, s: x - 0.3 * x**2, x, SIGMAS, SOLVERS[name], seed)
        return last.x

    assert torch.equal(end(3, 2), end(3, 2))
    assert not torch.equal(end(3, 2), end(4, 2))
    assert torch.equal(end([3, 4], 2)[1:], end([4], 1))
