"""How a matrix is kept in fewer bytes than its numbers need: rows of numbers (R, C) ↔ rows of bytes (R, n), uint8.

Two kinds of packing. GGUF's blocks, which come from a file and are only read; and four that any weights can be packed
in while they are read, each row by itself. Every row carries its own scales, so rows can be joined, cut and moved as
bytes.

    int8   a step per row, absmax / 127                               8 bits        |error| ≤ absmax of the row / 254
    fp8    float8 (e4m3) of w · 448 / absmax of the row               8 bits        |error| ≤ |w| / 16 (or a 1/2¹⁰ step)
    int4   steps from the least to the largest of each 64             4.5 bits      |error| ≤ (largest − least) / 30
    nf4    the nearest of sixteen quantiles of a normal, of each 64   4.5 bits      |error| ≤ 0.152 · absmax of the 64

int8: Dettmers et al. 2022, arXiv:2208.07339 §2 (absmax, its vector-wise form, weights alone). nf4: Dettmers et al.
2023, arXiv:2305.14314 §3, Appendix E. float8: Micikevicius et al. 2022, arXiv:2209.05433.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from nodes.models.weights import fused
from nodes.models.weights.blocks import BLOCKS, CHUNK, dequantise

GROUP = 64
"""Numbers of a row that share a scale in 4 bits."""

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The sixteen numbers of NF4, arXiv:2305.14314 Appendix E."""

FP4 = (0.0, 1 / 192, 2 / 3, 1.0, 1 / 3, 1 / 2, 1 / 6, 1 / 4)
"""What bitsandbytes' FP4 has by code; the codes from 8 on are the same below zero."""

FP8_MOST = 448.0


@dataclass(frozen=True)
class Packing:
    """row_bytes  of a row of C numbers; 0 when such a row cannot be packed so

    numbers  rows of bytes (R, n) and their float32 (R, C), to be filled
    pack     float32 (R, C) to rows of bytes; None for what only comes from files
    """

    row_bytes: Callable[[int], int]
    numbers: Callable[[Tensor, Tensor], None]
    pack: Callable[[Tensor], Tensor] | None = None


