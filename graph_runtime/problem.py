"""What is wrong, where, and what to do about it.

Every refusal of what a user gave (a workflow, a file, a knob, a pack) is a list of `Problem`s: all of them at once.
`Refused` carries them through the call stack; `Cancelled` ends a run because somebody asked, and is nobody's fault.
Knows nothing of graphs or nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    code    stable name for tests and the browser, in kebab-case: "wrong-type"
    place   where, as the user knows it: "mix.a", "model.safetensors", "nodes/blur.py"
    what    what came and what was wanted, as a sentence
    fix     what to do, as a sentence
    step, field   where on the canvas it is shown; "" when it belongs to no step
    """

    code: str
    place: str
    what: str
    fix: str
    step: str = ""
    field: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n    {self.fix}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Problem:
        """The Problem that `as_json` wrote; fields it does not know are left out."""
        return cls(**{name: str(data.get(name, "")) for name in cls.__slots__})


class Refused(Exception):
    """What was given cannot be used. `problems` says why, completely."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[Refused], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class Cancelled(BaseException):
    """The run was cancelled. Not an Exception, so that `except Exception` in a node cannot swallow it."""
