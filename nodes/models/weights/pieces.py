"""Where a parameter is in a file, in the file's own names.

A family's `keys.rename` says it for every parameter; `fill` reads by it. Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nodes.models.weights.quantized import separate
from nodes.models.weights.tensor import Header


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `stop` of a stored tensor; the whole of it when `stop` is None."""

    name: str
    start: int = 0
    stop: int | None = None


# A parameter is its pieces one below the other: one whole tensor, several joined, or two halves in the other order.
Source = tuple[Piece, ...]


class Target(NamedTuple):
    """The rows of a Linear in memory that a name in a file means; all of them when `stop` is None.

    swapped  the file has its two halves in the other order
    copy     the file has the same once more under another name
    """

    module: str
    start: int = 0
    stop: int | None = None
    swapped: bool = False
    copy: bool = False


def whole(*names: str) -> Source:
    """Whole tensors, one below the other."""
    return tuple(Piece(name) for name in names)


def same_names(header: Header) -> dict[str, Source]:
    """Every stored tensor is the parameter of the same name."""
    return {name: whole(name) for name in separate(header)[0].tensors}
