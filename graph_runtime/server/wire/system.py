"""The messages about the server itself: its health, workers and settings, and who is let in."""

from __future__ import annotations

from typing import Any

from graph_runtime.server.wire.base import Json, Message
from graph_runtime.server.wire.problems import ProblemMessage


class Health(Message):
    ok: bool


class Ready(Message):
    """Whether runs can be started now, and why not."""

    ready: bool
    reasons: list[str]


class WorkerMessage(Message):
    """A worker: starting, ready, running, failed or closed. `quiet_seconds` since its last sign of life."""

    name: str
    device: str
    state: str
    run: str
    step: str
    pid: int
    quiet_seconds: float
    restarts: int
    problems: list[ProblemMessage]


class System(Message):
    """The machine and the server, as they are now. Bytes, seconds."""

    version: str
    python: str
    platform: str
    seconds: float
    cpu_count: int
    cpu_percent: float
    memory_total: int
    memory_available: int
    server_rss: int
    disk_free: int
    clients: int
    workers: list[WorkerMessage]
    memory: Json | None
    notices: list[ProblemMessage]


class SettingMessage(Message):
    name: str
    value: Any
    about: str


class SettingsMessage(Message):
    """What was set when the server was started; it cannot be changed while it runs."""

    settings: list[SettingMessage]


class Ticket(Message):
    """An address that opens the editor in a browser: good once, for a minute."""

    url: str
    seconds: float
