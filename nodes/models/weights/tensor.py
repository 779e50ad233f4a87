"""What a model file says about itself: names, shapes, dtypes and places of tensors, never their values.

Both readers (safetensors, GGUF) and the folder reader answer with a `Header`. Shapes are in torch's order. Knows
nothing of torch and of model families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One stored tensor.

    dtype   as the format spells it: "F32", "BF16", "F8_E4M3", "I8", "Q4_K"
    shape   torch's order
    offset  of its first byte from the start of the file
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int

    @property
    def elements(self) -> int:
        return product(self.shape)


@dataclass(frozen=True)
class Header:
    """All tensors of one file, or of the shards of one folder.

    format    "safetensors", "gguf" or "folder"
    tensors   by name
    metadata  text by name, as the author wrote it: untrusted
    config    config.json beside the weights, or the metadata "config": untrusted; {} when there is none
    """

    path: Path
    format: str
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor; () when there is none of that name."""
        found = self.tensors.get(name)
        return found.shape if found else ()

    def under(self, prefix: str) -> Header:
        """The tensors whose names begin with `prefix`, without it."""
        return self.renamed(lambda name: name[len(prefix) :] if name.startswith(prefix) else None) if prefix else self

    def without(self, drop: Callable[[str], bool]) -> Header:
        """All tensors but those for whose name `drop` is true."""
        return self.renamed(lambda name: None if drop(name) else name)

    def renamed(self, rename: Callable[[str], str | None]) -> Header:
        """The same tensors under other names; those renamed to None are left out."""
        named = ((rename(name), info) for name, info in self.tensors.items())
        kept = {name: info for name, info in named if name is not None}
        return replace(self, tensors=kept)

    @property
    def nbytes(self) -> int:
        return sum(info.nbytes for info in self.tensors.values())

    @property
    def parameters(self) -> int:
        return sum(info.elements for info in self.tensors.values())


def product(shape: tuple[int, ...]) -> int:
    """Number of elements, with Python's integers: it cannot wrap around."""
    count = 1
    for size in shape:
        count *= size
    return count


def shown(text: str, limit: int = 120) -> str:
    """A name out of an untrusted file, fit to be printed: no control characters, no lone surrogates, not too long."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text[:limit])
    return safe + ("…" if len(text) > limit else "")


def bad_file(path: Path, what: str, fix: str = "Download the file again, or ask its author for another.") -> Refused:
    """The refusal every reader raises for a file that is not what it should be."""
    return Refused(Problem("bad-model-file", shown(path.name), what, fix))
