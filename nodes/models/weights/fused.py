"""Whether packed weights become numbers by one kernel (`kernels`), and how a compiled graph says so.

A kernel is taken on a GPU where Triton can be imported. Where it cannot, or a kernel does not compile, torch's own
operations do the same as before, and it is said once in the log.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import library as operators

from nodes.models.weights.gguf import BLOCKS

T = TypeVar("T")
DEVICES = ("cuda",)
NUMBERS = (torch.float32, torch.bfloat16, torch.float16)
"""What kernels write."""
REFUSED: dict[str, str] = {}
"""Packings whose kernel failed, and with what; they are not tried again."""
TO_FP8 = "to fp8"
LONGEST = 1 << 15
"""Numbers of a row that one program holds in registers."""
SHOWN = 300  # characters of what a compiler said


@cache
def _kernels() -> Any:
    """The kernels; None where there are none."""
    try:
        return importlib.import_module("nodes.models.weights.kernels")
    except Exception as error:  # no Triton, or one for another torch, which fails in its own ways
        _say(f"Packed weights are unpacked by torch alone, since Triton cannot be used: {_short(error)}")
        return None


@cache
def _operator() -> operators.Library:
    """The operator "latentloom::unpack" for compiled graphs, which is there while this is kept."""
    ours = operators.Library("latentloom", "DEF")
    ours.define("unpack(Tensor rows, str packing, SymInt columns, ScalarType dtype) -> Tensor")
    ours.impl("unpack", _unpack, "CompositeExplicitAutograd")
    operators.register_fake("latentloom::unpack", _like, lib=ours)
    return ours


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def opaque(device: str, packing: str) -> bool:
    """Whether a graph is to have one operator for a packing. A graph is made with the answer.

    On a GPU that is a kernel's; a CPU's compiler writes good code for rows, but does not follow how GGUF's blocks are
    taken apart by words.
    """
    if (device not in DEVICES or _kernels() is None) and (device != "cpu" or BLOCKS.get(packing, (1, 0))[0] == 1):
        return False
    _operator()
    return True


def in_graph(rows: Tensor, packing: str, columns: int, dtype: torch.dtype) -> Tensor | None:
    """The numbers (R, C) as one operator of the graph that is being made; None outside of one, or where none is."""
    if torch.compiler.is_compiling() and dtype in NUMBERS and opaque(rows.device.type, packing):
        made: Tensor = torch.ops.latentloom.unpack(rows, packing, columns, dtype)
        return made
    return None


def fill(rows: Tensor, packing: str, out: Tensor) -> bool:
    """Fill `out` with packed rows in one launch; False when that is not possible, and nothing was done.

    Rows are whole, so that for GGUF's blocks both may as well be flat.
    """
    if rows.device.type not in DEVICES or torch.compiler.is_compiling():
        return False
    fitting = out.dtype in NUMBERS and rows.is_contiguous() and out.is_contiguous() and rows.device == out.device
    if not fitting or rows.data_ptr() % 4 or not out.numel() or packing in REFUSED:
        return False
    said = f"{packing} weights are unpacked by torch alone, since their kernel failed"
    return _launched(packing, rows, lambda kernels: kernels.launch(rows, packing, out) or True, said) or False


def in_fp8(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """x (M, C) in e4m3 and the scale of each row (M, 1), in one launch; None where that is not possible.

    A compiler makes one kernel of torch's operations itself.
    """
    fitting = x.device.type in DEVICES and not torch.compiler.is_compiling() and x.dtype in NUMBERS
    if not fitting or not x.is_contiguous() or not 0 < x.shape[1] <= LONGEST or not len(x) or TO_FP8 in REFUSED:
        return None
    said = "Numbers are made float8 by torch alone, since their kernel failed"
    return _launched(TO_FP8, x, lambda kernels: kernels.launch_to_fp8(x), said)


def _launched(name: str, on: Tensor, launch: Callable[[Any], T], said: str) -> T | None:
    """What a launch gives, on the device of `on`; None without kernels, and where it failed, which is then said."""
    kernels = _kernels()
    if kernels is None:
        return None
    try:
        with torch.cuda.device(on.device) if on.is_cuda else nullcontext():
            return launch(kernels)
    except Exception as error:  # Triton and its C compiler fail in many ways, torch's operations in none of them
        REFUSED[name] = _short(error)
        _say(f"{said}: {REFUSED[name]}")
        return None


def _unpack(rows: Tensor, packing: str, columns: int, dtype: torch.dtype) -> Tensor:
    out = torch.empty(len(rows), columns, dtype=dtype, device=rows.device)
    importlib.import_module("nodes.models.weights.packing").unpack(rows, packing, out)  # which begins with `fill`
    return out


def _like(rows: Tensor, packing: str, columns: int, dtype: torch.dtype) -> Tensor:
    return rows.new_empty(rows.shape[0], columns, dtype=dtype)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:SHOWN] or type(error).__name__


def _say(what: str) -> None:
    logging.getLogger(__name__).warning(what)
