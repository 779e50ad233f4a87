"""The messages about runs, what becomes of them, and the queue that they wait in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from graph_runtime.server.wire.base import Body, Id, Json, Message
from graph_runtime.server.wire.files import FileMessage
from graph_runtime.server.wire.problems import ProblemMessage


class RunMessage(Message):
    """A run. Times are seconds since 1970. `files` are there once it has ended."""

    id: str
    number: int
    user: str
    status: Literal["queued", "running", "crashed", "succeeded", "failed", "cancelled"]
    priority: int
    attempt: int
    crashes: int
    last_step: str
    worker: str
    cancelling: bool
    created: float
    started: float | None
    ended: float | None
    graph: str
    document: str
    retry_of: str
    meta: Json
    seconds: float | None
    files: list[FileMessage]
    problems: list[ProblemMessage]


class Submission(Body):
    """A graph to run, or a document to make it from. The header Idempotency-Key makes sending it twice harmless."""

    graph: Json | None = None
    document: Json | None = None
    run: Id | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    front: bool = False
    meta: Annotated[Json, Field(max_length=64)] = {}  # noqa: RUF012


class RunPage(Message):
    """Runs, newest first; `before` asks for the next page, 0 when there is none."""

    runs: list[RunMessage]
    before: int


class RunQuery(Body):
    """Which runs: states separated by commas (all, if empty), below a number, at most so many."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    status: str = ""
    before: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class Cancel(Body):
    """`force` ends the worker at once, without waiting for the node to notice."""

    force: bool = False


class Move(Body):
    """Where a waiting run goes."""

    to: Literal["front", "back"] = "front"


class StepMessage(Message):
    """What a step took in an attempt: seconds, bytes at the peak."""

    run: str
    attempt: int
    step: str
    status: str
    started: float | None
    ended: float | None
    seconds: float
    peak_bytes: int
    outputs: dict[str, str]
    problems: list[ProblemMessage]


class Steps(Message):
    steps: list[StepMessage]
    crashes: list[Json]


class EventMessage(Message):
    """Something that has happened and is kept, at its place (epoch, seq). `data` is an event with its `type`."""

    type: Literal["event"] = "event"
    epoch: str
    seq: int
    run: str
    time: float
    data: Json


class EventQuery(Body):
    """Events of a run after a number."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class Events(Message):
    events: list[EventMessage]


class GraphMessage(Message):
    """What a run was made of."""

    graph: Json
    document: Json | None


class Removed(Message):
    """How many are gone."""

    count: int


class WaitingMessage(Message):
    """A run that waits: its place from 1, and the seconds until it starts, as far as can be told."""

    run: str
    user: str
    priority: int
    position: int
    starts_in: float | None


class QueueMessage(Message):
    """The queue. `paused` says why nothing is started: person, boot, disk; empty when it is."""

    paused: list[str]
    counts: dict[str, int]
    waiting: list[WaitingMessage]


class Order(Body):
    """Waiting runs in the order they should have among themselves."""

    runs: Annotated[list[Id], Field(max_length=10_000)]
