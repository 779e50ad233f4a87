"""The messages about files."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from graph_runtime.server.wire.base import Body, Message


class FileMessage(Message):
    """A finished file: ask for it by `id`. `name` is only a label."""

    id: str
    name: str
    kind: str = ""
    step: str = ""
    media: str = ""
    run: str = ""
    bytes: int = 0
    created: float = 0.0


class FileQuery(Body):
    """Finished files made before a time (any, if 0), newest first."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    before: Annotated[float, Field(ge=0)] = 0.0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Files(Message):
    files: list[FileMessage]


class UploadQuery(Body):
    """`name` is a label; a number is added if it is taken."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
