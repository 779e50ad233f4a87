"""Triton's kernels without a GPU: the interpreter runs them, the compiler makes them, and what fails is torch's to do.

The interpreter is chosen when Triton is imported, so it has a process of its own (interpreted.py).
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from nodes.models.layers.packed import PackedLinear
from nodes.models.weights import fused
from nodes.models.weights.packing import PACKINGS, unpack

ROOT = Path(__file__).parents[4]
ON = f"{platform.system()} {platform.machine()}"
triton: Any = pytest.importorskip("triton", reason=f"Triton is not installed, as on {ON} it may not be made")
kernels: Any = pytest.importorskip("nodes.models.weights.kernels")

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ROUNDED = {"bf16": "cvt.rn.bf16", "fp16": "cvt.rn.f16"}
# Kernels once each, whatever the names they are known by.
KINDS = sorted({id(one.function): kind for kind, one in reversed(kernels.KERNELS.items())}.values())


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    """What the interpreter found."""
    program = Path(__file__).with_name("interpreted.py")
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_packing_has_a_kernel() -> None:
    assert kernels.KERNELS.keys() == PACKINGS.keys()


@pytest.mark.parametrize("packing", sorted(PACKINGS))
def test_a_kernel_writes_the_numbers_of_torch_and_of_gguf_bit_for_bit(
    packing: str, interpreted: dict[str, Any]
) -> None:
    """In float32, float16 and (cut, as the interpreter does it) bfloat16, of several shapes and every kind of scale."""
    found = [one for one in interpreted["numbers"] if one["packing"] == packing]
    assert {one["dtype"] for one in found} == {str(dtype) for dtype in fused.NUMBERS}
    assert {one["by"] for one in found} == ({"torch", "gguf"} if packing.isupper() or "_" in packing else {"torch"})
    assert [one for one in found if one["wrong"]] == []


def test_a_layer_takes_the_kernel_and_a_graph_takes_it_as_one_operator(interpreted: dict[str, Any]) -> None:
    layer = interpreted["layer"]
    assert layer["same"] == [True] * 4  # as it is, twice in one graph, and through Inductor
    assert layer["calls"] == 3 and layer["refused"] == {}
    assert layer["graph"].count("latentloom.unpack") == 1 and len(layer["graph"]) <= 6
    assert set(layer["checks"].values()) == {"SUCCESS"}


@pytest.mark.parametrize(
    ("packing", "device", "operators"),
    [("Q4_K", "cuda", 1), ("nf4", "cuda", 1), ("Q4_K", "cpu", 1), ("int8", "cpu", 0)],
)
def test_a_graph_has_the_operator_but_where_the_cpus_compiler_does_as_well(
    packing: str, device: str, operators: int
) -> None:
    """Of tensors that only say that they are there."""
    seen: list[str] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True), torch.device(device), torch.no_grad():
        layer, x = PackedLinear(256, 32, packing, bias=False), torch.empty(2, 20, 256, dtype=torch.bfloat16)
        y = torch.compile(layer, backend=backend, fullgraph=True, dynamic=True)(x)
    assert y.shape == (2, 20, 32) and y.dtype == x.dtype and y.device.type == device
    assert seen.count("latentloom.unpack") == operators


def test_rows_are_made_float8_as_by_torch(interpreted: dict[str, Any]) -> None:
    assert interpreted["fp8"] == {"scales": True, "codes": True}


def made(kind: str, dtype: str, capability: int) -> Any:
    """A kernel compiled for a GPU that need not be there, for memory and rows as they usually begin."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = kernels.KERNELS[kind]
    signature = {
        "rows": "*u8", "out": f"*{dtype}", "table": "*fp32" if kernel.table else "constexpr", "count": "i32",
        "columns": "i32", "LINES": "constexpr",
    }  # fmt: skip
    fixed = {"LINES": kernel.lines} | ({} if kernel.table else {"table": None})
    aligned = {(i,): [["tt.divisibility", 16]] for i in (0, 1, 4, *([2] if kernel.table else []))}
    source = ASTSource(kernel.function, signature=signature, constexprs=fixed, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32))


