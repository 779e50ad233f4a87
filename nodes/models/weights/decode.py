"""Stored bytes to numbers.

The numbers are the exact ones: what needs arithmetic (GGUF's blocks) is done in float32 and rounded once, by who asked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nodes.models.weights.blocks import BLOCKS, dequantise

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
