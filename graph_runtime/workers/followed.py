"""A run as the owner of a worker follows it: in which step it is, and its end, whatever the worker's end was.

Knows no process: it is told what happens.
"""

from __future__ import annotations

import signal
import threading
import time
from queue import SimpleQueue

from graph_runtime.events import CancelledEvent, Event, Failed, Finished, RunFinished, Started, Status
from graph_runtime.graph import Graph
from graph_runtime.problem import Problem


class Run:
    """A run as its owner follows it."""

    def __init__(self, id: str, graph: Graph) -> None:
        self.id, self.graph = id, graph
        self.step = ""  # in which node it is
        self.cancelled = False
        self.over = threading.Event()
        self.began = time.monotonic()
        self.events: SimpleQueue[Event] = SimpleQueue()
        self._lock = threading.RLock()

    def add(self, event: Event) -> None:
        with self._lock:
            if self.over.is_set():
                return
            if isinstance(event, Started):
                self.step = event.step
            elif isinstance(event, Finished | Failed) and event.step == self.step:
                self.step = ""
            self.events.put(event)
            if isinstance(event, RunFinished):
                self.over.set()

    def end(self, what: str, stacks: str) -> None:
        """The worker is gone: say where it was, and finish the run, unless it is over."""
        canvas = self.step.partition("#")[0]
        step = self.graph.steps.get(canvas)
        kind = step.kind if step else ""
        place = f"{self.step} ({kind})" if kind else self.id
        fix = "Change its inputs, or tell the authors of the node." if kind else "Start the run again."
        code = "worker-stopped" if self.cancelled else "worker-died"
        problem = Problem(code, place, what, fix, canvas)
        status: Status = "cancelled" if self.cancelled else "failed"
        with self._lock:
            if self.cancelled:
                self.add(CancelledEvent(self.id, self.step))
            elif self.step:
                self.add(Failed(self.id, self.step, kind, (problem,), traceback=stacks))
            self.add(RunFinished(self.id, status, time.monotonic() - self.began, (problem,)))


def death(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "the worker does not answer."
    if code >= 0:
        return f"it ended the worker with exit code {code}."
    name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else f"signal {-code}"
    guess = ", most likely because the machine's memory was full" if name == "SIGKILL" else ""
    return f"the worker died of {name}{guess}."
