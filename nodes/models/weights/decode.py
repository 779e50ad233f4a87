"""Stored bytes to numbers.

The numbers are the exact ones: what needs arithmetic (GGUF's blocks) is done in float32 and rounded once, by who asked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nodes.models.weights.blocks import BLOCKS, dequantise
from nodes.models.weights.four_bits import FourBits
from nodes.models.weights.tensor import TensorInfo

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def decode(raw: Tensor, dtype: str, row_bytes: int) -> Tensor:
    """Stored bytes (uint8, whole rows) to numbers (N,): in the stored dtype, or float32 for GGUF's blocks."""
    if dtype in DTYPES:
        return raw.view(DTYPES[dtype])
    if dtype in BLOCKS:
        _, nbytes, elements = BLOCKS[dtype]
        numbers = torch.empty(raw.numel() // nbytes * elements, device=raw.device)
        dequantise(raw, dtype, numbers)
        return numbers
    import gguf.quants  # here, because it takes 0.3 s and only files with rarer types need it

    blocks = raw.numpy().reshape(-1, row_bytes)
    return torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[dtype])).reshape(-1)


def scales_of(info: FourBits, read: Callable[[TensorInfo], Tensor]) -> Tensor:
    """The scale of every block of bitsandbytes' 4 bits: (blocks,), float32. `read` gives a stored tensor in float32."""
    scales = read(info.scales).flatten()
    if info.nested is None:
        return scales
    inner = info.nested
    factors = read(inner.scales).flatten().repeat_interleave(inner.blocksize)[: len(scales)]
    return read(inner.table).flatten()[scales.long()] * factors + inner.offset


def from_four_bits(info: FourBits, raw: Tensor, first: int, scales: Tensor, table: Tensor) -> Tensor:
    """The numbers in some of its bytes, `first` others being before these: (2 · bytes,), float32."""
    codes = torch.stack((raw >> 4, raw & 15), 1).view(-1)
    begin, end = 2 * first, 2 * first + len(codes)
    some = scales[begin // info.blocksize : -(-end // info.blocksize)].repeat_interleave(info.blocksize)
    skipped = begin % info.blocksize
    return torch.index_select(table, 0, codes.int()).mul_(some[skipped : skipped + len(codes)])
