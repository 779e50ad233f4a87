"""Evaluations of a model that are guessed from earlier ones instead of computed: faster, and another picture.

Three ways, each a frozen description whose `started` gives the state of one velocity in one run. They work on the walk
through a transformer's blocks (`layers.passage`) and know no family. With a true CFG in two forwards, each of the two
has a state of its own; in one forward of twice the batch there is one.

What is skipped is skipped for a whole batch at once: where a threshold is compared, the row that changes most decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from nodes.models.layers.passage import End, Walk, going, whole
from nodes.models.sampling.solvers import Velocity


class State(Protocol):
    """What is remembered between evaluations; a `Passage`.

    sigma    of the evaluation that comes, set before it
    calls, skipped   how many there were, and how many of them were guessed
    """

    sigma: float
    calls: int
    skipped: int

    def __call__(self, x: Tensor, walk: Walk, end: End) -> Tensor: ...


class Skipping(Protocol):
    """One of the ways. title: what a person calls it."""

    @property
    def title(self) -> str: ...

    def started(self, calls: int) -> State:
        """A fresh state for a velocity that will be asked at so many different σ."""


@dataclass(frozen=True)
class FirstBlock:
    """When the first block changes the tokens as it did before, the other blocks are taken to do so too.

    threshold  relative change (mean absolute) below which the rest is skipped; 0 never skips

    ParaAttention's "first block cache" (github.com/chengzeyi/ParaAttention), after TeaCache, arXiv:2411.19108.
    """

    threshold: float
    title: str = field(default="First-block cache", init=False)

    def started(self, calls: int) -> State:
        return _FirstBlock(self.threshold)


@dataclass
class _FirstBlock:
    threshold: float
    sigma: float = 1.0
    calls: int = 0
    skipped: int = 0
    change: Tensor | None = None  # what the first block added when the others last ran
    rest: Tensor | None = None  # what the others added then

    def __call__(self, x: Tensor, walk: Walk, end: End) -> Tensor:
        self.calls += 1
        first = next(walk)
        change = first - x
        if self.rest is not None and self._alike(change):
            walk.close()
            self.skipped += 1
            return end(first + self.rest)
        last = first
        for passed in walk:
            last = passed
        self.change, self.rest = change, last - first
        return end(last)

    def _alike(self, change: Tensor) -> bool:
        """Whether it differs by less than the threshold. This waits for the device: the answer decides what runs."""
        if self.change is None or self.change.shape != change.shape or self.threshold <= 0:
            return False
        before = self.change.float()
        differs = (change.float() - before).abs().flatten(1).mean(1) / before.abs().flatten(1).mean(1)
        return bool((differs < self.threshold).all())


@dataclass(frozen=True)
class Taylor:
    """Most evaluations are continued from the last computed ones by a polynomial in σ (TaylorSeer, its "lite" form).

    interval  one of so many evaluations is computed once it has begun; 1 computes all
    begin     evaluations that are computed first
    order     of the polynomial; 0 repeats the last result

    Liu et al. 2025, arXiv:2503.06923 §3, on the output of the model alone. There the variable is the number of the
    step; here it is σ, which is the same for even steps, and right for uneven ones and for several evaluations a step.
    Which evaluations are computed is as in diffusers' `TaylorSeerCacheConfig`.
    """

    interval: int
    begin: int = 3
    order: int = 1
    title: str = field(default="TaylorSeer", init=False)

    def started(self, calls: int) -> State:
        return _Taylor(self)


@dataclass
class _Taylor:
    how: Taylor
    sigma: float = 1.0
    calls: int = 0
    skipped: int = 0
    at: float = math.nan  # σ of the newest computed result
    terms: list[Tensor] = field(default_factory=list)  # it, and its differences per σ, once, twice …

    def __call__(self, x: Tensor, walk: Walk, end: End) -> Tensor:
        step = self.calls
        self.calls += 1
        if not self.terms or step < self.how.begin or (step - self.how.begin - 1) % self.how.interval == 0:
            v = whole(x, walk, end)
            self._learn(v)
            return v
        walk.close()
        self.skipped += 1
        ahead = self.sigma - self.at
        guess = self.terms[0]
        for power, term in enumerate(self.terms[1:], start=1):
            guess = guess + term * (ahead**power / math.factorial(power))
        return guess.to(self.terms[0].dtype)

    def _learn(self, v: Tensor) -> None:
        """Backward differences, as many as there are results for."""
        apart = self.sigma - self.at
        if apart == 0:  # the same σ once more: a second stage
            self.terms[0] = v
            return
        terms, before = [v], self.terms
        for power in range(min(self.how.order, len(before))):
            terms.append((terms[power].float() - before[power].float()) / apart)
        self.terms, self.at = terms, self.sigma


@dataclass(frozen=True)
class Magnitude:
    """Skips while what the blocks add is known to keep its size, by a curve measured once for a model (MagCache).

    ratios     of the size of what the blocks add to that of the evaluation before, first one 1; stretched to the number
               of evaluations. None: computes everything, and measures them
    threshold  sum of errors of skipped evaluations in a row; 0 never skips
    most       skipped in a row
    keep       share of the evaluations at the beginning that are computed

    Ma et al. 2025, arXiv:2506.09045; github.com/Zehong-Ma/MagCache; diffusers `hooks/mag_cache.py`.
    """

    ratios: tuple[float, ...] | None
    threshold: float = 0.06
    most: int = 3
    keep: float = 0.2
    title: str = field(default="MagCache", init=False)

    def started(self, calls: int) -> State:
        ratios = None if self.ratios is None else stretched(self.ratios, calls)
        return _Magnitude(self, ratios, int(self.keep * calls + 0.5))


def stretched(ratios: Sequence[float], length: int) -> tuple[float, ...]:
    """The same curve at another number of points: the nearest of the given ones."""
    if length == 1:
        return (ratios[-1],)
    scale = (len(ratios) - 1) / (length - 1)
    return tuple(ratios[round(number * scale)] for number in range(length))


@dataclass
class _Magnitude:
    how: Magnitude
    ratios: tuple[float, ...] | None
    kept: int
    sigma: float = 1.0
    calls: int = 0
    skipped: int = 0
    change: Tensor | None = None  # what all blocks added when they last ran
    size: float = 1.0  # of what they would add now, in units of that
    error: float = 0.0
    row: int = 0
    measured: list[float] = field(default_factory=list)

    def __call__(self, x: Tensor, walk: Walk, end: End) -> Tensor:
        step = self.calls
        self.calls += 1
        if self.ratios is not None and step >= self.kept and self._skips(step):
            assert self.change is not None
            walk.close()
            self.skipped += 1
            return end(x + self.change)
        last = x
        for passed in walk:
            last = passed
        change = last - x
        if self.ratios is None:
            self.measured.append(_ratio(change, self.change))
        self.change = change
        return end(last)

    def _skips(self, step: int) -> bool:
        assert self.ratios is not None
        self.size *= self.ratios[step] if step < len(self.ratios) else 1.0
        self.row += 1
        self.error += abs(1 - self.size)
        if self.change is not None and self.error < self.how.threshold and self.row <= self.how.most:
            return True
        self.size, self.error, self.row = 1.0, 0.0, 0
        return False


def _ratio(change: Tensor, before: Tensor | None) -> float:
    """Mean over tokens of the size of what was added to that of the time before."""
    if before is None:
        return 1.0
    now, then = (torch.linalg.vector_norm(one.float(), dim=-1) for one in (change, before))
    return float((now / (then + 1e-8)).mean())


@dataclass
class Skips:
    """The states of one run: one for each velocity that a model was asked to speak with."""

    way: Skipping | None
    states: list[State] = field(default_factory=list)

    def over(self, net: Any, velocity: Velocity, calls: int) -> Velocity:
        """The same velocity of this transformer, some of it guessed; `calls` σ will be asked for."""
        if self.way is None:
            return velocity
        state = self.way.started(calls)
        self.states.append(state)

        def at(x: Tensor, sigma: float) -> Tensor:
            state.sigma = sigma
            with going(net, state):
                return velocity(x, sigma)

        return at

    def told(self) -> str:
        """What a person is told after the run; "" without one of the ways."""
        if self.way is None:
            return ""
        calls, skipped = (sum(getattr(one, name) for one in self.states) for name in ("calls", "skipped"))
        text = f"{self.way.title}: {skipped} of {calls} evaluations of the model were skipped."
        measured = [one.measured for one in self.states if isinstance(one, _Magnitude) and one.measured]
        if measured:
            text += f" Measured ratios: {', '.join(f'{number:.5f}' for number in measured[-1])}."
        return text
