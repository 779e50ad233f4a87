"""What depends on σ alone, made before the loop for every σ that will be asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class PerStep(Protocol):
    """Something with one entry per step along its first axis."""

    def at(self, step: int) -> PerStep: ...


P = TypeVar("P", bound=PerStep)


def made_before(make: Callable[[Sequence[float]], P], sigmas: Sequence[float]) -> Callable[[float], P]:
    """The entry of a σ: from one batch of all `sigmas` made now, or made when an unannounced one is asked for."""
    levels = list(dict.fromkeys(sigmas))
    steps, row = make(levels), {sigma: index for index, sigma in enumerate(levels)}

    def of(sigma: float) -> P:
        return steps.at(row[sigma]) if sigma in row else make([sigma]).at(0)  # type: ignore[return-value]

    return of
