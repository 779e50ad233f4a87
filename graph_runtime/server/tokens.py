"""What proves that a caller belongs here: the token in its file, tickets for the browser, the cookie.

    token    256 bits, made once per data folder, readable by its owner only; API clients send it as a Bearer
    ticket   opens the browser: good once, for a minute; swapped for the cookie
    cookie   derived from the token, so that it outlives the server as the token does, without being it

Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from graph_runtime.problem import Problem, Refused

NAME = "token"


def read_token(folder: Path) -> str:
    """The token of this data folder; made if there is none. Raises Refused when its file cannot be trusted."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / NAME
    try:
        if os.name == "posix":
            os.chmod(folder, 0o700)
        with suppress(FileExistsError):
            _make(path)
        token = path.read_text("ascii").strip()
        if os.name == "posix" and path.stat().st_mode & 0o077:
            os.chmod(path, 0o600)
    except (OSError, UnicodeDecodeError) as error:
        what = f"it cannot be used: {error}."
        raise Refused(Problem("bad-token-file", str(path), what, "Remove it; a new one is made.")) from None
    if len(token) < 32:
        raise Refused(Problem("bad-token-file", str(path), "it is too short.", "Remove it; a new one is made."))
    return token


def _make(path: Path) -> None:
    """Write a new token, whole or not at all. Raises FileExistsError if there is one."""
    staged = path.with_name(f".{NAME}.{os.getpid()}")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(staged, path)
    finally:
        staged.unlink(missing_ok=True)


class Tokens:
    """Checks in constant time. Thread-safe."""

    def __init__(self, token: str, ticket_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"latentloom cookie", hashlib.sha256).hexdigest()
        self._tickets: dict[str, float] = {}
        self._seconds, self._clock, self._lock = ticket_seconds, clock, threading.Lock()

    @property
    def cookie(self) -> str:
        return self._cookie

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def is_cookie(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._cookie.encode())

    def new_ticket(self) -> str:
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._forget()
            self._tickets[ticket] = self._clock() + self._seconds
        return ticket

    def use_ticket(self, ticket: str) -> bool:
        """True the first time, within its time."""
        with self._lock:
            self._forget()
            return self._tickets.pop(ticket, None) is not None

    def _forget(self) -> None:
        now = self._clock()
        for ticket in [one for one, until in self._tickets.items() if until < now]:
            del self._tickets[ticket]


class Failures:
    """Wrong tokens per address within the last minute."""

    KEPT = 10_000  # addresses

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self._clock = most, clock
        self._times: dict[str, deque[float]] = {}

    def add(self, address: str) -> None:
        if len(self._times) >= self.KEPT:
            self._times.pop(next(iter(self._times)))
        self._times.setdefault(address, deque(maxlen=self.most)).append(self._clock())

    def too_many(self, address: str) -> bool:
        times = self._times.get(address)
        return times is not None and len(times) == self.most and self._clock() - times[0] < 60.0
