from __future__ import annotations

from nodes.models.weights.part import Part, matrix
from nodes.models.weights.pieces import Source, same_names
from nodes.models.weights.tensor import Header

from .config import Config

KEPT: tuple[str, ...] = ()


def match(header: Header) -> Part | None:
    if "toy.weight" not in header:
        return None
    return Part("transformer", header, "original", Config(matrix(header, "toy.weight")[0]), variant="toy")


def rename(part: Part) -> dict[str, Source]:
    return same_names(part.header)
