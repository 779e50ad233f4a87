"""Linears that bitsandbytes computes, against its own quantisation and exact products, on whatever backend it has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodes.models.layers.bnb import BitsAndBytesLinear
from nodes.models.weights.packing import PACKINGS, unpack

bnb: Any = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install latentloom[bnb]")


def filled(weight: Tensor, bias: Tensor, packing: str) -> BitsAndBytesLinear:
    rows, columns = weight.shape
    one, pack = BitsAndBytesLinear(columns, rows, packing, bias=True), PACKINGS[packing].pack
    assert pack is not None
    one.weight.copy_(pack(weight).view(torch.int8))
    one.bias = nn.Parameter(bias, requires_grad=False)
    one.settle()
    return one


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(96, 128, generator=g) * 0.05, torch.randn(96, generator=g), torch.randn(2, 7, 128, generator=g)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bits_have_the_codes_and_scales_that_bitsandbytes_makes(kind: str) -> None:
    weight, bias, _ = drawn()
    one = filled(weight, bias, f"bnb-{kind}")
    codes, state = bnb.functional.quantize_4bit(weight, blocksize=64, quant_type=kind)
    ours, theirs = (both.view(torch.uint8).flatten() for both in (one.weight, codes))
    nothing = torch.tensor([0, 8]) if kind == "fp4" else torch.tensor([-1])  # FP4 has two zeroes
    for shift in (4, 0):
        mine, its = (both >> shift & 15 for both in (ours, theirs))
        assert bool(((mine == its) | (torch.isin(mine, nothing) & torch.isin(its, nothing))).all())
    assert torch.equal(one.scales, state.absmax)
    pack, numbers = PACKINGS[f"bnb-{kind}"].pack, torch.empty_like(weight)
    assert pack is not None
    unpack(pack(weight), f"bnb-{kind}", numbers)
    assert torch.allclose(numbers, bnb.functional.dequantize_4bit(codes, state), rtol=1e-6, atol=0)


def test_int8_has_the_codes_and_scales_that_bitsandbytes_makes() -> None:
    weight, bias, _ = drawn()
    weight = weight.half().float()  # it quantises float16
    one = filled(weight, bias, "bnb-int8")
    codes, scales, _ = bnb.functional.int8_vectorwise_quant(weight.half())
    assert torch.allclose(one.scales, scales.float(), rtol=1e-6)
    assert (one.weight.int() - codes.int()).abs().max() <= 1 and (one.weight == codes).float().mean() > 0.999


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("packing", "off"), [("bnb-int8", 0.02), ("bnb-nf4", 0.12), ("bnb-fp4", 0.16)])
def test_the_product_is_the_exact_one_but_for_rounding(packing: str, off: float, dtype: torch.dtype) -> None:
    weight, bias, x = drawn()
    one = filled(weight, bias.to(dtype), packing)
    exact = x @ weight.t() + bias
    came = one(x.to(dtype))
    assert came.dtype == dtype and came.shape == exact.shape
    assert 0 < (came.float() - exact).norm() / exact.norm() < off


def test_numbers_far_out_are_multiplied_in_full() -> None:
    weight, bias, x = drawn()
    x[..., 3] = 60.0
    exact = x @ weight.t() + bias
    came = filled(weight, bias.half(), "bnb-int8")(x.half()).float()
    assert (came - exact).norm() / exact.norm() < 0.02
