"""The editor's types of messages are those of the server."""

from __future__ import annotations

from pathlib import Path

from graph_runtime.server import wire
from graph_runtime.server.browser_types import models, write
from graph_runtime.server.routes import ROUTES

ROOT = Path(__file__).parents[2]


def test_the_checked_in_types_are_what_the_server_says_now() -> None:
    there = (ROOT / "web" / "src" / "api" / "wire.ts").read_text(encoding="utf-8")
    assert there == write(), "run: python -m graph_runtime.server.browser_types > web/src/api/wire.ts"


def test_every_message_of_a_route_or_of_the_live_connection_has_a_type() -> None:
    spoken = {one for route in ROUTES for one in (route.body, route.answer, route.query) if isinstance(one, type)}
    assert spoken | set(wire.LIVE) <= set(models())


def test_what_a_client_may_leave_out_is_optional_and_what_the_server_says_is_not() -> None:
    made = write()
    assert "  based_on?: number | null;\n" in made
    assert "  files: FileMessage[];\n" in made
    assert "unknown[]" not in made.replace("Record<string, unknown>[]", "")
