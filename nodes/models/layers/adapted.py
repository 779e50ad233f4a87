"""LoRAs as two matrices beside each Linear, read when it is called: what a compiled graph takes without being new.

`layers.lowrank` adds the same products by hooks. A hook is a part of the code that is compiled, so another LoRA would
be other code; here the code is always the same, and what differs are the matrices and their rank, which is a size like
any other. So that it is the same for all blocks, a Linear without a product gets one of zeroes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.layers.lowrank import LowRank, Product
from nodes.models.layers.multiplied import Fp8Linear
from nodes.models.layers.packed import PackedLinear

RANKS = 8
"""A rank is filled up to a multiple of this, which is how GPUs like their matrices; and it is never 0 or 1, which a
compiler takes for another case."""


class Beside(NamedTuple):
    """down (rank, C), up (R, rank): up · down · x is added to what a Linear gives."""

    down: Tensor
    up: Tensor


class AdaptedLinear(nn.Linear):
    """A Linear that adds a low-rank product, where it has been given one."""

    beside: Beside | None

    def forward(self, x: Tensor) -> Tensor:
        return plus(super().forward(x), x, self.beside)


class AdaptedPacked(PackedLinear):
    """The same for packed weights."""

    beside: Beside | None

    def forward(self, x: Tensor) -> Tensor:
        return plus(super().forward(x), x, self.beside)


class AdaptedFp8(AdaptedPacked, Fp8Linear):
    """The same for weights that are multiplied as they are packed; the product stays what it is."""


ADAPTED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: AdaptedLinear,
    PackedLinear: AdaptedPacked,
    Fp8Linear: AdaptedFp8,
}


def plus(y: Tensor, x: Tensor, beside: Beside | None) -> Tensor:
    """y + up · down · x; y (…, R), x (…, C)."""
    if beside is None:
        return y
    return y + F.linear(F.linear(x.to(beside.down.dtype), beside.down), beside.up).to(y.dtype)


def adaptable(net: nn.Module) -> None:
    """Let every Linear of a network take a product.

    It becomes the other class where it is, so that its name, its weights and whoever holds it stay. Others of its kind,
    such as those that bitsandbytes computes, stay what they are.
    """
    for module in net.modules():
        if type(module) in ADAPTED:
            module.__class__ = ADAPTED[type(module)]
            module.beside = None  # a compiler tells what an object has from what its class has


@contextmanager
def adapted(net: nn.Module, loras: Sequence[tuple[LowRank, float]]) -> Iterator[None]:
    """Inside the `with` block, an adaptable network gives what it gives plus strength · each LoRA's products."""
    if not loras:
        yield
        return
    found: dict[str, list[tuple[Product, float]]] = {}
    for changes, strength in loras:
        for name, product in changes:
            found.setdefault(name, []).append((product, strength))
    like = next(product.down for products in found.values() for product, _ in products)
    linears = {name: one for name, one in net.named_modules() if isinstance(one, AdaptedLinear | AdaptedPacked)}
    unknown = found.keys() - linears.keys()
    if unknown:
        raise TypeError(f"cannot stand beside a product: {', '.join(sorted(unknown)[:3])}")
    try:
        for name, linear in linears.items():
            linear.beside = joined(found.get(name, []), linear.out_features, linear.in_features, like)
        yield
    finally:
        for linear in linears.values():
            linear.beside = None


def joined(products: Sequence[tuple[Product, float]], rows: int, columns: int, like: Tensor) -> Beside:
    """Several products of one Linear, times their strengths, as one."""
    rank = sum(len(product.down) for product, _ in products)
    rank += -rank % RANKS or (0 if rank else RANKS)
    down = torch.zeros(rank, columns, dtype=like.dtype, device=like.device)
    up = torch.zeros(rows, rank, dtype=like.dtype, device=like.device)
    at = 0
    for product, strength in products:
        end, last = at + len(product.down), product.start + len(product.up)
        down[at:end] = product.down
        up[product.start : last, at:end] = product.up * strength
        at = end
    return Beside(down, up)
