"""Small products beside a model's Linears: what a LoRA adds, without touching a weight.

The Linears may be packed or not. Taking the products away leaves the model exactly as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class Product(nn.Module):
    """up · down · x, added to the rows of a Linear's output from `start` on.

    down (rank, C), up (rows, rank)
    """

    down: Tensor
    up: Tensor

    def __init__(self, start: int, down: Tensor, up: Tensor) -> None:
        super().__init__()
        self.start = start
        self.register_buffer("down", down)
        self.register_buffer("up", up)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x.to(self.down), self.down), self.up)


class LowRank(nn.Module):
    """All products of one LoRA for one model, each with the name of the Linear it belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.products = nn.ModuleList()

    def add(self, name: str, start: int, down: Tensor, up: Tensor) -> None:
        self.names.append(name)
        self.products.append(Product(start, down, up))

    def __iter__(self) -> Iterator[tuple[str, Product]]:
        for name, product in zip(self.names, self.products, strict=True):
            assert isinstance(product, Product)
            yield name, product


@contextmanager
def attached(net: nn.Module, changes: LowRank, strength: float) -> Iterator[None]:
    """Inside the `with` block, every Linear named in `changes` gives what it gives plus strength · its product."""
    hooks = attach(net, changes, strength)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def attach(net: nn.Module, changes: LowRank, strength: float) -> list[Any]:
    """The same for as long as the handles that are returned are not removed. A strength of 0 changes nothing."""
    if not strength:
        return []
    return [net.get_submodule(name).register_forward_hook(_adding(one, strength)) for name, one in changes]


def _adding(product: Product, strength: float) -> Any:
    def add(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        change = product(args[0])
        # The output of a Linear is nobody else's yet.
        output[..., product.start : product.start + change.shape[-1]].add_(change.to(output), alpha=strength)
        return output

    return add
