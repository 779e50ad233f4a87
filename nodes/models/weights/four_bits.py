"""bitsandbytes' 4-bit tensors (NF4, FP4): a file has them as bytes, with scales, tables and a small JSON beside each.

`joined` makes one tensor of each such group, in the shape that the matrix has. Two numbers are in a byte, the first one
high; `blocksize` numbers on end share a scale. Scales may themselves be bytes with a table and scales of their own
(nested). Tables are the file's. Knows no torch. Dettmers et al. 2023, arXiv:2305.14314; bitsandbytes `functional.py`,
QuantState.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graph_runtime.problem import Refused
from nodes.models.weights.config import parse_config
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, product, shown

MARK = ".quant_state.bitsandbytes__"
KINDS = {"nf4": "NF4", "fp4": "FP4"}
MAX_STATE = 4096
SIBLINGS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")


@dataclass(frozen=True, slots=True)
class Nested:
    """Scales that are bytes: offset + table[byte] · scale of its `blocksize` neighbours."""

    scales: TensorInfo
    table: TensorInfo
    blocksize: int
    offset: float


@dataclass(frozen=True, slots=True)
class FourBits(TensorInfo):
    """A matrix (R, C) in 4 bits; `offset` and `nbytes` are of its codes."""

    scales: TensorInfo
    table: TensorInfo
    blocksize: int
    nested: Nested | None = None


def joined(header: Header) -> Header:
    """The header with each group as one tensor. Raises Refused when one is not as bitsandbytes writes it."""
    found: dict[str, TensorInfo] = {}
    gone: set[str] = set()
    for name, info in header.tensors.items():
        weight, mark, kind = name.partition(MARK)
        if mark:
            found[weight] = _group(header, weight, kind, info)
            gone |= {name, *(weight + ending for ending in SIBLINGS)}
    if not found:
        return header
    tensors = {name: found.get(name, info) for name, info in header.tensors.items() if name not in gone}
    return replace(header, tensors=tensors)


def _group(header: Header, weight: str, kind: str, state: TensorInfo) -> FourBits:
    def bad(what: str) -> Refused:
        return bad_file(header.path, f"'{shown(weight)}' is no 4-bit tensor as bitsandbytes writes them: {what}.")

    def beside(ending: str, count: int, *dtypes: str) -> TensorInfo:
        info = header.tensors.get(weight + ending)
        if info is None or info.dtype not in dtypes or info.elements != count:
            came = "is missing" if info is None else f"is {info.dtype} {list(info.shape)}"
            raise bad(f"'{ending}' {came}; {count:,} of {' or '.join(dtypes)} are wanted")
        return info

    told = _state(header, state)
    shape, blocksize = told.get("shape"), told.get("blocksize")
    codes = header.tensors.get(weight)
    if kind not in KINDS or told.get("quant_type") != kind:
        raise bad(f"its type is {shown(kind)}")
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(n) is int and 0 < n < 1 << 32 for n in shape):
        raise bad("its shape is not that of a matrix")
    if type(blocksize) is not int or not 16 <= blocksize <= 1 << 16 or shape[1] % 2:
        raise bad(f"its rows of {shape[1]} or its blocks of {blocksize} are of no use")
    count = product(tuple(shape))
    if codes is None or codes.dtype != "U8" or codes.nbytes * 2 != count:
        raise bad(f"its bytes are not those of {count:,} numbers")
    blocks = -(-count // blocksize)
    table, nested = beside(".quant_map", 16, "F32"), None
    if "nested_blocksize" in told:
        inner, offset = told["nested_blocksize"], told.get("nested_offset")
        if type(inner) is not int or not 16 <= inner <= 1 << 16 or type(offset) not in (int, float):
            raise bad("its scales are not told how they are packed")
        scales = beside(".nested_absmax", -(-blocks // inner), "F32")
        nested = Nested(scales, beside(".nested_quant_map", 256, "F32"), inner, float(offset))
    scales = beside(".absmax", blocks, "U8" if nested else "F32")
    place = (weight, KINDS[kind], (shape[0], shape[1]), codes.path, codes.offset, codes.nbytes)
    return FourBits(*place, scales, table, blocksize, nested)


def _state(header: Header, state: TensorInfo) -> Mapping[str, Any]:
    """The JSON beside a tensor. The only numbers that are read with a header, and few of them."""
    if state.dtype != "U8" or state.nbytes > MAX_STATE:
        what = f"'{shown(state.name)}' has {state.nbytes:,} bytes of {state.dtype}; it is no JSON."
        raise bad_file(header.path, what)
    try:
        with state.path.open("rb") as file:
            file.seek(state.offset)
            return parse_config(file.read(state.nbytes), state.path)
    except OSError as error:
        raise bad_file(state.path, f"It cannot be read: {error.strerror}.", "Check the file.") from None
