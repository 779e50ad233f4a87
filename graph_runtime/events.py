"""What happens during a run, as data: one union, every member with its run and, where there is one, its step.

An event crosses process borders and reaches the browser as JSON with its `type`. A step inside an expansion is called
"loop#3.body": `loop` is the step on the canvas, 3 counts its expansions, `body` is the step in there. Knows nothing of
who listens.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from graph_runtime.problem import Problem

Status = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Queued:
    """The run waits. `ahead` runs are before it."""

    run: str
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The executor has begun. `steps` are needed for the targets, as far as is known now."""

    run: str
    steps: int


@dataclass(frozen=True, slots=True)
class Started:
    """A step's node is being called."""

    run: str
    step: str


@dataclass(frozen=True, slots=True)
class Reused:
    """These steps were answered by what was kept: `tier` is "memory", "disk" or "run" (an equal step of this run)."""

    run: str
    steps: tuple[str, ...]
    tier: str


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` parts of a step are done."""

    run: str
    step: str
    done: int
    total: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the step has so far, as an encoded picture."""

    run: str
    step: str
    image: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """Something a step had to say that is not an error."""

    run: str
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A step is done: wall time in seconds, peak memory in bytes (0 if not measured), one line for each output."""

    run: str
    step: str
    seconds: float
    peak_bytes: int = 0
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrote:
    """The files that a target's outputs name, written by this run or by an earlier one that need not be repeated.

    kind    "output" or "temp"
    media   what they hold: "image", "latent", …
    paths   where they are, absolute
    """

    run: str
    step: str
    kind: str
    media: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A step's node raised: what it was given in one line each, and where it raised."""

    run: str
    step: str
    kind: str
    problems: tuple[Problem, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step was not run because a step it needs, `because`, failed."""

    run: str
    step: str
    because: str


@dataclass(frozen=True, slots=True)
class CancelledEvent:
    """The run stopped because somebody asked for it; `step` was running, "" if it was between two."""

    run: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Nothing follows this. `problems` are all there were."""

    run: str
    status: Status
    seconds: float
    problems: tuple[Problem, ...] = ()


Event = (
    Queued
    | RunStarted
    | Started
    | Reused
    | Progress
    | Preview
    | Log
    | Finished
    | Wrote
    | Failed
    | Skipped
    | CancelledEvent
    | RunFinished
)

TYPES: dict[str, type[Event]] = {
    "queued": Queued,
    "run-started": RunStarted,
    "started": Started,
    "reused": Reused,
    "progress": Progress,
    "preview": Preview,
    "log": Log,
    "finished": Finished,
    "wrote": Wrote,
    "failed": Failed,
    "skipped": Skipped,
    "cancelled": CancelledEvent,
    "run-finished": RunFinished,
}
_NAMES = {cls: name for name, cls in TYPES.items()}


def to_json(event: Event) -> dict[str, Any]:
    """Plain data with its `type`; a preview's bytes in base64 (live connections send them as they are instead)."""
    data: dict[str, Any] = {"type": _NAMES[type(event)]}
    for one in fields(event):
        value = getattr(event, one.name)
        if one.name == "problems":
            value = [problem.as_json() for problem in value]
        elif isinstance(value, bytes):
            value = base64.b64encode(value).decode("ascii")
        elif isinstance(value, tuple):
            value = list(value)
        data[one.name] = value
    return data


def from_json(data: Mapping[str, Any]) -> Event:
    """The event that `to_json` wrote; fields it does not know are left out. Raises KeyError for an unknown type."""
    cls = TYPES[data["type"]]
    known = {one.name: data[one.name] for one in fields(cls) if one.name in data}
    if "problems" in known:
        known["problems"] = tuple(Problem.from_json(one) for one in known["problems"])
    for name in ("steps", "paths"):
        if name in known and isinstance(known[name], list):
            known[name] = tuple(known[name])
    if "image" in known:
        known["image"] = base64.b64decode(known["image"])
    return cls(**known)
