"""The sampling loop, as a generator a node can drive. Knows neither what a velocity is made of nor what x shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nodes.models.sampling.noise import stream
from nodes.models.sampling.solvers import Solver, Velocity


@dataclass(frozen=True, slots=True)
class Step:
    """Where the loop is after a step.

    index, total   1-based count of finished steps, and how many there will be
    sigma          noise level of x now
    x              (B, C, h, w)
    clean          (B, C, h, w) the newest estimate of the end, x − σ·v, for previews
    """

    index: int
    total: int
    sigma: float
    x: Tensor
    clean: Tensor


def sample(
    velocity: Velocity, x: Tensor, sigmas: list[float], solver: Solver, seed: int | list[int] = 0
) -> Iterator[Step]:
    """Walk x (B, C, h, w) down `sigmas` (falling, usually to 0); one Step per interval.

    x is stepped in float32 whatever the model computes in. `seed` is read by solvers that add noise only; their noise
    does not repeat the noise that x began with when that was drawn from the same seed.
    """
    newest = x

    def watched(x: Tensor, sigma: float) -> Tensor:
        nonlocal newest
        v = velocity(x, sigma)
        newest = x - sigma * v
        return v

    x = x.float()
    fresh = (stream(tuple(x.shape), seed, x.device),) if solver.random else ()
    with torch.no_grad():
        states = solver(watched, x, sigmas, *fresh)
        for index, (sigma, state) in enumerate(zip(sigmas[1:], states, strict=True), start=1):
            yield Step(index, len(sigmas) - 1, sigma, state, newest)


def visited(solver: Solver, sigmas: list[float]) -> list[float]:
    """Every σ the solver will ask for, in order, without repeats: found by running it on one number.

    What a model makes from σ alone can then be made before the loop.
    """
    seen: list[float] = []

    def note(x: Tensor, sigma: float) -> Tensor:
        seen.append(sigma)
        return torch.zeros_like(x)

    x = torch.zeros(1)
    fresh = ((lambda: x),) if solver.random else ()
    for _ in solver(note, x, sigmas, *fresh):
        pass
    return list(dict.fromkeys(seen))
