"""What all messages are: said by the server, or by a client. Knows nothing of what they say."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Json = dict[str, Any]


class Message(BaseModel):
    """What the server says."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Body(BaseModel):
    """What a client says. What it does not know is refused, so that a misspelt name is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
