"""The two namings of one transformer, original and diffusers', from tables of its modules.

A table says for a module what it is called by diffusers: one name, or several where diffusers has as several what is
one matrix here, one below the other. From it follow where each parameter is in a diffusers file, what such a file would
be written from, and what a LoRA's file may call each Linear. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from nodes.models.weights.pieces import Piece, Source, Target, whole
from nodes.models.weights.tensor import Header

Table = Mapping[str, tuple[str, ...]]
LEAVES = ("weight", "bias")


@dataclass(frozen=True)
class Naming:
    """What diffusers calls the parts of a transformer.

    modules  with weight and bias
    rows     of each part of a module that is several there
    scales   norms whose weight is called `scale` here
    swapped  a module whose two halves diffusers has in the other order: ours, theirs
    bare     parameters of no module: ours → theirs
    """

    modules: Table
    rows: Sequence[int] = ()
    scales: Table = field(default_factory=dict)
    swapped: tuple[str, str] | None = None
    bare: Mapping[str, str] = field(default_factory=dict)

    def sources(self, header: Header) -> Iterator[tuple[str, Source]]:
        """Where each parameter is in a diffusers file, of those that it has, whole or in part."""
        for own, theirs in self._alone():
            yield own, whole(theirs)
        for own, stems in self.modules.items():
            for leaf in LEAVES:
                if any(f"{stem}.{leaf}" in header for stem in stems):
                    yield f"{own}.{leaf}", whole(*(f"{stem}.{leaf}" for stem in stems))
        for own, theirs in self._swapped():
            if theirs in header:
                rows = (header.shape(theirs) or (0,))[0]
                yield own, (Piece(theirs, rows // 2, rows), Piece(theirs, 0, rows // 2))

    def targets(self) -> dict[str, Target]:
        """diffusers' name of each module → which rows of which of ours."""
        found: dict[str, Target] = {}
        starts = list(accumulate(self.rows, initial=0))
        for own, stems in self.modules.items():
            ends = pairwise(starts) if len(stems) > 1 else [(0, None)]
            found |= {stem: Target(own, start, stop) for stem, (start, stop) in zip(stems, ends, strict=False)}
        if self.swapped:
            found[self.swapped[1]] = Target(self.swapped[0], swapped=True)
        return found

    def parameters(self) -> Iterator[tuple[str, Target]]:
        """diffusers' name of every parameter that there may be → which rows of which of ours."""
        for own, theirs in self._alone():
            yield theirs, Target(own)
        for stem, target in self.targets().items():
            for leaf in LEAVES:
                yield f"{stem}.{leaf}", target._replace(module=f"{target.module}.{leaf}")

    def _alone(self) -> Iterator[tuple[str, str]]:
        yield from self.bare.items()
        yield from ((f"{own}.scale", f"{theirs}.weight") for own, (theirs,) in self.scales.items())

    def _swapped(self) -> Iterator[tuple[str, str]]:
        if self.swapped:
            yield from ((f"{self.swapped[0]}.{leaf}", f"{self.swapped[1]}.{leaf}") for leaf in LEAVES)


def numbered(table: Table, own: str, theirs: str, count: int) -> dict[str, tuple[str, ...]]:
    """The table of one block for each of `count` blocks: `own.0.…` → `theirs.0.…`."""
    return {
        f"{own}.{i}.{name}": tuple(f"{theirs}.{i}.{stem}" for stem in stems)
        for i in range(count)
        for name, stems in table.items()
    }
