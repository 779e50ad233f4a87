"""Where a module's weights are: moving them between devices, and away for a while.

Weights never change while the project runs, so a copy on the host stays true: going back to it is letting go of the
device's memory, not a transfer. Knows no family and no budget; residency decides what moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, tied ones once; not those that are elsewhere, and on `meta` here."""
    found = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor for name, tensor in found if not tensor.is_meta}


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
        """Bring every weight to a device. On an error, out of memory above all, the module stays as it was."""
        if self.value is None:
            raise RuntimeError("A closed model cannot move.")
        target = torch.device(to)
        moved = [(names, self._at(names[0], tensor, target)) for names, tensor in _distinct(self.value, self._host)]
        if target.type == "cuda":
            torch.cuda.synchronize(target)
        for names, tensor in moved:
            _put(self.value, names, tensor)

    def _at(self, name: str, tensor: Tensor, target: torch.device) -> Tensor:
        if target.type == "cpu":
            return self._host.get(name, tensor).cpu()
        if self.keep_host and tensor.device.type == "cpu":
            self._host[name] = tensor = tensor.pin_memory() if target.type == "cuda" else tensor
        return tensor.to(target, non_blocking=True)

    def close(self) -> None:
        """Let go of the memory."""
        self.value = None
        self._host.clear()


class Beside:
    """A module in memory and what stands beside it for good: they move, and are let go, as one."""

    def __init__(self, main: Placed, others: Sequence[Placed]) -> None:
        self.main, self.others = main, tuple(others)

    @property
    def value(self) -> nn.Module | None:
        return self.main.value

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in (self.main, *self.others))

    def move(self, to: str | torch.device) -> None:
        """As Placed's: on an error everything is where it was."""
        there = device(self.value) if self.value is not None else None
        moved: list[Placed] = []
        try:
            for one in (*self.others, self.main):
                one.move(to)
                moved.append(one)
        except BaseException:
            for one in moved:
                one.move(there or "cpu")
            raise

    def close(self) -> None:
        for one in (self.main, *self.others):
            one.close()


@contextmanager
def parked(module: nn.Module, names: Collection[str], at: str | torch.device = "cpu") -> Iterator[int]:
    """Take the parameters of these names off the device inside the `with` block, and bring them back after it.

    For weights whose results are already computed, such as the modulation of all steps. Yields the bytes freed.
    """
    away = _take_away(module, frozenset(names), torch.device(at))
    try:
        yield sum(tensor.numel() * tensor.element_size() for _, tensor, _ in away)
    finally:
        for all_names, tensor, home in away:
            _put(module, all_names, tensor.to(home))


def _take_away(
    module: nn.Module, chosen: frozenset[str], to: torch.device
) -> list[tuple[list[str], Tensor, torch.device]]:
    """Move these parameters; their names, the moved tensor and where it was. Keeps nothing on the old device."""
    away = []
    for names, tensor in _distinct(module):
        if tensor.device != to and not chosen.isdisjoint(names):
            moved = tensor.to(to)
            _put(module, names, moved)
            away.append((names, moved, tensor.device))
    return away


def _distinct(module: nn.Module, known: Collection[str] = ()) -> list[tuple[list[str], Tensor]]:
    """Each parameter and buffer once, with every name it has. What is elsewhere, on `meta` here, stays there, but not
    what is `known` by name.
    """
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    groups: dict[int, tuple[list[str], Tensor]] = {}
    for name, tensor in named:
        groups.setdefault(id(tensor), ([], tensor.data))[0].append(name)
    return [(names, tensor) for names, tensor in groups.values() if not tensor.is_meta or names[0] in known]


def _put(module: nn.Module, names: list[str], tensor: Tensor) -> None:
    """Put one tensor under all of its names."""
    parameter = nn.Parameter(tensor, requires_grad=False) if tensor.is_floating_point() else None
    for name in names:
        owner, leaf = module.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        if leaf in owner._parameters:
            owner._parameters[leaf] = parameter
        else:
            owner._buffers[leaf] = tensor
