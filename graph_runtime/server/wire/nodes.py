"""The messages about what workflows are made of: nodes, models, and names of files."""

from __future__ import annotations

from graph_runtime.server.wire.base import Json, Message
from graph_runtime.server.wire.problems import ProblemMessage


class NodesMessage(Message):
    """The palette: NodeDefs, sockets, packs. `fresh` once a worker of this server has said it."""

    fresh: bool
    version: str
    nodes: list[Json]
    sockets: list[Json]
    packs: list[Json]


class ModelMessage(Message):
    """A model on disk. `facts` is what its family's headers tell; None when nobody could read it. `fingerprint` is the
    same for the same content under any name, on any machine."""

    kind: str
    name: str
    bytes: int
    fingerprint: str
    facts: Json | None
    problems: list[ProblemMessage]


class Models(Message):
    models: list[ModelMessage]


class Names(Message):
    """Names that a knob for files of this kind may have, and the folders they are looked for in."""

    kind: str
    names: list[str]
    folders: list[str]
