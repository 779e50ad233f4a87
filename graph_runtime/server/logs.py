"""The server's log: one line an event, as text for people or JSON for programs.

A logger is made here and handed down; nothing is set up for the process. Control characters are written out, so that no
name of a file can speak to the terminal. Knows no tokens: nothing that may hold one is ever given to it.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog


def make_log(stream: TextIO | None = None, *, as_json: bool = False) -> Any:
    """A logger that writes to `stream` (standard error if None)."""
    last: Any = structlog.processors.JSONRenderer() if as_json else _as_text
    return structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), last],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )


def _as_text(_: Any, __: str, said: MutableMapping[str, Any]) -> str:
    time, level, event = said.pop("timestamp", ""), said.pop("level", ""), said.pop("event", "")
    rest = " ".join(f"{name}={_plain(value)}" for name, value in said.items())
    return f"{str(time)[11:19]} {level:7} {_plain(event)}{'  ' + rest if rest else ''}"


def _plain(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
