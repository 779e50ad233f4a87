"""One model inside a file: a transformer, a text encoder, an autoencoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodes.models.weights.tensor import Header

NUMBER = re.compile(r"\d{1,5}")
LARGEST = 1 << 20  # an empty tensor may claim any size and take no byte; no vocabulary or width is larger than this


@dataclass(frozen=True)
class Part:
    """A model that a `keys` module has recognised.

    kind     "transformer", "clip", "t5", "vae"
    header   its tensors, without the prefix they have in the file and without what is of no use
    layout   which spelling of names: "original", "diffusers", "gguf", …
    config   its sizes, as its own Config
    prefix   what its names begin with in the file
    variant  what a person calls it: "dev", "schnell", "CLIP-L"
    tokenizer  the folder of its tokenizer, when one lies beside it
    """

    kind: str
    header: Header
    layout: str
    config: Any
    prefix: str = ""
    variant: str = ""
    tokenizer: Path | None = None

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.header.nbytes

    def bytes_in_memory(self, itemsize: int) -> int:
        """Bytes it takes when every number has `itemsize` of them."""
        return self.header.parameters * itemsize


def count(header: Header, stem: str) -> int:
    """How many blocks there are named `stem.0.…`, `stem.1.…`; -1 when a number is left out."""
    found = set()
    for name in header.tensors:
        if name.startswith(stem + "."):
            number = NUMBER.match(name, len(stem) + 1)
            if number:
                found.add(int(number[0]))
    return len(found) if found == set(range(len(found))) else -1


def matrix(header: Header, name: str) -> tuple[int, int]:
    """Rows and columns of a matrix; (0, 0) when there is none of that name, or it is no matrix a model could have."""
    shape = header.shape(name)
    return (shape[0], shape[1]) if len(shape) == 2 and max(shape) <= LARGEST else (0, 0)


def given(config: Mapping[str, Any], *names: str) -> Any:
    """The first of these that a config.json has; None when it has none of them."""
    return next((config[name] for name in names if config.get(name) is not None), None)
