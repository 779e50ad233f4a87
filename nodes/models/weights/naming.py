"""The two namings of one transformer, original and diffusers', from tables of its modules.

A table says for a module what it is called by diffusers: one name, or several where diffusers has as several what is
one matrix there, one below the other. From it follow where each parameter is in a diffusers file, and what a LoRA's
file may call each Linear. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from nodes.models.weights.pieces import Piece, Source, Target, whole
from nodes.models.weights.tensor import Header

Table = Mapping[str, tuple[str, ...]]
LEAVES = ("weight", "bias")


def numbered(table: Table, own: str, theirs: str, count: int) -> dict[str, tuple[str, ...]]:
    """The table of one block for each of `count` blocks: `own.0.…` → `theirs.0.…`."""
    return {
        f"{own}.{i}.{name}": tuple(f"{theirs}.{i}.{stem}" for stem in stems)
        for i in range(count)
        for name, stems in table.items()
    }


def sources(header: Header, table: Table) -> Iterator[tuple[str, Source]]:
    """Where weight and bias of each module are, of those that the file has, whole or in part."""
    for own, stems in table.items():
        for leaf in LEAVES:
            if any(f"{stem}.{leaf}" in header for stem in stems):
                yield f"{own}.{leaf}", whole(*(f"{stem}.{leaf}" for stem in stems))


def halves(header: Header, own: str, theirs: str) -> Iterator[tuple[str, Source]]:
    """Where weight and bias of a module are whose two halves diffusers has in the other order."""
    for leaf in LEAVES:
        name = f"{theirs}.{leaf}"
        if name in header:
            rows = (header.shape(name) or (0,))[0]
            yield f"{own}.{leaf}", (Piece(name, rows // 2, rows), Piece(name, 0, rows // 2))


def targets(table: Table, rows: Sequence[int] = ()) -> dict[str, Target]:
    """diffusers' name of each Linear → which rows of which of ours; `rows` are those of the parts of one of several."""
    starts = list(accumulate(rows, initial=0))
    found = {}
    for own, stems in table.items():
        ends = pairwise(starts) if len(stems) > 1 else [(0, None)]
        found |= {stem: Target(own, start, stop) for stem, (start, stop) in zip(stems, ends, strict=False)}
    return found
