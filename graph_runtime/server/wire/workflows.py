"""The messages about documents: read, saved, and with their versions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from graph_runtime.server.wire.base import Body, Json, Message
from graph_runtime.server.wire.problems import ProblemMessage


class DocumentBody(Body):
    """A document, ours or one that can be turned into ours."""

    document: Json


class OpenFile(Body):
    """A file that is here: a finished picture, by its id."""

    id: str


class Opened(Message):
    """A document brought to what this program understands, and everything that is wrong with it."""

    document: Json
    problems: list[ProblemMessage]


class GraphBody(Body):
    """A graph or a document to look through."""

    graph: Json | None = None
    document: Json | None = None


class WorkflowBody(Body):
    """A workflow to save under a name nobody has used."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    document: Json
    note: Annotated[str, Field(max_length=2000)] = ""


class VersionBody(Body):
    """A new version. `based_on` is the one that was changed: if it is no longer the newest, this is refused."""

    document: Json
    based_on: int | None = None
    note: Annotated[str, Field(max_length=2000)] = ""


class Rename(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]


class WorkflowMessage(Message):
    """What is known of a saved workflow without opening it; `version` is the newest."""

    id: str
    user: str
    name: str
    version: int
    created: float
    changed: float


class Workflows(Message):
    workflows: list[WorkflowMessage]


class VersionMessage(Message):
    version: int
    saved: float
    note: str


class Versions(Message):
    versions: list[VersionMessage]


class WorkflowDocument(Message):
    workflow: WorkflowMessage
    version: int
    document: Json
