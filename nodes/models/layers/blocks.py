"""The repeated blocks of a transformer or a text encoder, run in order through one seam.

A plain transformer holds all of its blocks where it computes, and `in_order` is then the list itself. Under a plan that
keeps blocks elsewhere, a lender stands behind the seam: it has each block's weights ready when the block is handed out,
and takes them away after it. What is handed out is called like the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import nn


class Lender(Protocol):
    """What brings the weights of blocks and takes them away."""

    def through(self, blocks: Blocks) -> Iterator[Any]:
        """Each block in order, ready to be called from when it is given until the next one is asked for."""


class Compiler(Protocol):
    """What calls blocks otherwise than they are written."""

    def in_order(self, blocks: Iterator[Any]) -> Iterator[Any]:
        """What to call instead of each block."""


class Blocks(nn.ModuleList):
    """Blocks of one kind: `for block in blocks.in_order(): x = block(x, …)`.

    lender    None: all weights are where they are used
    compiled  None: the blocks are called as they are

    Iterating over the list itself gives the modules as they are, for what needs no weights that could be elsewhere.
    """

    lender: Lender | None = None
    compiled: Compiler | None = None

    def in_order(self) -> Iterator[Any]:
        """What to call, one after the other; each is asked for after the one before has been called."""
        given = iter(self._modules.values()) if self.lender is None else self.lender.through(self)
        return given if self.compiled is None else self.compiled.in_order(given)


class Iterated(Blocks):
    """Blocks of a network that is not ours: its loop iterates over the list, or over a slice that is all of it.

    Iterating over the list gives what `in_order` gives; `children()` are the modules as they are.
    """

    def __iter__(self) -> Iterator[Any]:
        return self.in_order()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) and index.indices(len(self)) == (0, len(self), 1):
            return self
        return super().__getitem__(index)


def blocks_of(module: nn.Module) -> list[Blocks]:
    """The lists of blocks of a model, in the order in which they run."""
    return [one for one in module.modules() if isinstance(one, Blocks)]
