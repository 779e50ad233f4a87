"""The inside of a worker's process: frames in on standard input, frames out on what was standard output.

    main thread    loads the packs, says hello, runs what it is given, one run at a time
    control        reads frames: a run, a cancel, the end. When the owner is gone, so is this process, at once
    heartbeat      says every second which step of which run it is in, also while the main thread is busy

Whatever nodes print goes to standard error, so that it cannot get between the frames. Started by `process`; nobody else
imports it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from graph_runtime.events import Event, Failed, Finished, RunFinished, Started
from graph_runtime.graph import Graph
from graph_runtime.problem import Refused
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from graph_runtime.workers.frames import pack_event, read_frame, write_frame

PR_SET_PDEATHSIG = 1


class Child:
    """This process, as its owner sees it."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.source, self.sink = source, sink
        self.sending = threading.Lock()
        self.runs: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self.cancelled: dict[str, threading.Event] = {}
        self.run = self.step = ""

    def send(self, message: Mapping[str, Any], data: bytes = b"") -> None:
        try:
            with self.sending:
                write_frame(self.sink, message, data)
        except OSError:  # nobody listens any more
            os._exit(1)

    def emit(self, event: Event) -> None:
        if isinstance(event, Started):
            self.step = event.step
        elif isinstance(event, Finished | Failed):
            self.step = ""
        elif isinstance(event, RunFinished):
            self.run = self.step = ""
        self.send(*pack_event(event))

    def control(self) -> None:
        """Reads until the owner is gone."""
        while (frame := read_frame(self.source)) is not None:
            message = frame[0]
            match message["type"]:
                case "run":
                    self.cancelled[message["run"]] = threading.Event()
                    self.runs.put(message)
                case "cancel":
                    self.cancelled.get(message["run"], threading.Event()).set()
                case "close":
                    self.runs.put(None)
        os._exit(1)

    def beat(self, seconds: float) -> None:
        while not threading.Event().wait(seconds):
            self.send({"type": "beat", "run": self.run, "step": self.step})

    def work(self) -> None:
        """From the settings to the end."""
        first = read_frame(self.source)
        if first is None:
            return
        settings = Settings(**first[0]["settings"])
        threading.Thread(target=self.control, name="control", daemon=True).start()
        threading.Thread(target=self.beat, args=(settings.heartbeat,), name="heartbeat", daemon=True).start()
        try:
            worker = Worker(settings, lambda pack: self.send({"type": "importing", "pack": pack}), first[0]["skip"])
        except Refused as refused:
            self.send({"type": "refused", "problems": [problem.as_json() for problem in refused.problems]})
            return
        self.send({"type": "hello", "hello": worker.hello()})
        while (message := self.runs.get()) is not None:
            run = self.run = message["run"]
            worker.execute(run, Graph.from_json(message["graph"]), message["document"], self.emit, self.cancelled[run])
            del self.cancelled[run]
        worker.close()


def main() -> None:
    """Take the pipes for the frames, and give nodes others to print on."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    faulthandler.enable()
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    if "die-with-owner" in sys.argv:
        die_with_owner()
    first_to_go()
    Child(source, sink).work()
    os._exit(0)  # no waiting for threads that nodes may have left


def die_with_owner() -> None:
    """Linux: the kernel kills this process when the thread that made it ends, even if it hangs in C."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def first_to_go() -> None:
    """Linux: when the machine's memory is full, the kernel takes this process rather than its owner."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/oom_score_adj").write_text("800")
        except OSError:
            return
