"""The messages about drafts, what is being edited, and templates, what may be begun with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graph_runtime.server.wire.base import Body, Json, Message


class DraftMessage(Message):
    """What is being edited, without its document. `workflow` and `based_on` are what it was made from."""

    id: str
    name: str
    workflow: str
    based_on: int
    revision: int
    changed: float


class Drafts(Message):
    drafts: list[DraftMessage]


class DraftDocument(Message):
    draft: DraftMessage
    document: Json


class DraftBody(Body):
    """A draft as it is now. `revision` is the one it replaces, 0 for none; `client` is who writes, to be told apart."""

    document: Json
    revision: Annotated[int, Field(ge=0)] = 0
    name: Annotated[str, Field(max_length=200)] = ""
    workflow: Annotated[str, Field(max_length=64)] = ""
    based_on: Annotated[int, Field(ge=0)] = 0
    client: Annotated[str, Field(max_length=64)] = ""


class TemplateMessage(Message):
    """A workflow that comes with a pack, to begin with."""

    id: str
    title: str
    about: str
    document: Json


class Templates(Message):
    templates: list[TemplateMessage]


class DraftChanged(Message):
    """Somebody has written a draft down."""

    type: Literal["draft-changed"] = "draft-changed"
    draft: str
    revision: int
    client: str
