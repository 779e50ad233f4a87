"""Where a module's weights are: moving them between devices, and away for a while.

Weights never change while the project runs, so a copy on the host stays true: going back to it is letting go of the
device's memory, not a transfer. Knows no family and no budget; residency decides what moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, tied ones once."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def nbytes(module: nn.Module) -> int:
    """Bytes of the module's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in tensors(module).values())


def device(module: nn.Module) -> torch.device:
    """Where the module's first tensor is; the CPU when it has none."""
    return next((t.device for t in tensors(module).values()), torch.device("cpu"))


class Placed:
    """A module in memory that can go to another device and come back. What a recipe's `load` gives.

    keep_host  keep the host's copy (pinned, when there is a GPU) while the module is on a device: twice the memory, and
               leaving the device costs nothing
    """

    def __init__(self, module: nn.Module, keep_host: bool = False) -> None:
        self.value: nn.Module | None = module
        self.nbytes = nbytes(module)
        self.keep_host = keep_host
        self._host: dict[str, Tensor] = {}

    def move(self, to: str | torch.device) -> None:
        """Bring every weight to a device. On an error, out of memory above all, they are all back where they were."""
        if self.value is None:
            raise RuntimeError("A closed model cannot move.")
        held = {name: tensor.data for name, tensor in tensors(self.value).items()}
        target = torch.device(to)
        try:
            for name, tensor in tensors(self.value).items():
                tensor.data = self._at(name, tensor.data, target)
            if target.type == "cuda":
                torch.cuda.synchronize(target)
        except BaseException:
            for name, tensor in tensors(self.value).items():
                tensor.data = held[name]
            raise

    def _at(self, name: str, tensor: Tensor, target: torch.device) -> Tensor:
        if target.type == "cpu":
            return self._host.pop(name, tensor).cpu() if not self.keep_host else self._host.get(name, tensor).cpu()
        if self.keep_host and tensor.device.type == "cpu":
            self._host[name] = tensor = tensor.pin_memory() if target.type == "cuda" else tensor
        return tensor.to(target, non_blocking=True)

    def close(self) -> None:
        """Let go of the memory."""
        self.value = None
        self._host.clear()


@contextmanager
def parked(module: nn.Module, names: Collection[str], at: str | torch.device = "cpu") -> Iterator[int]:
    """Take the parameters of these names off the device inside the `with` block, and bring them back after it.

    For weights whose results are already computed, such as the modulation of all steps. Yields the bytes freed.
    """
    chosen = frozenset(names)
    moved = {name: p for name, p in module.named_parameters() if name in chosen and p.device != torch.device(at)}
    homes = {name: p.device for name, p in moved.items()}
    for p in moved.values():
        p.data = p.data.to(at)
    try:
        yield sum(p.numel() * p.element_size() for p in moved.values())
    finally:
        for name, p in moved.items():
            p.data = p.data.to(homes[name])
