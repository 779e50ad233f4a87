"""A transformer whose blocks are on several devices, one part of them after the other.

Each part computes where its weights are; activations move at the seams, and come home after the last block. What is
needed before the steps, and at both ends, is on the first device. Knows no family; `balanced` says which blocks go
where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nodes.models.layers.blocks import Blocks, blocks_of
from nodes.models.weights.fill import Filling, assign
from nodes.models.weights.place import Placed
from nodes.models.weights.portions import portions


def balanced(blocks: Sequence[int], free: Sequence[int]) -> tuple[int, ...] | None:
    """On which of several devices each block goes, so that the fullest is as little full as can be; None if none fits.

    blocks  bytes of each, in the order in which they run;  free  bytes that each device has for them
    →       the device of each block, never going back: activations move once between two devices
    """

    def filled(share: float) -> list[int] | None:
        """Device by device, up to this share of each."""
        where, device, left = list[int](), 0, share * free[0] if free else 0.0
        for count in blocks:
            while count > left:
                device += 1
                if device >= len(free):
                    return None
                left = share * free[device]
            where.append(device)
            left -= count
        return where

    if filled(1.0) is None:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if filled(middle) is not None else (middle, high)
    return tuple(filled(high) or ())


class Seated:
    """A block on a device of its own: what it is called with comes there, and what it gives goes where it is wanted."""

    def __init__(self, block: nn.Module, at: torch.device, gives_to: torch.device) -> None:
        self._block, self._at, self._gives_to = block, at, gives_to

    def __call__(self, *args: Any) -> Any:
        return moved(self._block(*moved(args, self._at)), self._gives_to)

    def alone(self, *args: Any) -> Any:
        """As the block's, where it has one."""
        block: Any = self._block
        return moved(block.alone(*moved(args, self._at)), self._gives_to)


def moved(value: Any, to: torch.device) -> Any:
    """Tensors, alone or in tuples and lists, on a device; everything else as it is."""
    if isinstance(value, Tensor):
        return value.to(to, non_blocking=True)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(one, to) for one in value))
    if isinstance(value, (tuple, list)):
        return type(value)(moved(one, to) for one in value)
    return value


class Seats:
    """The lender of blocks that stay where they are, on several devices (`layers.blocks.Lender`)."""

    def __init__(self, net: nn.Module, where: Sequence[torch.device], home: torch.device) -> None:
        blocks = [block for one in blocks_of(net) for block in one]
        last = len(blocks) - 1
        self._seated = {
            id(block): Seated(block, at, home if number == last else at)
            for number, (block, at) in enumerate(zip(blocks, where, strict=True))
        }

    def through(self, blocks: Blocks) -> Iterator[Any]:
        return (self._seated[id(block)] for block in blocks.children())


class Spread(Placed):
    """A module on several devices. `nbytes` are those on the first. It does not move: it is loaded again."""

    def __init__(self, module: nn.Module, where: Sequence[torch.device], home: torch.device) -> None:
        super().__init__(module)
        if any(device != home for device in where):
            self.nbytes = sum(
                tensor.numel() * tensor.element_size()
                for tensor in module.state_dict().values()
                if tensor.device == home
            )
        seats = Seats(module, where, home)
        for blocks in blocks_of(module):
            blocks.lender = seats

    def move(self, to: str | torch.device) -> None:
        raise MemoryError(f"A model on several devices does not move to {to}.")


def load_spread(module: nn.Module, filling: Filling, devices: Sequence[str], where: Sequence[int]) -> Spread:
    """Fill a transformer on `meta`, each block on the device of its number in `where`; all else on the first."""
    places = [torch.device(name) for name in devices]
    inside = {name: number for number, names in enumerate(portions(module).blocks) for name in names}
    seat = {name: places[where[number]] for name, number in inside.items()}
    targets = {
        job: torch.empty(job.shape, dtype=job.dtype, device=seat.get(job.names[0], places[0])) for job in filling.jobs
    }
    filling.read(targets)
    assign(module, {name: target for job, target in targets.items() for name in job.names})
    module.eval().requires_grad_(False)
    return Spread(module, [places[number] for number in where], places[0])
