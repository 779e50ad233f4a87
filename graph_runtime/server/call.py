"""One request that was let in, as its handler sees it; and how what goes wrong is answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from graph_runtime.jsontext import read_json
from graph_runtime.problem import Problem, Refused
from graph_runtime.server.state import Server

USER = "local"  # who submits, until there is more than one
LONGEST_KEY = 200

T = TypeVar("T", bound=BaseModel)

# The status of an answer, by the first problem's code; everything else is 422.
STATUSES = {
    "unknown-run": 404,
    "unknown-workflow": 404,
    "unknown-version": 404,
    "unknown-draft": 404,
    "unknown-file": 404,
    "not-found": 404,
    "wrong-method": 405,
    "key-reused": 409,
    "id-taken": 409,
    "not-over": 409,
    "not-waiting": 409,
    "workflow-changed": 409,
    "draft-changed": 409,
    "name-taken": 409,
    "json-too-large": 413,
    "too-large": 413,
    "bad-request": 400,
    "json-malformed": 400,
    "json-duplicate": 400,
    "json-number": 400,
    "queue-full": 429,
    "internal-error": 500,
    "store-closed": 503,
    "ending": 503,
    "no-worker": 503,
    "no-answer": 503,
    "too-many-clients": 503,
    "disk-full": 507,
    "cannot-write": 507,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its server, and its body and query as messages of `wire`."""

    server: Server
    request: web.Request
    body: Any = None
    query: Any = None

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    @property
    def key(self) -> str:
        """The Idempotency-Key, "" if there is none. Raises Refused."""
        key = self.request.headers.get("Idempotency-Key", "")
        if len(key) > LONGEST_KEY or not key.isprintable():
            what = f"it is longer than {LONGEST_KEY} characters, or not printable."
            raise Refused(Problem("bad-request", "Idempotency-Key", what, "Send e.g. a UUID."))
        return key


def read_body(data: bytes, model: type[T]) -> T:
    """A JSON body as a message. Raises Refused."""
    value = read_json(data or b"{}", name="body")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refused(_problems("body", error)) from None


def read_query(request: web.Request, model: type[T]) -> T:
    """The query as a message. Raises Refused."""
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise Refused(_problems("query", error)) from None


def _problems(place: str, error: ValidationError) -> Iterable[Problem]:
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        where = ".".join([place, *(str(part)[:40] for part in one["loc"])])
        said = str(one["msg"])[:200]
        what, fix = f"{said[:1].lower()}{said[1:]}.", "See /api/openapi.json for what is taken."
        yield Problem("bad-request", where, what, fix)


def status_of(problems: tuple[Problem, ...]) -> int:
    return STATUSES.get(problems[0].code, 422) if problems else 422


def refusal(problems: Iterable[Problem], status: int = 0) -> web.Response:
    """The answer to what was refused."""
    listed = tuple(problems)
    data = {"problems": [one.as_json() for one in listed]}
    return web.json_response(data, status=status or status_of(listed))
