"""The inside of a worker's process: frames in on standard input, frames out on what was standard output.

    main thread    loads the packs, says hello, runs what it is given, one run at a time
    control        reads frames: a run, a cancel, the end. When the owner is gone, so is this process, at once
    heartbeat      says every second which step of which run it is in, also while the main thread is busy
    answers        answers questions that are no runs

Started ahead as a spare it imports what takes long, and then waits for its settings.

Whatever nodes print goes to standard error, so that it cannot get between the frames. Started by `process`; nobody else
imports it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import hashlib
import importlib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from graph_runtime.events import Event, Failed, Finished, RunFinished, Started
from graph_runtime.graph import Graph
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from graph_runtime.workers.frames import pack_event, read_frame, write_frame

PR_SET_PDEATHSIG = 1
PRELOAD = "preload="


class Child:
    """This process, as its owner sees it."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.source, self.sink = source, sink
        self.sending = threading.Lock()
        self.runs: SimpleQueue[tuple[Mapping[str, Any], threading.Event] | None] = SimpleQueue()
        self.cancelled: dict[str, threading.Event] = {}
        self.run = self.step = ""
        self.saved: Counter[str] = Counter()  # files of the run, by step
        self.places: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self.questions: SimpleQueue[Mapping[str, Any]] = SimpleQueue()

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
                    self.cancelled[message["run"]] = cancelled = threading.Event()
                    self.runs.put((message, cancelled))
                case "cancel":
                    self.cancelled.get(message["run"], threading.Event()).set()
                case "saved":
                    self.places.put(message)
                case "ask":
                    self.questions.put(message)
                case "close":
                    self.runs.put(None)
        os._exit(1)

    def name_file(self, staged: Path, label: str, suffix: str, kind: str) -> Path:
        """Have the owner give a staged file its place. A step saves one file at a time, so answers come in order."""
        with open(staged, "rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        message = {"type": "save", "run": self.run, "step": self.step, "index": self.saved[self.step]}
        self.saved[self.step] += 1
        self.send(message | {"label": label, "suffix": suffix, "kind": kind, "staged": staged.name, "sha256": sha256})
        answer = self.places.get()
        if "problems" in answer:
            staged.unlink(missing_ok=True)
            raise Refused([Problem.from_json(one) for one in answer["problems"]])
        return Path(answer["path"])

    def answer(self, worker: Worker) -> None:
        while True:
            question = self.questions.get()
            try:
                said = {"answer": worker.ask(question["what"], question["given"])}
            except Refused as refused:
                said = {"problems": [problem.as_json() for problem in refused.problems]}
            except Exception as error:  # a pack's hook may raise anything
                what = f"the question could not be answered: {type(error).__name__}: {error}"
                said = {"problems": [Problem("no-answer", question["what"], what, "Look into the log.").as_json()]}
            self.send({"type": "answer", "number": question["number"], **said})

    def beat(self, seconds: float) -> None:
        while not threading.Event().wait(seconds):
            self.send({"type": "beat", "run": self.run, "step": self.step})

    def announce(self, pack: str) -> None:
        self.send({"type": "importing", "pack": pack})

    def work(self) -> None:
        """From the settings to the end."""
        first = read_frame(self.source)
        if first is None:
            return
        settings = Settings(**first[0]["settings"])
        threading.Thread(target=self.control, name="control", daemon=True).start()
        threading.Thread(target=self.beat, args=(settings.heartbeat,), name="heartbeat", daemon=True).start()
        name_file = self.name_file if first[0].get("saves") else None
        try:
            worker = Worker(settings, self.announce, first[0]["skip"], name_file)
        except Refused as refused:
            self.send({"type": "refused", "problems": [problem.as_json() for problem in refused.problems]})
            return
        self.send({"type": "hello", "hello": worker.hello()})
        threading.Thread(target=self.answer, args=(worker,), name="answers", daemon=True).start()
        while (asked := self.runs.get()) is not None:
            message, cancelled = asked
            run = self.run = message["run"]
            self.saved.clear()
            worker.execute(run, Graph.from_json(message["graph"]), message["document"], self.emit, cancelled)
            if self.cancelled.get(run) is cancelled:  # who heard of its end may have sent it once more already
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
    preload(name.removeprefix(PRELOAD) for name in sys.argv if name.startswith(PRELOAD))
    Child(source, sink).work()
    os._exit(0)  # no waiting for threads that nodes may have left


def preload(modules: Iterable[str]) -> None:
    """Import what takes long before it is needed. What fails here fails again where it is used, and is told there."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


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
