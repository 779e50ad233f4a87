"""Linears that bitsandbytes computes: LLM.int8, which also rounds what goes in, NF4 and FP4. Where it is installed.

LLM.int8: Dettmers et al. 2022, arXiv:2208.07339: columns of x with a number beyond 6 are multiplied in full. NF4:
Dettmers et al. 2023, arXiv:2305.14314. Its CPU and GPU backends are bitsandbytes' own affair.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

from nodes.models.layers.packed import ApartLinear
from nodes.models.weights.packing import GROUP, fp4_table, nf4_table

OUTLIER = 6.0


def installed() -> bool:
    """Whether bitsandbytes can be imported."""
    return importlib.util.find_spec("bitsandbytes") is not None


class BitsAndBytesLinear(ApartLinear):
    """A PackedLinear that bitsandbytes multiplies with, without unpacking the whole of it first.

    weight  once filled, codes alone: int8 (R, C), or 4 bits two to a byte (R·C/2, 1)
    scales  (R,) or (R·C/64,), float32
    """

    def apart(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and scales as bitsandbytes wants them."""
        codes, scales = super().apart(rows)
        return codes, scales.flatten()

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
