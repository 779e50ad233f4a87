"""What every family's text encoder answers with."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Encoded(NamedTuple):
    """Prompts as a family's transformer takes them.

    tensors  as the family names them, one row per prompt: text (B, L, Dt), pooled (B, P), mask (B, L), …
    notes    what a user should know, such as text that was cut off
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
