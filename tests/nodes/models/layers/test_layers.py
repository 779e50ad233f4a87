"""Properties of the shared parts."""

from __future__ import annotations

import math

import torch

from nodes.models.layers.embed import sinusoid
from nodes.models.layers.norm import RMSNorm, plain_norm
from nodes.models.layers.rope import rope_table, rotate

AXES = (4, 6, 6)


def test_a_rotation_keeps_lengths() -> None:
    table = rope_table(torch.randint(0, 50, (9, 3)), AXES, 10000)
    x = torch.randn(2, 3, 9, 16)
    assert torch.allclose(rotate(x, table).norm(dim=-1), x.norm(dim=-1), atol=1e-5)


def test_only_differences_of_positions_count() -> None:
    q, k = torch.randn(1, 1, 1, 16), torch.randn(1, 1, 1, 16)
    here, there = torch.tensor([[0.0, 3, 5]]), torch.tensor([[0.0, 9, 1]])
    moved = torch.tensor([[2.0, 11, 7]])

    def product(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((rotate(q, rope_table(a, AXES, 10000)) * rotate(k, rope_table(b, AXES, 10000))).sum())

    assert math.isclose(product(here, there), product(here + moved, there + moved), abs_tol=1e-4)
    assert not math.isclose(product(here, there), product(here, here), abs_tol=1e-2)


def test_position_zero_turns_nothing() -> None:
    x = torch.randn(1, 2, 3, 16)
    assert torch.equal(rotate(x, rope_table(torch.zeros(3, 3), AXES, 10000)), x)


def test_pairs_are_neighbours() -> None:
    x = torch.zeros(1, 1, 1, 16)
    x[..., 4] = 1  # first of the first pair of the second axis
    turned = rotate(x, rope_table(torch.tensor([[0.0, 1.0, 0.0]]), AXES, 10000))[0, 0, 0]
    assert torch.allclose(turned[4:6], torch.tensor([math.cos(1), math.sin(1)]), atol=1e-6)
    assert turned.count_nonzero() == 2


def test_a_sinusoid_begins_with_the_fastest_cosine() -> None:
    found = sinusoid(torch.tensor([0.5, 730.0]), 256)
    assert found.shape == (2, 256)
    assert torch.allclose(found[:, 0], torch.tensor([math.cos(0.5), math.cos(730.0)]), atol=1e-4)
    assert torch.allclose(found[:, 128], torch.tensor([math.sin(0.5), math.sin(730.0)]), atol=1e-4)


def test_norms() -> None:
    x = torch.randn(4, 16) * 7 + 3
    assert torch.allclose(RMSNorm(16)(x).square().mean(-1), torch.ones(4), atol=1e-4)
    plain = plain_norm(x)
    assert torch.allclose(plain.mean(-1), torch.zeros(4), atol=1e-5)
    assert torch.allclose(plain.var(-1, unbiased=False), torch.ones(4), atol=1e-4)
