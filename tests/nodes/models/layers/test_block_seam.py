from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nodes.models.layers.blocks import Blocks, Iterated, blocks_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.double_blocks = Blocks(nn.Linear(2, 2) for _ in range(2))
        self.single_blocks = Blocks(nn.Linear(2, 2) for _ in range(3))


def test_plain_blocks_are_handed_out_as_they_are() -> None:
    net = Net()
    assert list(net.double_blocks.in_order()) == list(net.double_blocks)
    assert blocks_of(net) == [net.double_blocks, net.single_blocks]
    assert list(net.state_dict())[2:4] == ["double_blocks.0.weight", "double_blocks.0.bias"]


def test_a_lender_sees_every_block_before_and_after_it_is_called() -> None:
    seen: list[str] = []

    class Lender:
        def through(self, blocks: Blocks) -> Iterator[Any]:
            for number, block in enumerate(blocks):
                seen.append(f"take {number}")
                yield block
                seen.append(f"give {number}")

    net = Net()
    net.double_blocks.lender = Lender()
    for block, _ in zip(net.double_blocks.in_order(), range(2), strict=True):
        seen.append(f"call {block(torch.zeros(2)).shape[0]}")
    assert seen == ["take 0", "call 2", "give 0", "take 1", "call 2", "give 1"]


def test_a_loop_that_is_not_ours_is_lent_its_blocks_too() -> None:
    seen: list[int] = []

    class Lender:
        def through(self, blocks: Blocks) -> Iterator[Any]:
            for number, block in enumerate(blocks.children()):
                seen.append(number)
                yield block

    blocks = Iterated(nn.Linear(2, 2) for _ in range(3))
    blocks.lender = Lender()
    assert list(blocks[:3]) == list(blocks.children()) and seen == [0, 1, 2]
    assert blocks[1] in blocks.children() and len(blocks[:2]) == 2
    assert blocks_of(nn.Sequential(blocks)) == [blocks]
