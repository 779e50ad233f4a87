"""Tensors by name, and a few words about them, as a safetensors file. Knows nothing of what they are.

A file from outside is looked at by the project's own reader of headers before a tensor is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import safetensors
import safetensors.torch
from torch import Tensor

from nodes.models.weights.header import read_header
from nodes.sockets import refused

BYTES_AT_MOST = 2 << 30


def write_tensors(stream: BinaryIO, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write tensors and facts about them."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    stream.write(safetensors.torch.save(plain, dict(facts)))


def read_tensors(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file and the facts in its header. Raises Refused for anything but a sound safetensors file."""
    header = read_header(path)
    if header.format != "safetensors":
        raise refused("bad-file", name, f"this is a {header.format} file.", "Choose a .safetensors file.")
    if header.nbytes > BYTES_AT_MOST:
        what = f"its {header.nbytes:,} bytes are more than {BYTES_AT_MOST:,}."
        raise refused("too-large", name, what, "It is no file of this kind; load models with their own nodes.")
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise refused("bad-file", name, f"it cannot be read: {error}.", "Save it again.") from None
    return tensors, dict(header.metadata)
