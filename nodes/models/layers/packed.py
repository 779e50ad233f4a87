"""A Linear whose weight stays packed in memory, for every packing there is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.weights.packing import PACKINGS, split, unpacked


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
        return self.numbers(self.weight, dtype)

    def numbers(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Packed rows as it has them (R, n) → (R, C)."""
        return unpacked(rows, self.packing, self.in_features, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.unpacked(x.dtype), self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, packing={self.packing}"


class ApartLinear(PackedLinear):
    """A PackedLinear that is multiplied as it is, its codes and its scales lying apart in memory once it is filled.

    weight  once filled, codes alone;  scales  once filled, float32
    """

    scales: Tensor

    def __init__(self, columns: int, rows: int, packing: str, bias: bool) -> None:
        super().__init__(columns, rows, packing, bias)
        self.register_buffer("scales", None)

    def settle(self) -> None:
        """Take codes and scales apart."""
        self.weight, self.scales = self.apart(self.weight)

    def apart(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Packed rows as `weight` and `scales` will be."""
        codes, scales = split(rows, self.packing, self.in_features)
        return codes.view(torch.int8), scales


def settle(module: nn.Module) -> None:
    """Let every Linear that wants its weight apart take it apart, once it is filled."""
    for one in module.modules():
        if isinstance(one, ApartLinear):
            one.settle()
