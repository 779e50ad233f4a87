"""What makes a host wait for its device."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode

WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")


class Asked(TorchDispatchMode):
    """Notes down the operations that read a number, or whose shape depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func._schema.name in WAITS:
            self.found.append(func._schema.name)
        return func(*args, **(kwargs or {}))
