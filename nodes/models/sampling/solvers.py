"""Solvers of dx/dσ = v(x, σ). A new one is one function here, marked with `@solver`; nothing else lists it.

Each is a generator that yields x after every step: the caller owns progress, previews and stopping. None asks the
device for a number, so the device is never waited for. With x₀ = x − σ·v the equation reads dx/dσ = (x − x₀)/σ, which
is solved exactly while x₀ stays the same; the solvers named DPM++, RES and UniPC do so, with λ = −ln σ as their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""(x (B, C, h, w), σ) → v, same shape."""
Fresh = Callable[[], Tensor]
"""New standard normal noise of the shape of x at every call."""


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver and what is true of it.

    order    the error falls like h^order; measured by its test
    calls    evaluations of the velocity per step
    random   it takes `fresh`, a source of noise
    """

    function: Callable[..., Iterator[Tensor]]
    title: str
    order: int
    calls: int
    random: bool

    def __call__(self, velocity: Velocity, x: Tensor, sigmas: list[float], *fresh: Fresh) -> Iterator[Tensor]:
        return self.function(velocity, x, sigmas, *fresh)


def solver(
    title: str, *, order: int = 1, calls: int = 1, random: bool = False
) -> Callable[[Callable[..., Iterator[Tensor]]], Solver]:
    """Mark a generator function (velocity, x, sigmas[, fresh]) → Iterator[x] as a solver."""
    return lambda function: Solver(function, title, order, calls, random)


def solvers_in(names: Mapping[str, Any]) -> dict[str, Solver]:
    """The solvers among a module's names, in the order they were written."""
    return {name: found for name, found in names.items() if isinstance(found, Solver)}


