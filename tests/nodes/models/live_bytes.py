"""The most bytes that live at once while something is computed: tensors are as large as told, and not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Live(TorchDispatchMode):
    """Counts storages from when an operation makes them until nobody holds them, but for those of `known` tensors.

    A number that is asked of a tensor is 1, since nothing is computed.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self._known = {StorageWeakRef(one.untyped_storage()).cdata for one in known}
        self._living: dict[Any, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1.0 if args[0].dtype.is_floating_point else args[0].dtype == torch.bool or 1
        out = func(*args, **(kwargs or {}))
        for one in pytree.tree_leaves(out):
            if isinstance(one, Tensor):
                storage = one.untyped_storage()
                held = StorageWeakRef(storage)
                if held.cdata not in self._known:
                    self._living[held.cdata] = held, storage.nbytes()
        self._living = {key: one for key, one in self._living.items() if not one[0].expired()}
        self.most = max(self.most, sum(count for _, count in self._living.values()))
        return out


def imagined() -> FakeTensorMode:
    """Inside its `with` block tensors have shapes and no memory."""
    return FakeTensorMode(allow_non_fake_inputs=True)
