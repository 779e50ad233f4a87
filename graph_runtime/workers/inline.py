"""A worker in this very process, on a thread of its own. For tests and scripts: a node that crashes takes all with it.

Knows nothing of frames or processes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import Any

from graph_runtime.events import Event, RunFinished
from graph_runtime.graph import Graph
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker


class InlineWorker:
    """A `WorkerHandle`. Its packs are loaded when it is made."""

    def __init__(self, settings: Settings) -> None:
        self.worker = Worker(settings)
        self._lock = threading.Lock()
        self._run = ""
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._events: SimpleQueue[Event] = SimpleQueue()

    def hello(self) -> dict[str, Any]:
        return self.worker.hello()

    def start(self, run: str, graph: Graph, document: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive() and self._run:
                raise Refused(busy(self._run))
            self._run, self._cancelled, self._events = run, threading.Event(), SimpleQueue()
            given = (run, graph, document, self._cancelled, self._events)
            self._thread = threading.Thread(target=self._work, args=given, name="worker", daemon=True)
            self._thread.start()

    def _work(
        self,
        run: str,
        graph: Graph,
        document: Mapping[str, Any] | None,
        cancelled: threading.Event,
        events: SimpleQueue[Event],
    ) -> None:
        def emit(event: Event) -> None:
            if isinstance(event, RunFinished):
                with self._lock:
                    self._run = ""
            events.put(event)

        self.worker.execute(run, graph, document, emit, cancelled)

    def events(self) -> Iterator[Event]:
        with self._lock:
            events = self._events
        return until_finished(events)

    def cancel(self, run: str) -> None:
        with self._lock:
            if run == self._run:
                self._cancelled.set()

    def kill(self) -> None:
        """Only asks: a thread cannot be ended."""
        self._cancelled.set()

    def ask(self, what: str, given: Mapping[str, Any], seconds: float = 30.0) -> Any:
        return self.worker.ask(what, given)

    def close(self) -> None:
        self.kill()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.worker.close()


def until_finished(events: SimpleQueue[Event]) -> Iterator[Event]:
    """What comes out of a queue, up to the end of the run."""
    while True:
        event = events.get()
        yield event
        if isinstance(event, RunFinished):
            return


def busy(run: str) -> Problem:
    return Problem("worker-busy", run, "the worker is still at this run.", "Wait for its end, or cancel it.")