@solver("Euler")
def euler(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """A straight line along the slope. One call per step; error O(h)."""
    for now, after in pairwise(sigmas):
        x = x + (after - now) * velocity(x, now)
        yield x


@solver("Heun", order=2, calls=2)
def heun(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """Euler's step, then the mean of the slopes at both ends; Euler alone down to 0. Two calls per step; error O(h²).

    Karras et al. 2022, arXiv:2206.00364, Algorithm 1, without noise.
    """
    for now, after in pairwise(sigmas):
        slope = velocity(x, now)
        ahead = x + (after - now) * slope
        if after > 0:
            ahead = x + (after - now) * (slope + velocity(ahead, after)) / 2
        x = ahead
        yield x


@solver("Midpoint", order=2, calls=2)
def midpoint(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """The slope half a step ahead. Two calls per step; error O(h²). Runge 1895."""
    for now, after in pairwise(sigmas):
        half = (now + after) / 2
        x = x + (after - now) * velocity(x + (half - now) * velocity(x, now), half)
        yield x


@solver("Adams–Bashforth 2", order=2)
def adams(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """The line through the last two slopes, integrated; steps may differ. One call per step; error O(h²).

    Zhang & Chen 2022, arXiv:2204.13902 §4 (DEIS, order 1 in t).
    """
    before: tuple[float, Tensor] | None = None
    for now, after in pairwise(sigmas):
        slope = velocity(x, now)
        step = after - now
        bend = 0.0 if before is None else step / (2 * before[0])
        x = x + step * (slope if before is None else slope + bend * (slope - before[1]))
        before = (step, slope)
        yield x


@solver("DPM++ 2M", order=2)
def dpmpp_2m(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """Exact in x, x₀ on a line through its last two values; first order down to σ = 0. One call per step; error O(h²).

    Lu et al. 2022, arXiv:2211.01095, Algorithm 2.
    """
    last: tuple[float, Tensor] | None = None
    for now, after in pairwise(sigmas):
        clean = x - now * velocity(x, now)
        width = -math.log(after / now) if after > 0 else math.inf
        aim = clean
        if last is not None and after > 0:
            aim = clean + width / (2 * last[0]) * (clean - last[1])
        x = aim + after / now * (x - aim)
        last = (width, clean)
        yield x


@solver("RES 2S", order=2, calls=2)
def res_2s(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """Exponential Runge–Kutta with a middle stage at √(σσ'); Euler down to σ = 0. Two calls per step; error O(h²).

    Zhang et al. 2023, arXiv:2308.02157 §3.2 (c₂ = ½); Hochbruck & Ostermann 2005, SIAM J. Numer. Anal. 43(3), (5.3).
    """
    for now, after in pairwise(sigmas):
        clean = x - now * velocity(x, now)
        if after > 0:
            half = math.sqrt(now * after)
            middle = clean + half / now * (x - clean)
            there = middle - half * velocity(middle, half)
            h = math.log(now / after)
            phi1 = -math.expm1(-h) / h
            phi2 = (1 - phi1) / h
            clean = clean + 2 * phi2 / phi1 * (there - clean)
        x = clean + after / now * (x - clean)
        yield x


@solver("UniPC 2", order=3)
def unipc(velocity: Velocity, x: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """DPM++ 2M's step, corrected once x₀ at its end is known, which the next step needs anyway. One call; error O(h³).

    Zhao et al. 2023, arXiv:2302.04867, UniPC-2 with B₂(h) = e^h − 1, predicting data.
    """
    past: list[tuple[float, Tensor]] = []  # (λ, x₀), newest last, at most two
    start = x
    for now, after in pairwise(sigmas):
        clean = x - now * velocity(x, now)
        start = _corrected(start, past, now, clean) if past else x
        past = [*past[-1:], (-math.log(now), clean)]
        x = _predicted(start, past, after)
        yield x


def _predicted(x: Tensor, past: list[tuple[float, Tensor]], after: float) -> Tensor:
    """UniP: from the newest of `past` to σ = after."""
    here, clean = past[-1]
    if after == 0:
        return clean
    h = -math.log(after) - here
    aim = clean
    if len(past) == 2:
        aim = clean + 0.5 * h / (here - past[0][0]) * (clean - past[0][1])
    return aim + math.exp(-h) * (x - aim)


def _corrected(x: Tensor, past: list[tuple[float, Tensor]], now: float, new: Tensor) -> Tensor:
    """UniC: the step from the newest of `past` to σ = now again, with x₀ = `new` at its end."""
    here, clean = past[-1]
    h = -math.log(now) - here
    grow = math.expm1(-h)  # B(h), and h·φ₁
    if len(past) == 1:
        aim = clean + 0.5 * (new - clean)
    else:
        ratio = (past[0][0] - here) / h
        first = (grow / -h - 1) / grow
        second = 2 * ((grow / -h - 1) / -h - 0.5) / grow
        weight_old = (first - second) / (1 - ratio)
        weight_new = first - weight_old
        aim = clean + weight_old * (past[0][1] - clean) / ratio + weight_new * (new - clean)
    return aim + math.exp(-h) * (x - aim)


@solver("Euler ancestral", random=True)
def euler_ancestral(velocity: Velocity, x: Tensor, sigmas: list[float], fresh: Fresh) -> Iterator[Tensor]:
    """Euler's step too far, to σ'²/σ, then up to σ' with fresh noise. One call per step.

    The straight-line form of Song et al. 2020, arXiv:2011.13456 §4 (ancestral sampling): x keeps the mean and the
    variance of (1 − σ')·x₀ + σ'·ε.
    """
    for now, after in pairwise(sigmas):
        clean = x - now * velocity(x, now)
        down = after * after / now
        x = clean + down / now * (x - clean)
        if after > 0:
            shrink = (1 - after) / (1 - down)
            x = shrink * x + math.sqrt(max(after**2 - (down * shrink) ** 2, 0.0)) * fresh()
        yield x


@solver("LCM", random=True)
def lcm(velocity: Velocity, x: Tensor, sigmas: list[float], fresh: Fresh) -> Iterator[Tensor]:
    """All the way to x₀, then up to σ' with fresh noise. One call per step; for models distilled to few steps.

    Song et al. 2023, arXiv:2303.01469, Algorithm 1.
    """
    for now, after in pairwise(sigmas):
        x = x - now * velocity(x, now)
        if after > 0:
            x = (1 - after) * x + after * fresh()
        yield x


SOLVERS: dict[str, Solver] = solvers_in(globals())