def unpack(rows: Tensor, packing: str, out: Tensor) -> None:
    """Fill `out` (R, C) of any floating dtype with packed rows (R, n), exact in float32 and rounded once."""
    if packing in BLOCKS:
        dequantise(rows, packing, out)
        return
    if fused.fill(rows, packing, out):
        return
    rows, step = rows.view(torch.uint8), len(rows)
    if rows.device.type == "cpu":
        step = max(1, CHUNK // max(1, out.shape[1]))
    for at in range(0, len(rows), max(1, step)):
        target = out[at : at + step]
        numbers = target if out.dtype == torch.float32 else torch.empty(target.shape, device=out.device)
        PACKINGS[packing].numbers(rows[at : at + step], numbers)
        if numbers is not target:
            target.copy_(numbers)


def unpacked(rows: Tensor, packing: str, columns: int, dtype: torch.dtype) -> Tensor:
    """The same as a new tensor (R, C); in a compiled graph on a GPU one operator."""
    made = fused.in_graph(rows, packing, columns, dtype)
    if made is None:
        made = torch.empty(len(rows), columns, dtype=dtype, device=rows.device)
        unpack(rows, packing, made)
    return made


def _int8(rows: Tensor, out: Tensor) -> None:
    columns = out.shape[1]
    out.copy_(rows[:, :columns].view(torch.int8)).mul_(_floats(rows[:, columns:]))


def _to_int8(numbers: Tensor) -> Tensor:
    scale = numbers.abs().amax(1, keepdim=True) / 127
    whole = (numbers / scale.clamp_min(torch.finfo(torch.float32).tiny)).round_().to(torch.int8)
    return torch.cat((whole.view(torch.uint8), scale.view(torch.uint8)), 1)


def _fp8(rows: Tensor, out: Tensor) -> None:
    columns = out.shape[1]
    # As float16, whose exponent counts from 15 and not from 7: torch's own cast of float8 takes ten times as long. What
    # is packed here has no NaN, and a file's would be 480.
    half = rows[:, :columns].view(torch.int8).to(torch.int16).bitwise_left_shift_(7).bitwise_and_(~0x4000)
    out.copy_(half.view(torch.float16)).mul_(_floats(rows[:, columns:]).mul_(256))


def _to_fp8(numbers: Tensor) -> Tensor:
    codes, scale = to_fp8(numbers)
    return as_fp8(codes, scale)


def as_fp8(codes: Tensor, scale: Tensor) -> Tensor:
    """e4m3 (R, C) and a scale per row (R, 1), or one (1,), as packed rows."""
    return torch.cat((codes.view(torch.uint8), scale.float().expand(len(codes), 1).contiguous().view(torch.uint8)), 1)


def to_fp8(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """float32 (R, C) → e4m3 and the scale of each row (R, 1), float32."""
    scale = numbers.abs().amax(1, keepdim=True) / FP8_MOST
    # Rounding may carry the largest a little above the most there is, which would be no number any more.
    small = (numbers / scale.clamp_min(torch.finfo(torch.float32).tiny)).clamp_(-FP8_MOST, FP8_MOST)
    return small.to(torch.float8_e4m3fn), scale


def _int4(rows: Tensor, out: Tensor) -> None:
    codes, tail = _codes(rows, out.shape[1])
    step, least = tail.view(torch.float16).float().unflatten(1, (-1, 2)).unbind(2)
    _ungrouped(codes.float().mul_(step[..., None]).add_(least[..., None]), out)


def _to_int4(numbers: Tensor) -> Tensor:
    grouped = _grouped(numbers)
    least, most = (edge.half() for edge in grouped.aminmax(dim=2))
    step = ((most.float() - least.float()) / 15).half()
    steps = (grouped - least.float()[..., None]) / step.float().clamp_min(2.0**-24)[..., None]
    tail = torch.stack((step, least), 2).flatten(1).view(torch.uint8)
    return torch.cat((_nibbles(steps.round_().clamp_(0, 15)), tail), 1)


def _nf4(rows: Tensor, out: Tensor) -> None:
    codes, tail = _codes(rows, out.shape[1])
    found = torch.index_select(nf4_table(rows.device), 0, codes.reshape(-1).int()).view(codes.shape)
    _ungrouped(found.mul_(tail.view(torch.float32)[..., None]), out)


def _to_nf4(numbers: Tensor) -> Tensor:
    codes, most = _nf4_codes(numbers)
    return torch.cat((_nibbles(codes), most.view(torch.uint8)), 1)


def _nf4_codes(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """(R, C) → the nearest of the sixteen for each number (R, groups, 64), uint8, and the largest of each group."""
    grouped = _grouped(numbers)
    most = grouped.abs().amax(2)
    shares = grouped / most.clamp_min(torch.finfo(torch.float32).tiny)[..., None]
    codes = torch.zeros(shares.shape, dtype=torch.uint8, device=shares.device)
    for one, other in pairwise(NF4):
        codes += shares > (one + other) / 2
    return codes, most


def _fp4_codes(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """As `_nf4_codes`, of FP4."""
    grouped = _grouped(numbers)
    most = grouped.abs().amax(2)
    shares = grouped / most.clamp_min(torch.finfo(torch.float32).tiny)[..., None]
    rising = sorted(FP4)
    place = sum((shares.abs() > (one + other) / 2).to(torch.int64) for one, other in pairwise(rising))
    codes = torch.tensor([FP4.index(one) for one in rising], dtype=torch.uint8, device=shares.device)[place]
    return codes + 8 * (shares < 0).to(torch.uint8), most


def _bnb_four(rows: Tensor, out: Tensor, table: Callable[[torch.device], Tensor]) -> None:
    codes, tail = _codes(rows, out.shape[1])
    codes = torch.stack(codes.unflatten(2, (2, -1)).unbind(2)[::-1], 3)  # two neighbours in a byte, the first one high
    found = torch.index_select(table(rows.device), 0, codes.reshape(-1).int()).view(*tail.shape[:1], -1, GROUP)
    _ungrouped(found.mul_(tail.view(torch.float32)[..., None]), out)


def _to_bnb_four(codes: Tensor, most: Tensor) -> Tensor:
    return torch.cat((((codes[..., ::2] << 4) | codes[..., 1::2]).flatten(1), most.view(torch.uint8)), 1)


def split(rows: Tensor, packing: str, columns: int) -> tuple[Tensor, Tensor]:
    """Packed rows of APART → codes (R, bytes) and scales (R, 1 or groups), apart in memory, and for BITSANDBYTES as it
    knows them."""
    whole = packing in ("bnb-int8", *MULTIPLIED)
    inner = columns if whole else columns // 2
    codes, tail = (_copy(part.view(torch.uint8)) for part in rows.split((inner, rows.shape[1] - inner), 1))
    return codes, tail.view(torch.float32).mul_(127 if packing == "bnb-int8" else 1)


PACKINGS: dict[str, Packing] = {
    "int8": Packing(lambda columns: columns + 4, _int8, _to_int8),
    "fp8": Packing(lambda columns: columns + 4, _fp8, _to_fp8),
    "int4": Packing(lambda columns: _groups(columns) * (GROUP // 2 + 4), _int4, _to_int4),
    "nf4": Packing(lambda columns: _nf4_bytes(columns), _nf4, _to_nf4),
}
METHODS = tuple(PACKINGS)
"""What any weights can be packed in while they are read."""
BITSANDBYTES = ("bnb-int8", "bnb-nf4", "bnb-fp4")
"""What bitsandbytes has products of its own for, in its order of bytes (`layers.bnb`)."""
FP8 = ("fp8", "fp8-matmul")
"""Packings whose rows are e4m3 and a scale."""
MULTIPLIED = ("fp8-matmul",)
"""What is multiplied as it is packed, where the device can (`layers.multiplied`)."""
APART = (*MULTIPLIED, *BITSANDBYTES)
"""What lies in memory as codes and scales apart."""
PACKINGS |= {
    "fp8-matmul": PACKINGS["fp8"],
    "bnb-int8": PACKINGS["int8"],
    "bnb-nf4": Packing(
        lambda columns: 0 if columns % GROUP else _nf4_bytes(columns),
        lambda rows, out: _bnb_four(rows, out, nf4_table),
        lambda numbers: _to_bnb_four(*_nf4_codes(numbers)),
    ),
    "bnb-fp4": Packing(
        lambda columns: 0 if columns % GROUP else _nf4_bytes(columns),
        lambda rows, out: _bnb_four(rows, out, fp4_table),
        lambda numbers: _to_bnb_four(*_fp4_codes(numbers)),
    ),
}


def _from_file(kind: str) -> Packing:
    _, nbytes, elements = BLOCKS[kind]
    numbers: Callable[[Tensor, Tensor], None] = lambda rows, out: dequantise(rows, kind, out)  # noqa: E731
    return Packing(lambda columns: 0 if columns % elements else columns // elements * nbytes, numbers)


PACKINGS |= {kind: _from_file(kind) for kind in BLOCKS}


def _groups(columns: int) -> int:
    return -(-columns // GROUP)


def _grouped(numbers: Tensor) -> Tensor:
    """(R, C) → (R, groups, 64), the last group filled up with the last number, which changes no edge of it."""
    short = -numbers.shape[1] % GROUP
    if short:
        numbers = torch.cat((numbers, numbers[:, -1:].expand(-1, short)), 1)
    return numbers.unflatten(1, (-1, GROUP))


def _ungrouped(grouped: Tensor, out: Tensor) -> None:
    """(R, groups, 64) → (R, C), without what filled the last group up."""
    out.copy_(grouped.flatten(1)[:, : out.shape[1]])


def _nibbles(codes: Tensor) -> Tensor:
    """(R, groups, 64) from 0 to 15 → (R, groups · 32): the first 32 in low nibbles, the others in high ones."""
    low, high = codes.to(torch.uint8).unflatten(2, (2, GROUP // 2)).unbind(2)
    return (low | (high << 4)).flatten(1)


def _codes(rows: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Packed rows → codes (R, groups, 64), uint8, and the bytes of scales after them (R, groups · 4)."""
    inner = _groups(columns) * (GROUP // 2)
    packed = rows[:, :inner].unflatten(1, (-1, GROUP // 2))
    return torch.cat((packed & 15, packed >> 4), 2), _copy(rows[:, inner:])


def _floats(tail: Tensor) -> Tensor:
    """The last four bytes of rows as float32: (R, 1). A copy, since a row need not begin where a float32 may."""
    return _copy(tail).view(torch.float32)


def _copy(part: Tensor) -> Tensor:
    return part.clone(memory_format=torch.contiguous_format)


def _nf4_bytes(columns: int) -> int:
    return _groups(columns) * (GROUP // 2 + 4)


@cache
def nf4_table(device: torch.device) -> Tensor:
    """NF4's numbers as a tensor (16,)."""
    return torch.tensor(NF4, dtype=torch.float32, device=device)


@cache
def fp4_table(device: torch.device) -> Tensor:
    """FP4's numbers as a tensor (16,)."""
    return torch.tensor((*FP4, *(-one for one in FP4)), dtype=torch.float32, device=device)
