"""How a step goes through a transformer's blocks: through all of them, or past some whose result can be guessed.

A transformer's `forward` gives its tokens before the blocks, a walk that yields them after each block, and what makes
the velocity of the last ones. Whoever holds the transformer says what becomes of them, by its `passage`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor

Walk = Generator[Tensor, None, None]
"""The image's tokens (B, N, D) after each block. Closing it leaves out the blocks that have not run."""
End = Callable[[Tensor], Tensor]
"""The image's tokens after the last block (B, N, D) → velocity (B, N, C)."""


class Passage(Protocol):
    """x (B, N, D) before the blocks, the walk through them, what follows → velocity (B, N, C)."""

    def __call__(self, x: Tensor, walk: Walk, end: End) -> Tensor: ...


def whole(x: Tensor, walk: Walk, end: End) -> Tensor:
    """Through every block."""
    for passed in walk:
        x = passed
    return end(x)


@contextmanager
def going(net: Any, passage: Passage) -> Iterator[None]:
    """Inside the `with` block, the transformer's steps go as `passage` says."""
    before = net.passage
    net.passage = passage
    try:
        yield
    finally:
        net.passage = before
