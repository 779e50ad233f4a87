from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from nodes.models.weights import packing
from nodes.models.weights.packing import FP8_MOST, METHODS, NF4, PACKINGS, unpack

COLUMNS = (1, 63, 64, 65, 200, 256)


def weights(rows: int, columns: int, spread: float = 1.0, seed: int = 0) -> Tensor:
    """As weights are: normal, each row of its own size, a few of them far out."""
    g = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, columns, generator=g) * torch.rand(rows, 1, generator=g) * spread
    outliers = torch.rand(rows, columns, generator=g) < 0.002
    return torch.where(outliers, numbers * 20, numbers)


def there_and_back(numbers: Tensor, method: str, dtype: torch.dtype = torch.float32) -> Tensor:
    pack = PACKINGS[method].pack
    assert pack is not None
    rows = pack(numbers)
    assert rows.shape == (len(numbers), PACKINGS[method].row_bytes(numbers.shape[1])) and rows.dtype == torch.uint8
    out = torch.empty_like(numbers, dtype=dtype)
    unpack(rows.view(torch.int8), method, out)
    return out


def groups(numbers: Tensor) -> Tensor:
    """Each number's own group of 64: (R, groups, 64), without what would fill the last one up (as NaN)."""
    short = -numbers.shape[1] % 64
    return torch.nn.functional.pad(numbers, (0, short), value=float("nan")).unflatten(1, (-1, 64))


def bound(numbers: Tensor, method: str) -> Tensor:
    """The largest error the method allows for each number; scales' own rounding included."""
    if method == "int8":
        return numbers.abs().amax(1, keepdim=True) / 254 * (1 + 1e-5)
    if method == "fp8":
        step = numbers.abs().amax(1, keepdim=True) / FP8_MOST
        return torch.maximum(numbers.abs() / 16, step * 2**-10) * (1 + 1e-5)
    parts = groups(numbers)
    if method == "nf4":
        gap = max(b - a for a, b in itertools.pairwise(NF4))
        allowed = parts.abs().nan_to_num().amax(2, keepdim=True) * (gap / 2 + 1e-6)
    else:
        least = torch.where(parts.isnan(), torch.inf, parts).amin(2, keepdim=True)
        most = torch.where(parts.isnan(), -torch.inf, parts).amax(2, keepdim=True)
        rounding = 2**-10 * (least.abs() + most.abs()) + 2**-24  # of the edges to float16
        allowed = (most - least) / 30 + rounding + (most - least) * 2**-11
    return allowed.expand(parts.shape).flatten(1)[:, : numbers.shape[1]]


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("method", METHODS)
def test_no_number_is_further_off_than_the_method_allows(method: str, columns: int) -> None:
    for spread in (1e-3, 1.0, 30.0):
        numbers = weights(40, columns, spread)
        error = (there_and_back(numbers, method) - numbers).abs()
        assert bool((error <= bound(numbers, method) + 1e-9).all()), (error - bound(numbers, method)).max()


# Of normal weights of a layer: the root of the mean square of the error over that of the weights, twice what was seen.
@pytest.mark.parametrize(("method", "most"), [("int8", 0.02), ("fp8", 0.04), ("int4", 0.12), ("nf4", 0.12)])
def test_a_whole_layer_is_off_by_little(method: str, most: float) -> None:
    numbers = torch.randn(256, 1024, generator=torch.Generator().manual_seed(1)) * 0.02
    error = (there_and_back(numbers, method) - numbers).norm() / numbers.norm()
    assert most / 4 < error < most


@pytest.mark.parametrize("method", METHODS)
def test_numbers_the_method_has_come_back_exactly(method: str) -> None:
    """Packing what was unpacked changes nothing any more."""
    once = there_and_back(weights(16, 200), method)
    twice = there_and_back(once, method)
    assert torch.allclose(twice, once, rtol=1e-3 if method == "int4" else 1e-6, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 1e4])
def test_rows_of_one_value_are_kept(method: str, value: float) -> None:
    numbers = torch.full((3, 70), value)
    assert torch.allclose(there_and_back(numbers, method), numbers, rtol=1e-3, atol=1e-7)


def test_the_sixteen_numbers_of_nf4_are_the_quantiles_of_the_paper() -> None:
    """arXiv:2305.14314 Appendix E: eight quantiles on each side of 0, of a normal, scaled to 1."""
    normal = torch.distributions.Normal(0.0, 1.0)
    edge = 0.9677083
    above = normal.icdf(torch.linspace(edge, 0.5, 9, dtype=torch.float64)[:-1])
    below = -normal.icdf(torch.linspace(edge, 0.5, 8, dtype=torch.float64)[:-1])
    wanted = torch.cat((above, below, torch.zeros(1))).sort().values / above.max()
    assert torch.allclose(torch.tensor(NF4, dtype=torch.float64), wanted, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_are_the_exact_number_rounded_once(
    method: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where rows are unpacked in several parts."""
    numbers = weights(23, 130)
    whole = there_and_back(numbers, method)
    monkeypatch.setattr(packing, "CHUNK", 500)
    assert torch.equal(there_and_back(numbers, method, dtype), whole.to(dtype))


@pytest.mark.parametrize("method", METHODS)
def test_a_row_does_not_depend_on_its_neighbours(method: str) -> None:
    numbers = weights(8, 100)
    assert torch.equal(there_and_back(numbers, method)[3:5], there_and_back(numbers[3:5], method))


@pytest.mark.parametrize(("method", "bits"), [("int8", 8.1), ("fp8", 8.1), ("int4", 4.5), ("nf4", 4.5)])
def test_sizes_are_as_published(method: str, bits: float) -> None:
    assert PACKINGS[method].row_bytes(3072) * 8 / 3072 == pytest.approx(bits, abs=0.1)
