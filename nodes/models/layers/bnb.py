"""Linears that bitsandbytes computes: LLM.int8, which also rounds what goes in, NF4 and FP4. Where it is installed.

LLM.int8: Dettmers et al. 2022, arXiv:2208.07339: columns of x with a number beyond 6 are multiplied in full. NF4:
Dettmers et al. 2023, arXiv:2305.14314. Its CPU and GPU backends are bitsandbytes' own affair.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor, nn

from nodes.models.layers.packed import PackedLinear
from nodes.models.weights.packing import BITSANDBYTES, GROUP, fp4_table, nf4_table, split

OUTLIER = 6.0


def installed() -> bool:
    """Whether bitsandbytes can be imported."""
    return importlib.util.find_spec("bitsandbytes") is not None


class BitsAndBytesLinear(PackedLinear):
    """A PackedLinear that bitsandbytes multiplies with, without unpacking the whole of it first.

    weight  once filled, codes alone: int8 (R, C), or 4 bits two to a byte (R·C/2, 1)
    scales  (R,) or (R·C/64,), float32
    """

    scales: Tensor

    def __init__(self, columns: int, rows: int, packing: str, bias: bool) -> None:
        super().__init__(columns, rows, packing, bias)
        self.register_buffer("scales", None)

    def settle(self) -> None:
        """Take codes and scales apart, as bitsandbytes wants them."""
        self.weight, self.scales = self.apart(self.weight)

    def apart(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Packed rows as `weight` and `scales` will be."""
        codes, scales = split(rows, self.packing, self.in_features)
        return codes.view(torch.int8), scales.flatten()

    def forward(self, x: Tensor) -> Tensor:
        library: Any = importlib.import_module("bitsandbytes")
        if self.packing == "bnb-int8":
            state = library.MatmulLtState()
            state.CB, state.SCB, state.threshold, state.has_fp16_weights = self.weight, self.scales, OUTLIER, False
            out: Tensor = library.matmul(x, self.weight, bias=self.bias, state=state)
            return out
        kind, table = ("nf4", nf4_table) if self.packing == "bnb-nf4" else ("fp4", fp4_table)
        known = library.functional.QuantState(
            absmax=self.scales, shape=torch.Size((self.out_features, self.in_features)), quant_type=kind,
            code=table(x.device), blocksize=GROUP, dtype=x.dtype,
        )  # fmt: skip
        out = library.matmul_4bit(x, self.weight.view(torch.uint8).view(-1, 1).t(), quant_state=known, bias=self.bias)
        return out


def linear(columns: int, rows: int, packing: str, bias: bool) -> PackedLinear:
    """The Linear for a packing."""
    return (BitsAndBytesLinear if packing in BITSANDBYTES else PackedLinear)(columns, rows, packing, bias)


def settle(module: nn.Module) -> None:
    """Let every Linear that bitsandbytes computes take its weight apart, once it is filled."""
    for one in module.modules():
        if isinstance(one, BitsAndBytesLinear):
            one.settle()
