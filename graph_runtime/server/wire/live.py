"""What the live connection says and is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graph_runtime.server.wire.base import Body, Id, Message
from graph_runtime.server.wire.drafts import DraftChanged
from graph_runtime.server.wire.runs import EventMessage, QueueMessage, RunMessage
from graph_runtime.server.wire.system import WorkerMessage


class Snapshot(Message):
    """The first thing heard when there is no place to go on from: all that matters now, as of (epoch, seq)."""

    type: Literal["snapshot"] = "snapshot"
    epoch: str
    seq: int
    runs: list[RunMessage]
    queue: QueueMessage
    workers: list[WorkerMessage]


class Welcome(Message):
    """The first thing heard when everything since the named place follows."""

    type: Literal["welcome"] = "welcome"
    epoch: str
    seq: int
    workers: list[WorkerMessage]


class ProgressMessage(Message):
    """How far a step is. Only the newest is sent."""

    type: Literal["progress"] = "progress"
    run: str
    step: str
    done: int
    total: int
    text: str


class PreviewHeader(Message):
    """Begins a binary message: length of this JSON (u32, big endian), this JSON, the picture."""

    type: Literal["preview"] = "preview"
    run: str
    step: str
    media: str


class WorkersMessage(Message):
    """The workers have changed."""

    type: Literal["workers"] = "workers"
    workers: list[WorkerMessage]


class NodesChanged(Message):
    """There are other nodes than before: get them anew."""

    type: Literal["nodes-changed"] = "nodes-changed"


class Subscribe(Body):
    """What a client may say: whose progress and previews it wants; None is everybody's, [] nobody's."""

    type: Literal["subscribe"]
    runs: Annotated[list[Id], Field(max_length=1000)] | None = None


LIVE: tuple[type[Message], ...] = (
    Snapshot,
    Welcome,
    EventMessage,
    ProgressMessage,
    PreviewHeader,
    WorkersMessage,
    NodesChanged,
    DraftChanged,
)
