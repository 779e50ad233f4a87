"""Products in float8, on the CPU's own: against float64, against the bound of the format, with LoRAs and compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nodes.models.layers import multiplied
from nodes.models.layers.adapted import adaptable, adapted
from nodes.models.layers.lowrank import LowRank
from nodes.models.layers.multiplied import Fp8Linear, in_rows, lacking
from nodes.models.layers.packed import PackedLinear, settle
from nodes.models.weights.packing import PACKINGS


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The CPU is taken for a device that multiplies in float8."""
    monkeypatch.setattr(multiplied, "DEVICES", ("cpu",))
    lacking.cache_clear()
    if reason := lacking("cpu"):
        pytest.skip(f"torch {torch.__version__}: {reason}")
    yield
    lacking.cache_clear()


def drawn(rows: int = 96, columns: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and a bias, and tokens as they come: of different size, a few channels far out."""
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(rows, columns, generator=g) * 0.05, torch.randn(rows, generator=g)
    x = torch.randn(2, 40, columns, generator=g) * torch.rand(2, 40, 1, generator=g) * 5
    x[..., :3] *= 20
    return weight, bias, x


def filled(weight: Tensor, bias: Tensor | None = None, packing: str = "fp8-matmul") -> PackedLinear:
    rows, columns = weight.shape
    one = (Fp8Linear if packing == "fp8-matmul" else PackedLinear)(columns, rows, packing, bias is not None)
    pack = PACKINGS[packing].pack
    assert pack is not None
    one.weight.copy_(pack(weight).view(torch.int8))
    if bias is not None:
        one.bias = nn.Parameter(bias, requires_grad=False)
    settle(one)
    return one


def off(came: Tensor, exact: Tensor) -> float:
    return float((came.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16])
def test_the_product_is_that_of_the_rounded_numbers(dtype: torch.dtype, products: None) -> None:
    """Made in float64 from the codes and scales, and rounded once to bfloat16."""
    weight, bias, x = drawn()
    x = x.to(dtype)
    one = filled(weight, bias.to(dtype))
    codes, scales = in_rows(x.flatten(0, 1))
    exact = (codes.double() * scales.double()) @ one.unpacked(torch.float32).double().t()
    exact = exact.view(2, 40, -1)
    came = one(x)
    assert came.dtype == dtype and came.shape == exact.shape
    assert off(came - bias.to(dtype), exact) < 2**-7
    assert off(came, exact + bias.double()) < 2**-7


def test_what_is_rounded_is_within_the_format_and_the_layer_as_near_as_expected(products: None) -> None:
    """Each number is off by at most 1/16 of itself, or half the smallest step there is; a layer by 3 to 4 %.

    A number's error is about 2.6 % of it in the mean square; W and x together √2 of that.
    """
    weight, _, x = drawn()
    one, rows = filled(weight), x.flatten(0, 1)
    codes, scales = in_rows(rows)
    for came, numbers in ((codes.float() * scales, rows), (one.unpacked(torch.float32), weight)):
        step = numbers.abs().amax(1, keepdim=True) / 448
        assert bool(((came - numbers).abs() <= torch.maximum(numbers.abs() / 16, step * 2**-10) * (1 + 1e-5)).all())
    exact = x.double() @ weight.double().t()
    bound = (x.double().abs() @ weight.double().abs().t()) * (2 * 2**-4 + 2**-8) * 1.01
    came_ = one(x)
    assert bool(((came_.double() - exact).abs() <= bound + 1e-3).all())
    assert 0.02 < off(came_, exact) < 0.045


def test_rows_of_nothing_and_of_huge_and_tiny_numbers_are_numbers(products: None) -> None:
    weight, _, x = drawn()
    x[0, 0], x[0, 1], x[0, 2] = 0.0, 1e30, 1e-42
    y = filled(weight)(x)
    assert bool((y[0, 0] == 0).all()) and y.isfinite().all()


@pytest.mark.parametrize(("rows", "columns"), [(96, 200), (100, 256)])
def test_sizes_that_are_no_multiple_of_sixteen_are_unpacked(rows: int, columns: int, products: None) -> None:
    weight, bias, x = drawn(rows, columns)
    assert torch.equal(filled(weight, bias)(x), filled(weight, bias, "fp8")(x))


def test_a_vector_for_each_picture_is_not_rounded(products: None) -> None:
    weight, bias, x = drawn()
    assert torch.equal(filled(weight, bias)(x[:, 0]), filled(weight, bias, "fp8")(x[:, 0]))
    assert not torch.equal(filled(weight, bias)(x), filled(weight, bias, "fp8")(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_where_there_are_no_such_products_it_gives_what_fp8_gives(dtype: torch.dtype) -> None:
    weight, bias, x = drawn()
    lacking.cache_clear()
    assert "float8" in lacking("cpu")
    one, other = filled(weight, bias.to(dtype)), filled(weight, bias.to(dtype), "fp8")
    assert torch.equal(one(x.to(dtype)), other(x.to(dtype)))
    assert torch.equal(one.unpacked(dtype), other.unpacked(dtype))


def stack() -> nn.Sequential:
    weight, bias, _ = drawn(256, 256)
    return nn.Sequential(filled(weight, bias), filled(weight.flip(0)))


def test_a_lora_stands_beside_it_and_is_not_rounded(products: None) -> None:
    net, x = stack(), drawn()[2]
    g = torch.Generator().manual_seed(1)
    down, up = torch.randn(4, 256, generator=g) * 0.1, torch.randn(256, 4, generator=g) * 0.1
    plain = net[1](x)
    adaptable(net)
    assert isinstance(net[1], Fp8Linear)
    assert torch.equal(net[1](x), plain)
    lora = LowRank()
    lora.add("1", 0, down, up)
    with adapted(net, [(lora, 0.5)]):
        assert torch.allclose(net[1](x), plain + 0.5 * x @ down.t() @ up.t(), rtol=1e-4, atol=1e-4)
    assert torch.equal(net[1](x), plain)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_graph_multiplies_in_float8_too(backend: str, products: None) -> None:
    """But for numbers between two of float8 that fall to the other side, when what came before is not rounded."""
    net, x = stack(), drawn()[2].bfloat16()
    for one in net:
        if one.bias is not None:
            one.bias.data = one.bias.data.bfloat16()
    graph = torch.compile(net, backend=backend, fullgraph=True, dynamic=True)
    with torch.no_grad():
        for tokens in (x, x[:, :17]):
            assert off(graph(tokens), net(tokens).double()) < 0.02
