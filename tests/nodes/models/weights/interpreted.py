"""Run by test_kernels.py in a process of its own, where Triton's interpreter takes the compiler's place.

Prints a JSON list: for each packing, shape and dtype how many numbers are not torch's and gguf's own, bit for bit; then
what became of a PackedLinear whose numbers came from a kernel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from test_blocks import truth, valid
from torch import Tensor
from torch import library as operators

from nodes.models.layers.packed import PackedLinear
from nodes.models.weights import fused, kernels
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.packing import FP8, PACKINGS, to_fp8, unpack

# Rows and columns: one block; several rows of it; programs that are not filled; rows that end within a group of 64.
SHAPES = ((1, 256), (3, 512), (37, 768), (2, 1280), (5, 64), (4, 1), (9, 65), (7, 1100), (8, 32))
SINGLE = (0.0, -0.0, 1e-40, -1e-45, 2.0**-126, -0.37, 2.0**118, -3.0)  # a subnormal among them
HALF = (0.0, -0.0, 2.0**-24, -(2.0**-24), 65504.0, -65504.0, 0.37, -1.5)


def drawn(packing: str, rows: int, columns: int) -> Tensor:
    """Packed rows of every byte and every kind of scale; of a type of blocks none is no number."""
    r = np.random.default_rng(rows)
    if packing in BLOCKS:
        _, _, size = BLOCKS[packing]
        return torch.from_numpy(valid(packing, max(6, rows * columns // size), seed=rows))[: rows * columns // size]
    data = r.integers(0, 256, (rows, PACKINGS[packing].row_bytes(columns)), np.uint8)
    inner = columns if packing.endswith("int8") or packing in FP8 else -(-columns // 64) * 32
    scales = data[:, inner:]
    kind, some = (np.float16, HALF) if packing == "int4" else (np.float32, SINGLE)
    scales[:] = r.choice(np.array(some, kind), (rows, scales.shape[1] // kind().itemsize)).view(np.uint8)
    return torch.from_numpy(data)


Numbers = Callable[[torch.dtype], Tensor]


def exact(packing: str, packed: Tensor, rows: int, columns: int) -> Iterator[tuple[str, Numbers]]:
    """Who says what the numbers are."""

    def by_torch(dtype: torch.dtype) -> Tensor:
        out = torch.empty(rows, columns, dtype=dtype)
        unpack(packed.view(rows, -1), packing, out)
        return out

    yield "torch", by_torch
    if packing in BLOCKS:
        numbers = truth(packing, packed.numpy()).view(rows, columns)
        yield "gguf", numbers.to


def bits(numbers: Tensor) -> Tensor:
    return numbers.view(torch.int32 if numbers.dtype == torch.float32 else torch.int16)


def differing(out: Tensor, wanted: Numbers) -> int:
    """How many numbers have other bits. bfloat16's are those of float32 cut off, which is all that the interpreter can,
    and it can that of no number below 2⁻¹²⁶; compiled kernels round."""
    if out.dtype != torch.bfloat16:
        return int((bits(out) != bits(wanted(out.dtype))).sum())
    whole = wanted(torch.float32)
    usual = (whole == 0) | (whole.abs() >= 2.0**-126)
    return int(((bits(out) != (bits(whole) >> 16).to(torch.int16)) & usual).sum())


def compared(packing: str) -> Iterator[dict[str, Any]]:
    for rows, columns in SHAPES:
        if not PACKINGS[packing].row_bytes(columns):
            continue
        packed = drawn(packing, rows, columns)
        for who, wanted in exact(packing, packed, rows, columns):
            for dtype in fused.NUMBERS:
                out = torch.full((rows, columns), 7.0, dtype=dtype)
                kernels.launch(packed, packing, out)
                wrong = differing(out, wanted)
                yield {"packing": packing, "by": who, "dtype": str(dtype), "shape": [rows, columns], "wrong": wrong}


def in_a_layer() -> dict[str, Any]:
    """A layer whose weight comes from a kernel, as it is and compiled, beside torch's."""
    torch.manual_seed(0)
    layer, x = PackedLinear(256, 24, "Q4_K", bias=False), torch.randn(3, 256)
    layer.weight.copy_(torch.from_numpy(valid("Q4_K", 24, seed=1)).view(torch.int8))
    by_torch = layer(x)
    fused.DEVICES = ("cpu",)  # type: ignore[assignment]
    seen: list[str] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    launch = kernels.launch
    calls: list[str] = []

    def counted(rows: Tensor, packing: str, out: Tensor) -> None:
        calls.append(packing)
        launch(rows, packing, out)

    kernels.launch = counted
    own = layer(x)
    compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=True)
    results = [own, compiled(x), compiled(torch.cat((x, x)))[:3]]
    made = len(calls)
    checks = operators.opcheck(torch.ops.latentloom.unpack.default, (layer.weight, "Q4_K", 256, torch.float32))
    results.append(torch.compile(layer, fullgraph=True, dynamic=True)(x))
    same = [torch.allclose(by_torch, one, rtol=1e-5, atol=1e-5 * float(by_torch.abs().max())) for one in results]
    return {"same": same, "calls": made, "graph": seen, "checks": checks, "refused": fused.REFUSED}


def in_fp8() -> dict[str, Any]:
    """Whether rows are made float8 by a kernel as by torch, bit for bit: scales of any rows, and codes of rows that
    float8 has exactly, since the interpreter does not round as a compiled kernel does."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(9, 200, generator=g) * 10
    x[3], x[4] = 0.0, 1e-3
    _, scales = kernels.launch_to_fp8(x)
    codes = torch.arange(256, dtype=torch.uint8).repeat(9, 1)
    codes[:, 127], codes[:, 255] = 126, 0  # the largest in each row; there is no NaN
    numbers = codes.view(torch.float8_e4m3fn).float() * 2.0 ** torch.arange(-5, 4)[:, None]
    came, own = kernels.launch_to_fp8(numbers)
    same = torch.equal(came.view(torch.uint8), codes) and torch.equal(own, to_fp8(numbers)[1])
    return {"scales": torch.equal(scales, to_fp8(x)[1]), "codes": same}


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = [one for packing in kernels.KERNELS for one in compared(packing)]
    print(json.dumps({"numbers": found, "fp8": in_fp8(), "layer": in_a_layer()}))