def usage(cubin: bytes, folder: Path) -> dict[str, int]:
    """What a compiled kernel takes, by NVIDIA's own tool: registers, and bytes of a thread's stack and memory."""
    path = folder / "kernel.cubin"
    path.write_bytes(cubin)
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    told = subprocess.run([tool, "-res-usage", path], capture_output=True, text=True, check=True)
    return {name: int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", told.stdout + told.stderr)}


def check(kind: str, dtype: str, capability: int, folder: Path) -> None:
    compiled = made(kind, dtype, capability)
    ptx = compiled.asm["ptx"]
    taken = usage(compiled.asm["cubin"], folder)
    assert taken["STACK"] == taken["LOCAL"] == 0, "registers are spilled"
    assert taken["REG"] <= 64  # so that 1,024 threads of four warps each are at work at once
    assert ".ftz" not in ptx, "subnormals would become zero"
    assert "st.global.v4.b32" in ptx, "16 bytes are written at a time"
    if dtype in ROUNDED:
        assert ROUNDED[dtype] in ptx and not re.search(r"cvt\.rz\.(bf16|f16)", ptx)


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if not (Path(triton.__file__).parent / "backends/nvidia/bin/ptxas").exists():
        pytest.skip(f"this Triton ({ON}) has no ptxas")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_compiles_for_hopper_and_rounds_to_bfloat16_without_spilling(kind: str, compiler: Path) -> None:
    check(kind, "bf16", 90, compiler)


@pytest.mark.parametrize("capability", [89, 90])
def test_rows_as_long_as_any_are_made_float8_without_spilling(capability: int, compiler: Path) -> None:
    """On 8.9 by way of float16, which may round a number twice; on 9.0 at once."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {"x": "*bf16", "codes": "*fp8e4nv", "scales": "*fp32", "columns": "i32", "WIDTH": "constexpr"}
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(4)}
    source = ASTSource(kernels._to_fp8, signature=signature, constexprs={"WIDTH": fused.LONGEST}, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 16})
    taken = usage(compiled.asm["cubin"], compiler)
    assert taken["STACK"] == taken["LOCAL"] == 0 and taken["REG"] <= 128
    assert "cvt.rn.satfinite.e4m3x2" in compiled.asm["ptx"] and "div.rn.f32" in compiled.asm["ptx"]


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 89, 90, 120])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_compiles_for_every_gpu_and_dtype(kind: str, dtype: str, capability: int, compiler: Path) -> None:
    check(kind, dtype, capability, compiler)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, where the CPU is taken for a device that has kernels."""
    monkeypatch.setattr(fused, "DEVICES", ("cpu",))
    monkeypatch.setattr(fused, "REFUSED", {})
    fused._kernels.cache_clear()
    caplog.set_level(logging.WARNING)
    yield caplog
    fused._kernels.cache_clear()


def layer() -> PackedLinear:
    one, pack = PackedLinear(64, 8, "nf4", bias=False), PACKINGS["nf4"].pack
    assert pack is not None
    one.weight.copy_(pack(torch.randn(8, 64, generator=torch.Generator().manual_seed(0))).view(torch.int8))
    return one


def weight(one: PackedLinear) -> torch.Tensor:
    out = torch.empty(8, 64)
    PACKINGS["nf4"].numbers(one.weight.view(torch.uint8), out)
    return out


def test_a_kernel_that_fails_is_torchs_to_do_and_that_is_said_once(told: pytest.LogCaptureFixture) -> None:
    """Here each fails: there is no GPU whose driver would take it."""
    one = layer()
    for _ in range(3):
        assert torch.equal(one.unpacked(torch.float32), weight(one))
    assert fused.REFUSED.keys() == {"nf4"}
    said = [record.getMessage() for record in told.records]
    assert len(said) == 1 and said[0].startswith("nf4 weights are unpacked by torch alone")


def test_without_triton_torch_does_it_and_that_is_said_once(
    told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nodes.models.weights.kernels", None)  # torch's own compiler asks for Triton too
    one = layer()
    compiled = torch.compile(one.unpacked, backend="eager", fullgraph=True)
    for made_ in (one.unpacked(torch.float32), one.unpacked(torch.float32), compiled(torch.float32)):
        assert torch.equal(made_, weight(one))
    said = [record.getMessage() for record in told.records]
    assert len(said) == 1 and "since Triton cannot be used" in said[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_on_the_cpu_no_kernel_is_asked(dtype: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    out = torch.empty(8, 64, dtype=dtype)
    unpack(layer().weight, "nf4", out)
    assert torch.equal(out, weight(layer()).to(dtype)) and not fused.REFUSED and not caplog.records
