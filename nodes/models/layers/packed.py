"""A Linear whose weight stays packed in memory, for every packing there is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.weights.packing import PACKINGS, unpacked


class PackedLinear(nn.Module):
    """y = x Wᵀ + b, with W unpacked anew for each call, in the dtype of x: (…, C) → (…, R).

    weight  (R, n)  packed rows as int8: bytes and no numbers. int8, because that is how transformers' T5 tells that a
                    weight does not say what to compute in
    """

    weight: Tensor

    def __init__(self, columns: int, rows: int, packing: str, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features, self.packing = columns, rows, packing
        self.register_buffer("weight", torch.empty(rows, PACKINGS[packing].row_bytes(columns), dtype=torch.int8))
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """W (R, C)."""
        return unpacked(self.weight, self.packing, self.in_features, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.unpacked(x.dtype), self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, packing={self.packing}"
