from __future__ import annotations

import gguf.quants
import numpy as np
import pytest
import torch
from torch import Tensor

from nodes.models.weights import blocks
from nodes.models.weights import gguf as format_

KINDS = sorted(blocks.BLOCKS)
# Where the float16 scales of a block are: everything else in it is integers, of which every one is valid.
SCALES = {
    "Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,),
    "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,),
}  # fmt: skip
SMALLEST, LARGEST = 2.0**-24, 65504.0  # float16's, the smallest being a subnormal


def valid(kind: str, count: int, seed: int) -> np.ndarray:
    """Blocks (count, bytes) of random integers, with scales of every size and sign float16 has, its ends and zeros."""
    r = np.random.default_rng(seed)
    data = r.integers(0, 256, (count, blocks.BLOCKS[kind][1]), np.uint8)
    for at in SCALES[kind]:
        signed = 2.0 ** r.uniform(-24, 16, count) * r.choice([-1, 1], count)
        scales = signed.clip(-LARGEST, LARGEST).astype(np.float16)
        scales[:6] = [0.0, -0.0, SMALLEST, -SMALLEST, LARGEST, -LARGEST]
        data[:, at : at + 2] = r.permutation(scales)[:, None].view(np.uint8)
    return data


def bits(numbers: Tensor) -> Tensor:
    return numbers.contiguous().view(torch.int32)


def truth(kind: str, data: np.ndarray) -> Tensor:
    return torch.from_numpy(gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind]))


def test_every_type_has_the_blocks_that_the_format_says() -> None:
    assert {kind: (size, nbytes) for kind, (_, nbytes, size) in blocks.BLOCKS.items()} == {
        kind: format_.BLOCKS[kind] for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_gguf_own_bit_for_bit(kind: str) -> None:
    """2,000 valid blocks, the signs of zeros included."""
    data = valid(kind, 2000, seed=1)
    out = torch.empty(2000 * blocks.BLOCKS[kind][2])
    blocks.dequantise(torch.from_numpy(data), kind, out)
    assert torch.equal(bits(out), bits(truth(kind, data).view(-1)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_of_a_block_counts(kind: str) -> None:
    """Each bit but the sign of a zero, changed alone, changes a number: no bit is read wrongly and yet unnoticed."""
    one = valid(kind, 64, seed=2)[:1].copy()
    for at in SCALES[kind]:
        one[0, at : at + 2] = np.array([0.37], np.float16).view(np.uint8)
    flipped = np.repeat(one, one.shape[1] * 8, 0)
    flipped[np.arange(len(flipped)), np.arange(len(flipped)) // 8] ^= np.tile(1 << np.arange(8), one.shape[1]).astype(
        np.uint8
    )
    out = torch.empty(len(flipped), blocks.BLOCKS[kind][2])
    blocks.dequantise(torch.from_numpy(flipped), kind, out.view(-1))
    assert torch.equal(bits(out), bits(truth(kind, flipped)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_are_the_exact_number_rounded_once(
    kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the blocks are worked on in several parts, the last one shorter."""
    monkeypatch.setattr(blocks, "CHUNK", 1024)
    data = valid(kind, 101, seed=3)
    out = torch.empty(101 * blocks.BLOCKS[kind][2], dtype=dtype)
    blocks.dequantise(torch.from_numpy(data).view(torch.int8), kind, out)
    assert torch.equal(out, truth(kind, data).view(-1).to(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_block_may_begin_at_any_byte(kind: str) -> None:
    data = valid(kind, 6, seed=4)[:1]
    for offset in range(4):
        shifted = torch.from_numpy(np.concatenate((np.zeros(offset, np.uint8), data[0])))[offset:]
        out = torch.empty(blocks.BLOCKS[kind][2])
        blocks.dequantise(shifted, kind, out)
        assert torch.equal(bits(out), bits(truth(kind, data).view(-1)))


def test_no_block_is_no_number() -> None:
    blocks.dequantise(torch.empty(0, dtype=torch.uint8), "Q4_K", torch.empty(0))
