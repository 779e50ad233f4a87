"""What can be said of a value on a wire without knowing what it is: its type, its size, one line about it.

A class says more of itself by the methods listed in `sockets`. Knows no tensor: whatever has `nbytes` is believed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from graph_runtime.sockets import ANY, PRIMITIVES, socket_of

# A recipe's `nbytes` is what it will load, not what it is.
_RECIPE_BYTES = 4096
# Beyond so many objects the rest is taken to be like those seen.
_SAMPLE = 1000
_DEEP = 12


class Many(tuple[Any, ...]):
    """Several values on one wire: what follows runs once for each. Apart from a list that is itself a value."""

    __slots__ = ()


def value_type(value: Any) -> str:
    """The wire type of a value; "JSON" for plain lists and objects, ANY for what no socket describes."""
    cls = type(value)
    if cls in PRIMITIVES:
        return PRIMITIVES[cls]
    if isinstance(value, (list, tuple, dict)) and not hasattr(cls, "__socket__"):
        return "JSON"
    described = next((found for base in cls.__mro__ if (found := socket_of(base))), None)
    return described.name if described else ANY


def as_type(wanted: str, value: Any) -> Any:
    """`value` as a wire of type `wanted` carries it: an integer on a FLOAT wire is a float."""
    return float(value) if wanted == "FLOAT" and type(value) is int else value


def summary(value: Any) -> str:
    """One line about a value, at most 120 characters. Never raises."""
    try:
        return _summary(value)[:120]
    except Exception:
        return type(value).__name__


def _summary(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 100 else value[:99] + "…")
    if isinstance(value, Many):
        return f"{len(value)} values" + (f", first {_summary(value[0])}" if value else "")
    said = getattr(value, "summary", None)
    if callable(said):
        return str(said())
    if isinstance(value, (list, tuple, dict)):
        return f"{type(value).__name__} of {len(value)}"
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {tuple(shape)}" if shape is not None else type(value).__name__


def nbytes(value: Any) -> int:
    """About how many bytes a value keeps in memory, rather too many than too few. An object seen twice counts once."""
    if isinstance(value, (int, float)) or value is None:
        return 32
    if isinstance(value, str):
        return sys.getsizeof(value)
    return _Measure().of(value, 0)


class _Measure:
    """One measurement: what was seen so far."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def of(self, value: Any, depth: int) -> int:
        if id(value) in self.seen or value is None or isinstance(value, (bool, type)):
            return 0
        self.seen.add(id(value))
        own = _own(value)
        if own is not None:
            return own
        parts = _parts(value)
        if not parts or depth >= _DEEP:
            return sys.getsizeof(value, 256)
        looked_at = parts[: max(1, _SAMPLE - len(self.seen))]
        inside = sum(self.of(part, depth + 1) for part in looked_at)
        return sys.getsizeof(value, 256) + inside * len(parts) // len(looked_at)


def _own(value: Any) -> int | None:
    """What a value says of itself, or what is known of plain ones."""
    if isinstance(value, (int, float, complex, str, bytes, bytearray)):
        return sys.getsizeof(value)
    if hasattr(value, "load") and hasattr(value, "key"):
        return _RECIPE_BYTES
    size = getattr(value, "nbytes", None)
    size = size() if callable(size) else size
    return max(int(size), 0) + 256 if isinstance(size, (int, float)) else None


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if dataclasses.is_dataclass(value):
        return [getattr(value, one.name, None) for one in dataclasses.fields(value)]
    return list(getattr(value, "__dict__", {}).values())
