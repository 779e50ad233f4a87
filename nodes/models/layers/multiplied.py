"""Linears that are multiplied in float8: half the bytes of bfloat16 and twice its rate, where a GPU has such products.

Each row of x and of W has a scale of its own, absmax / 448, and y = (x̂ Ŵᵀ) · scale of the row of x · scale of the row
of W: x̂ and Ŵ in e4m3, sums in float32, y rounded once to bfloat16. Micikevicius et al. 2022, arXiv:2209.05433 §3;
rows of x are scaled anew in each call.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from nodes.models.layers.packed import ApartLinear
from nodes.models.weights import fused
from nodes.models.weights.packing import to_fp8

DEVICES = ("cuda",)
WHOLE = 16
"""What rows and columns have to be multiples of."""


@cache
def lacking(device: str) -> str:
    """Why a device has no products of float8 with a scale per row, as a reason; "" when it has them.

    What there is depends on the GPU, on torch and on the system, so one small product is tried.
    """
    kind = torch.device(device).type
    if kind not in DEVICES:
        return f"{kind} has no products of float8"
    if kind == "cuda" and torch.cuda.get_device_capability(device) < (8, 9):
        return "they need a GPU of compute capability 8.9"
    one = torch.ones(WHOLE, WHOLE, device=device).to(torch.float8_e4m3fn)
    scales = torch.ones(WHOLE, 1, device=device)
    try:
        if float(_product(one, scales, one, scales)[0, 0]) != WHOLE:
            return "torch's product is wrong here"
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return f"torch has none here: {str(error).splitlines()[0][:100]}"
    return ""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def there(device: str) -> bool:
    """Whether a device has them. A graph is made with the answer."""
    return not lacking(device)


class Fp8Linear(ApartLinear):
    """y = x Wᵀ + b, multiplied in float8 where the device can: (…, L, C) → (…, L, R).

    weight  once filled (R, C), e4m3 as int8;  scales  (R, 1), float32

    Unpacked as a PackedLinear is: where the device cannot; where a size is no multiple of 16; and for x of two
    dimensions, which is a vector for each picture and no token. Such a vector shifts and scales all tokens, so what is
    rounded in it is off everywhere, and its product costs nothing.
    """

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        rows = torch.cat((self.weight.view(torch.uint8), self.scales.view(torch.uint8)), 1)
        return self.numbers(rows, dtype)

    def forward(self, x: Tensor) -> Tensor:
        fits = x.dim() > 2 and not (self.in_features % WHOLE or self.out_features % WHOLE)
        if not (fits and x.device.type in DEVICES and there(str(x.device))):
            return super().forward(x)
        codes, scales = in_rows(x.reshape(-1, self.in_features))
        y = _product(codes, scales, self.weight.view(torch.float8_e4m3fn), self.scales).to(x.dtype)
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias


def in_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (M, C) → e4m3 (M, C) and the scale of each row (M, 1), float32."""
    made = fused.in_fp8(x)
    return to_fp8(x.float()) if made is None else made


def _product(a: Tensor, a_scales: Tensor, b: Tensor, b_scales: Tensor) -> Tensor:
    """a (M, C), b (R, C), their scales (M, 1), (R, 1) → (M, R) in bfloat16. Sums as quick as the GPU makes them."""
    out: Tensor = torch._scaled_mm(
        a, b.t(), scale_a=a_scales, scale_b=b_scales.t(), out_dtype=torch.bfloat16, use_fast_accum=True
    )
    return out
