"""GGUF files of every type, K included, which gguf itself cannot quantise: their blocks are random integers with scales
that make the numbers about as large as weights are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from torch import Tensor

from nodes.models.weights.blocks import BLOCKS

# Type → the float16 scales of a block: byte, and how large (d of the numbers, m or d' of what is added).
SCALES: dict[str, tuple[tuple[int, float], ...]] = {
    "Q8_0": ((0, 7e-4),), "Q4_0": ((0, 1e-2),), "Q4_1": ((0, 1e-2), (2, -8e-2)), "Q5_0": ((0, 5e-3),),
    "Q5_1": ((0, 5e-3), (2, -8e-2)), "Q2_K": ((80, 4e-3), (82, 6e-3)), "Q3_K": ((108, 1.5e-3),),
    "Q4_K": ((0, 2e-4), (2, 1.5e-3)), "Q5_K": ((0, 1e-4), (2, 1.5e-3)), "Q6_K": ((208, 5e-5),), "IQ4_NL": ((0, 7e-4),),
    "IQ4_XS": ((0, 4e-5),),
}  # fmt: skip


def random_blocks(kind: str, rows: int, columns: int, r: np.random.Generator) -> np.ndarray:
    """Packed rows (rows, bytes) of `columns` numbers each."""
    _, nbytes, elements = BLOCKS[kind]
    data = r.integers(0, 256, (rows * columns // elements, nbytes), np.uint8)
    for at, size in SCALES[kind]:
        data[:, at : at + 2] = (r.uniform(0.5, 1.0, len(data)) * size).astype(np.float16)[:, None].view(np.uint8)
    return data.reshape(rows, -1)


def save_blocks(
    path: Path,
    state: dict[str, Tensor],
    kind: str,
    named: Callable[[str], str] = str,
    arch: str = "flux",
    other: Callable[[str], str] | None = None,
) -> Path:
    """A GGUF file with the shapes of `state`: matrices in blocks of `kind` (or of what `other` says for a name) where
    they fit, everything else as it is, in float32."""
    r, writer = np.random.default_rng(0), gguf.GGUFWriter(path, arch)
    for name, tensor in state.items():
        chosen = other(name) if other else kind
        if tensor.ndim == 2 and tensor.shape[1] % BLOCKS[chosen][2] == 0:
            data, kind_ = random_blocks(chosen, *tensor.shape, r), gguf.GGMLQuantizationType[chosen]
        else:
            data, kind_ = tensor.numpy(), gguf.GGMLQuantizationType.F32
        writer.add_tensor(named(name), data, raw_dtype=kind_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
