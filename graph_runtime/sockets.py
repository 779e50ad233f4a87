"""A class a wire can carry.

`@socket` gives a class the name that wires know it by. A wire's type is that name, an open string: a pack adds a type
by decorating a class and edits nothing else. Knows nothing of what the values hold; a class may say more by:

    summary() -> str                  one line for events and errors, e.g. "2 × 128×128 RGB"
    nbytes                            bytes it keeps in memory (property or attribute), for the cache's budget
    fresh() -> bool                   False when a kept value no longer stands, e.g. its file was deleted
    to_parts() -> (dict, dict)        JSON and named tensors, and
    from_parts(json, tensors)         the way back (class method): lets the disk cache keep it
    key() -> str                      of a recipe: what it will load, by content
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, Union, get_args, get_origin

C = TypeVar("C", bound=type)

ANY = "ANY"
PRIMITIVES: dict[type, str] = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}
# What else a wanted type takes: nothing is lost from the left to the right.
_WIDENS: dict[str, frozenset[str]] = {"FLOAT": frozenset({"INT"})}


@dataclass(frozen=True, slots=True)
class SocketDef:
    """How a type of wire is called and drawn.

    color   "#rrggbb"
    shape   circle, square, diamond or hexagon: colour is never the only sign
    """

    name: str
    color: str = "#9aa4b2"
    shape: str = "circle"
    help: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def socket(name: str, *, color: str = "#9aa4b2", shape: str = "circle") -> Callable[[C], C]:
    """Let wires carry the decorated class, under `name`."""

    def describe(cls: C) -> C:
        text = (cls.__doc__ or "").strip().split("\n\n")[0]
        cls.__socket__ = SocketDef(name, color, shape, " ".join(text.split()))  # type: ignore[attr-defined]
        return cls

    return describe


def socket_of(cls: object) -> SocketDef | None:
    """What `@socket` said of this very class (not of a parent), or None."""
    found = vars(cls).get("__socket__") if isinstance(cls, type) else None
    return found if isinstance(found, SocketDef) else None


def wire_type(annotation: object) -> str | None:
    """The wire type an annotation names: "IMAGE", "INT", "ANY", "IMAGE|MASK" for a union; None when it names none."""
    if annotation is Any:
        return ANY
    if get_origin(annotation) in (Union, types.UnionType):
        names = [wire_type(part) for part in get_args(annotation)]
        return None if None in names else "|".join(dict.fromkeys(name for name in names if name))
    if isinstance(annotation, type):
        if annotation in PRIMITIVES:
            return PRIMITIVES[annotation]
        described = socket_of(annotation)
        return described.name if described else None
    return None


def fits(given: str, wanted: str) -> bool:
    """Whether an output of type `given` may feed an input of type `wanted`; each may be several joined by "|".

    ANY fits everything both ways (checked again when the value is there); INT feeds FLOAT.
    """
    if given == wanted or ANY in (given, wanted):
        return True
    takes = wanted.split("|")
    return any(g in takes or ANY in takes or any(g in _WIDENS.get(t, ()) for t in takes) for g in given.split("|"))
