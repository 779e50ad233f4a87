"""Pictures of what steps have so far, made off the critical path.

A node hands over a function that makes the picture; one thread calls the newest of each step, at most `per_second` in
all, and the older ones are never made. Knows nothing of runs beyond where to send the result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

Make = Callable[[], bytes]


class Previews:
    """A thread that starts with the first picture and ends with the `with` block; what is unmade by then is dropped."""

    def __init__(
        self, show: Callable[[str, bytes], None], failed: Callable[[str, str], None], per_second: float = 10
    ) -> None:
        self._show, self._failed, self._pause = show, failed, 1 / per_second
        self._newest: dict[str, Make] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, step: str, make: Make) -> None:
        """Take the newest picture of a step; costs a lock."""
        with self._changed:
            self._newest[step] = make
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="previews", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, step: str) -> None:
        """The step is over: a picture of it not yet begun is not made."""
        if self._thread is not None:
            with self._changed:
                self._newest.pop(step, None)

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._changed:
                while not self._newest and not self._closing.is_set():
                    self._changed.wait()
                if self._closing.is_set():
                    return
                step, make = self._newest.popitem()
            try:
                self._show(step, make())
            except Exception as error:  # a picture is never worth a run
                self._failed(step, f"a preview could not be made: {type(error).__name__}: {error}")
            self._closing.wait(self._pause)

    def __enter__(self) -> Previews:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread is not None:
            with self._changed:
                self._newest.clear()
                self._changed.notify()
            self._thread.join()
