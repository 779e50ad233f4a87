"""GGUF's blocks of packed numbers to float32, one function a type, in plain torch.

A function takes whole blocks (N, bytes of a block), uint8, and fills (N, numbers in a block), float32, with the very
numbers that gguf's own numpy gives, bit for bit: each is made by the same multiplications and additions in the same
order. Whole arrays are worked on, without a branch on any value, so it runs on any device and compiles.

A block is a few float16 scales and the numbers as integers of 2 to 8 bits, which lie in its bytes in planes: the lowest
bits of 32 bytes are 32 numbers, the next bits the next 32. So planes are cut out eight bytes at a time, and take their
place in the block in the one copy that also makes them float32.

Formats: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h, `ggml-quants.c` (dequantize_row_*).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from nodes.models.weights import fused

CHUNK = 1 << 20
"""Numbers that are worked on at a time on a CPU: few enough for its cache, many enough for the calls to cost little."""

FOUR_BITS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""The sixteen numbers of IQ4: closer together around 0, where most weights are."""

EACH = 0x0101010101010101
"""1 in each byte of a word."""


def dequantise(blocks: Tensor, kind: str, out: Tensor) -> None:
    """Fill `out` (N,) of any floating dtype with the numbers of packed bytes (N blocks, flat, uint8 or int8).

    Each number is exact in float32 and rounded once. On a CPU only a part at a time is in float32.
    """
    if fused.fill(blocks, kind, out):
        return
    function, nbytes, elements = BLOCKS[kind]
    flat = blocks.reshape(-1).view(torch.uint8)
    rows = (flat.clone() if flat.storage_offset() % 4 else flat).view(-1, nbytes)
    target = out.view(-1, elements)
    step = max(1, min(CHUNK // elements, len(rows)) if rows.device.type == "cpu" else len(rows))
    part = target if out.dtype == torch.float32 else torch.empty(step, elements, device=rows.device)
    for at in range(0, len(rows), step):
        some = rows[at : at + step]
        numbers = part[at : at + step] if part is target else part[: len(some)]
        function(some, numbers)
        if part is not target:
            target[at : at + step] = numbers


def q8_0(blocks: Tensor, out: Tensor) -> None:
    """d · q."""
    out.copy_(blocks[:, 2:].view(torch.int8)).mul_(_halves(blocks, 0))


def q4_0(blocks: Tensor, out: Tensor) -> None:
    """d · (q − 8), 4 bits: the first half of the numbers in low nibbles, the second in high ones."""
    out.copy_(_less(_joined(_nibbles(blocks[:, 2:]), 16), 8).view(-1, 32)).mul_(_halves(blocks, 0))


def q4_1(blocks: Tensor, out: Tensor) -> None:
    """d · q + m."""
    out.copy_(_joined(_nibbles(blocks[:, 4:]), 16).view(-1, 32)).mul_(_halves(blocks, 0)).add_(_halves(blocks, 2))


def q5_0(blocks: Tensor, out: Tensor) -> None:
    """d · (q − 16), the fifth bits apart."""
    out.copy_(_less(_fives(blocks[:, 2:6], blocks[:, 6:]), 16)).mul_(_halves(blocks, 0))


def q5_1(blocks: Tensor, out: Tensor) -> None:
    """d · q + m, the fifth bits apart."""
    out.copy_(_fives(blocks[:, 4:8], blocks[:, 8:])).mul_(_halves(blocks, 0)).add_(_halves(blocks, 2))


def q2_k(blocks: Tensor, out: Tensor) -> None:
    """(d · s) · q − (d' · m) in 16 groups of 16; s and m have 4 bits."""
    nibbles = _nibbles(blocks[:, :16]).view(torch.uint8).view(2, -1, 16)
    both = nibbles.float().mul_(_pair(blocks, 80))[..., None]
    out.copy_(_joined(_planes(blocks[:, 16:80], (0, 2, 4, 6), 0x03 * EACH)).view(-1, 256))
    out.view(-1, 16, 16).mul_(both[0]).sub_(both[1])


def q3_k(blocks: Tensor, out: Tensor) -> None:
    """(d · (s − 32)) · (q − 4) in 16 groups of 16; s has 6 bits, q's third bits lie apart."""
    words = _copy(blocks[:, 96:108]).view(torch.int32)
    lows, high = words[:, :2], words[:, 2:]
    low = torch.cat((lows & 0x0F0F0F0F, (lows >> 4) & 0x0F0F0F0F), 1)
    scales = low | (((high >> _row((0, 2, 4, 6), torch.int32, blocks.device)) & 0x03030303) << 4)
    scale = scales.view(torch.uint8).float().sub_(32).mul_(_halves(blocks, 108))[..., None]
    third = _planes(_joined(_nibbles(blocks[:, :32])), range(4), 0x01 * EACH) << 2
    out.copy_(_less(_joined(_planes(blocks[:, 32:96], (0, 2, 4, 6), 0x03 * EACH) | third), 4).view(-1, 256))
    out.view(-1, 16, 16).mul_(scale)


def q4_k(blocks: Tensor, out: Tensor) -> None:
    """(d · s) · q − (d' · m) in 8 groups of 32; s and m have 6 bits."""
    scale, least = _sixes(blocks)
    out.copy_(_joined(_nibbles(blocks[:, 16:])).view(-1, 256))
    out.view(-1, 8, 32).mul_(scale).sub_(least)


def q5_k(blocks: Tensor, out: Tensor) -> None:
    """As Q4_K, with the fifth bits apart: those of a group are a plane."""
    scale, least = _sixes(blocks)
    fifth = _joined(_planes(blocks[:, 16:48], range(8), 0x01 * EACH)).view(torch.int64) << 4
    low = _joined(_nibbles(blocks[:, 48:])).view(torch.int64)
    out.copy_((low | fifth).view(torch.uint8).view(-1, 256))
    out.view(-1, 8, 32).mul_(scale).sub_(least)


def q6_k(blocks: Tensor, out: Tensor) -> None:
    """(d · s) · (q − 32) in 16 groups of 16; s has 8 bits, q's highest two lie apart."""
    scale = blocks[:, 192:208].view(torch.int8).float().mul_(_halves(blocks, 208))[..., None]
    low = _nibbles(blocks[:, :128].view(-1, 2, 2, 32).permute(2, 0, 1, 3)).view(4, -1)
    high = _planes(blocks[:, 128:192], (0, 2, 4, 6), 0x03 * EACH) << 4
    out.copy_(_less(_joined(low | high), 32).view(-1, 256))
    out.view(-1, 16, 16).mul_(scale)


def iq4_nl(blocks: Tensor, out: Tensor) -> None:
    """d · one of sixteen numbers."""
    out.copy_(_sixteen(_joined(_nibbles(blocks[:, 2:]), 16)).view(-1, 32)).mul_(_halves(blocks, 0))


def iq4_xs(blocks: Tensor, out: Tensor) -> None:
    """(d · (s − 32)) · one of sixteen numbers, in 8 groups of 32; s has 6 bits."""
    high = blocks.view(torch.int16)[:, 1:2].int() >> _row(range(0, 16, 2), torch.int32, blocks.device)
    low = torch.stack((blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4), 2).view(-1, 8)
    scale = (low | ((high & 3) << 4)).float().sub_(32).mul_(_halves(blocks, 0))[..., None]
    out.copy_(_sixteen(_joined(_nibbles(blocks[:, 8:]), 16)).view(-1, 256))
    out.view(-1, 8, 32).mul_(scale)


BLOCKS: dict[str, tuple[Callable[[Tensor, Tensor], None], int, int]] = {
    "Q8_0": (q8_0, 34, 32),
    "Q4_0": (q4_0, 18, 32),
    "Q4_1": (q4_1, 20, 32),
    "Q5_0": (q5_0, 22, 32),
    "Q5_1": (q5_1, 24, 32),
    "Q2_K": (q2_k, 84, 256),
    "Q3_K": (q3_k, 110, 256),
    "Q4_K": (q4_k, 144, 256),
    "Q5_K": (q5_k, 176, 256),
    "Q6_K": (q6_k, 210, 256),
    "IQ4_NL": (iq4_nl, 18, 32),
    "IQ4_XS": (iq4_xs, 136, 256),
}
"""By the format's name: how, bytes of a block, numbers in it."""


def _halves(blocks: Tensor, at: int) -> Tensor:
    """The float16 at byte `at`, as float32: (N, 1)."""
    return blocks.view(torch.float16)[:, at // 2 : at // 2 + 1].float()


def _pair(blocks: Tensor, at: int) -> Tensor:
    """The two float16 at byte `at`, as float32: (2, N, 1)."""
    return _copy(blocks.view(torch.int32)[:, at // 4]).view(torch.float16).view(-1, 2).t().float()[..., None]


def _less(numbers: Tensor, amount: int) -> Tensor:
    """Bytes from 0 to 127, less an amount, as int8: a fourth of the work that it is in float32."""
    return numbers.view(torch.int8).sub_(amount)


def _copy(part: Tensor) -> Tensor:
    """One after the other, from where a word may begin: what a slice of a single block is called contiguous without."""
    return part.clone(memory_format=torch.contiguous_format)


def _nibbles(packed: Tensor) -> Tensor:
    """Low nibbles of bytes, then high ones: (2, bytes/8), int64."""
    return _planes(packed, (0, 4), 0x0F * EACH)


def _planes(packed: Tensor, shifts: tuple[int, ...] | range, mask: int) -> Tensor:
    """Bytes, a multiple of eight of them, each shifted right by each shift and masked: (shifts, bytes/8), int64."""
    words = _copy(packed).view(-1).view(torch.int64)
    return (words >> _row(shifts, torch.int64, packed.device)[:, None]).bitwise_and_(mask)


def _joined(planes: Tensor, width: int = 32) -> Tensor:
    """`width` bytes of the first plane, as many of each other, then the next of the first: (P, n), int64 → flat uint8.

    Bytes are copied; complex128 is only a name for 16 of them at once, four times as fast as one by one. mps has none.
    """
    some = torch.complex128 if width == 16 and planes.device.type != "mps" else torch.uint8
    parts = [plane.view(some).view(-1, width // some.itemsize) for plane in planes]
    return torch.cat(parts, 1).view(-1).view(torch.uint8)


def _fives(high: Tensor, low: Tensor) -> Tensor:
    """Nibbles (N, 16) and the bits above them (N, 4) → (N, 32), uint8."""
    bits = torch.index_select(_spread(high.device), 0, high.reshape(-1).int())
    return (_joined(_nibbles(low), 16).view(torch.int64) | bits).view(torch.uint8).view(-1, 32)


def _sixes(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and the offset of each of 8 groups, (N, 8, 1): d and d', twice 8 numbers of 6 bits in 12 bytes.

    Four bytes at a time: the first four of each kind whole, the others' low four bits together and high two bits apart.
    """
    words = blocks.view(torch.int32)[:, 1:4]
    first, rest = words[:, :2], words[:, 2:]
    low = (rest >> _row((0, 4), torch.int32, blocks.device)) & 0x0F0F0F0F
    rest = low | ((first >> 2) & 0x30303030)
    six = torch.stack(((first & 0x3F3F3F3F).t(), rest.t()), 2).view(torch.uint8)  # (2, N, 8)
    both = six.float().mul_(_pair(blocks, 0))[..., None]
    return both[0], both[1]


def _sixteen(nibbles: Tensor) -> Tensor:
    """Each nibble's number of FOUR_BITS, flat, float32. Looked up two at a time."""
    index = nibbles.view(torch.int16).int()
    return torch.index_select(_twos(nibbles.device), 0, index).view(torch.float32)


@cache
def _row(numbers: tuple[int, ...] | range, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(list(numbers), dtype=dtype, device=device)


@cache
def _spread(device: torch.device) -> Tensor:
    """A byte → eight bytes, bit i of it as bit 4 of byte i: (256,), int64."""
    numbers = [sum((byte >> i & 1) << (8 * i + 4) for i in range(8)) for byte in range(256)]
    return torch.tensor(numbers, dtype=torch.int64, device=device)


@cache
def _twos(device: torch.device) -> Tensor:
    """Two nibbles a + 256·b → their two float32 numbers, as one int64: (4096,)."""
    numbers = torch.tensor(FOUR_BITS, dtype=torch.float32, device="cpu")
    first, second = numbers.repeat(256), numbers.repeat_interleave(256)
    return torch.stack((first, second), 1).view(torch.int64).view(-1).to(device)
