"""A worker in a process of its own: what happens there cannot end the caller.

    pack ends the process while it is imported   it is left out from then on, and the worker starts without it
    node ends the process, or the system does    the run fails with a Problem that names the step; the next run gets
                                                 a new process
    node does not stop when cancelled            asked → after `cancel_grace` told to end (SIGTERM, its stacks written
                                                 down) → after `terminate_grace` killed
    owner ends                                   the pipe closes, and the worker ends itself

Always a fresh interpreter, never a fork. Nothing that comes from the process is trusted beyond being data; what breaks
the protocol ends it. Knows nothing of nodes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from graph_runtime.events import Event, RunFinished
from graph_runtime.graph import Graph
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings
from graph_runtime.worker import read_defs, read_problems
from graph_runtime.workers import SavePort, Saving
from graph_runtime.workers.child import PRELOAD
from graph_runtime.workers.followed import Run, death
from graph_runtime.workers.frames import FrameError, read_frame, unpack_event, write_frame
from graph_runtime.workers.inline import busy, until_finished

LAST_LINES = 200
LONGEST_LINE = 8192
SECRETS = frozenset({"TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "APIKEY", "CREDENTIALS"})
ASKED = ("the worker was ended on request.", "the worker was closed.")
STARTER = """import sys
if {home!r} not in sys.path:
    sys.path.insert(0, {home!r})
from graph_runtime.workers.child import main
main()
"""


class Process:
    """One process, from its start to its end. It does not come back; `ProcessWorker` starts another."""

    def __init__(
        self, settings: Settings, save: SavePort | None = None, *, preload: Sequence[str] = (), lasts: bool = False
    ) -> None:
        """Starts it; it waits for `begin`, importing the modules in `preload` meanwhile.

        save    gives saved files their names; without it the worker does
        lasts   whether the calling thread lives as long as this process should
        """
        self.settings, self.save = settings, save
        self.begun = False
        self.importing = ""
        self.hello: dict[str, Any] | None = None
        self.refused: list[Problem] = []
        self.run: Run | None = None
        self.last_beat = time.monotonic()
        self.why = ""  # it is being ended, if somebody decided so
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self.ready, self.gone = threading.Event(), threading.Event()
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._number = 0
        self._answers: dict[int, Future[Any]] = {}
        home = str(Path(__file__).parents[2])
        command = [sys.executable, "-P", "-c", STARTER.format(home=home)]
        if lasts or threading.current_thread() is threading.main_thread():  # the kernel watches that thread
            command.append("die-with-owner")
        command += [PRELOAD + name for name in preload]
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # Ctrl-C in the terminal is the owner's to handle
        )
        self._readers = [
            threading.Thread(target=self._read_frames, name="worker-frames", daemon=True),
            threading.Thread(target=self._read_lines, name="worker-lines", daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, name="worker-wait", daemon=True).start()

    def begin(self, skip: Sequence[str]) -> None:
        """Let it load the packs, without those at the places in `skip`, and say hello."""
        self.begun = True
        self.last_beat = time.monotonic()
        settings = self.settings.as_json()
        self.send({"type": "settings", "settings": settings, "skip": list(skip), "saves": self.save is not None})

    def ask(self, what: str, given: Mapping[str, Any], seconds: float) -> Any:
        with self._asking:
            self._number += 1
            number = self._number
            answer = self._answers[number] = Future[Any]()
        self.send({"type": "ask", "number": number, "what": what, "given": dict(given)})
        try:
            return answer.result(timeout=seconds)
        except TimeoutError:
            problem = Problem("no-answer", what, f"the worker did not answer within {seconds:g} s.", "Ask again later.")
            raise Refused(problem) from None
        finally:
            self._answers.pop(number, None)

    def send(self, message: Mapping[str, Any]) -> None:
        """To a process that has just died this does nothing: its end is told by `_wait`."""
        try:
            with self._sending:
                write_frame(cast(Any, self.popen.stdin), message)
        except (OSError, ValueError):
            return

    def end(self, why: str, *, now: bool = False) -> None:
        """End it: at once, or with the stacks of its threads and a moment to go by itself."""
        self.why = self.why or why
        if not now and hasattr(signal, "SIGUSR1"):
            self._signal(signal.SIGUSR1)
            self.gone.wait(0.3)
            self._signal(signal.SIGTERM)
            if self.gone.wait(self.settings.terminate_grace):
                return
        self.popen.kill()
        self.gone.wait(10)

    def _signal(self, number: int) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def _read_frames(self) -> None:
        try:
            while (frame := read_frame(cast(Any, self.popen.stdout))) is not None:
                self._take(*frame)
        except (FrameError, OSError, ValueError) as error:
            self.why = self.why or f"the worker sent something else than was agreed: {error}"
            self.popen.kill()

    def _take(self, message: dict[str, Any], data: bytes) -> None:
        self.last_beat = time.monotonic()
        match message["type"]:
            case "event":
                run = self.run
                if run is not None and not run.over.is_set():
                    run.add(unpack_event(message, data, run.id))
            case "beat":
                pass
            case "save":
                self.send(self._save(message))
            case "answer":
                self._answered(message)
            case "importing":
                self.importing = str(message.get("pack", ""))
            case "hello":
                try:
                    read_defs(message["hello"]), read_problems(message["hello"])
                except Exception as error:  # whatever a worker sends, it is only data
                    raise FrameError(f"no hello: {type(error).__name__}: {error}") from None
                self.hello, self.importing = message["hello"], ""
                self.ready.set()
            case "refused":
                self.refused = [Problem.from_json(one) for one in message.get("problems", [])]
                self.ready.set()
            case other:
                raise FrameError(f"an unknown message {other[:40]!r}")

    def _save(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Only of the run that is under way: no worker can put files into another."""
        run = self.run
        if self.save is None or run is None or run.over.is_set() or message.get("run") != run.id:
            raise FrameError("a file of a run that is not under way")
        try:
            names = ("run", "step", "label", "suffix", "kind", "staged", "sha256")
            index = int(message["index"])
            saving = Saving(**{name: str(message[name]) for name in names}, index=index)
        except (KeyError, TypeError, ValueError) as error:
            raise FrameError(f"no file: {type(error).__name__}: {error}") from None
        try:
            return {"type": "saved", "path": str(self.save(saving))}
        except Refused as refused:
            return {"type": "saved", "problems": [problem.as_json() for problem in refused.problems]}
        except Exception as error:
            problem = Problem("cannot-write", saving.label, f"it cannot be saved: {error}", "Look into the log.")
            return {"type": "saved", "problems": [problem.as_json()]}

    def _answered(self, message: Mapping[str, Any]) -> None:
        answer = self._answers.get(message.get("number", 0))
        if answer is None or answer.done():
            return
        if "problems" in message:
            answer.set_exception(Refused([Problem.from_json(one) for one in message["problems"]]))
        else:
            answer.set_result(message.get("answer"))

    def _read_lines(self) -> None:
        stream = cast(IO[bytes], self.popen.stderr)
        for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
            self.lines.append(line.decode("utf-8", "replace").rstrip())

    def _wait(self) -> None:
        """Its end is known from the process itself, so no child it has left can hide it."""
        code = self.popen.wait()
        for reader in self._readers:
            reader.join(timeout=1.0)
        self.gone.set()  # before the run is looked at: `ProcessWorker.start` looks the other way round
        if self.run is not None:
            self.run.end(self.why or death(code), self.stacks())
        self.ready.set()
        for answer in list(self._answers.values()):
            if not answer.done():
                answer.set_exception(Refused(no_worker()))
        with suppress(OSError):
            cast(IO[bytes], self.popen.stdin).close()

    def stacks(self) -> str:
        """What the process said last of where it was: Python's fault handler writes it as it dies."""
        lines = list(self.lines)
        marks = ("Fatal Python error", "Thread ", "Current thread")
        starts = [number for number, line in enumerate(lines) if line.startswith(marks)]
        return "\n".join(lines[starts[0] :] if starts else lines[-20:])


class ProcessWorker:
    """A `WorkerHandle`. The process is started when it is first needed, and again after it has ended.

    save        gives saved files their names; without it the worker does
    spare       port: a process started ahead, with `save`, or None
    lasts       whether the threads that call `hello` and `start` live as long as the process should
    """

    def __init__(
        self,
        settings: Settings,
        save: SavePort | None = None,
        *,
        spare: Callable[[], Process | None] = lambda: None,
        lasts: bool = False,
    ) -> None:
        self.settings, self.save, self.spare, self.lasts = settings, save, spare, lasts
        self.quarantine: list[str] = []
        self._process: Process | None = None
        self._starting: Process | None = None
        self._closed = False
        self._run: Run | None = None
        self._lock = threading.RLock()

    def hello(self) -> dict[str, Any]:
        hello = self._running().hello
        assert hello is not None
        return hello

    def start(self, run: str, graph: Graph, document: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            if self._run is not None and not self._run.over.is_set():
                raise Refused(busy(self._run.id))
            process = self._running()
            self._run = process.run = Run(run, graph)
        message = {"type": "run", "run": run, "graph": graph.to_json(), "document": document}
        try:
            process.send(message)
        except FrameError as error:
            self._run.add(RunFinished(run, "failed", 0.0, (too_large(run, error),)))
        if process.gone.is_set():
            self._run.end(process.why or death(process.popen.returncode), process.stacks())

    def events(self) -> Iterator[Event]:
        run = self._run
        if run is None:
            raise Refused(Problem("no-run", "worker", "no run has been started.", "Start one first."))
        return until_finished(run.events)

    def cancel(self, run: str) -> None:
        with self._lock:
            current, process = self._run, self._process
            if current is None or process is None or current.id != run or current.over.is_set() or current.cancelled:
                return
            current.cancelled = True
        process.send({"type": "cancel", "run": run})
        threading.Thread(target=self._ladder, args=(process, current), name="worker-cancel", daemon=True).start()

    def _ladder(self, process: Process, run: Run) -> None:
        grace = self.settings.cancel_grace
        if not run.over.wait(grace) and not process.gone.is_set():
            process.end(f"it did not stop within {grace:g} s after the run was cancelled, so the worker was ended.")

    def kill(self) -> None:
        starting = self._starting
        if starting is not None:  # whoever waits for it holds the lock
            starting.end(ASKED[0], now=True)
        with self._lock:
            process, run = self._process, self._run
        if process is not None and not process.gone.is_set():
            if run is not None and not run.over.is_set():
                run.cancelled = True
            process.end(ASKED[0], now=True)

    def ask(self, what: str, given: Mapping[str, Any], seconds: float = 30.0) -> Any:
        process = self._process
        if process is None or process.hello is None or process.gone.is_set():
            raise Refused(no_worker())
        return process.ask(what, given, seconds)

    @property
    def pid(self) -> int:
        """Of the process; 0 when there is none."""
        process = self._process
        return 0 if process is None or process.gone.is_set() else process.popen.pid

    @property
    def last_lines(self) -> list[str]:
        """What it has printed last, also after its end."""
        process = self._process
        return [] if process is None else list(process.lines)

    def fail(self, why: str) -> None:
        """End the worker because it is not well, its stacks written down; a run under way has then died in it."""
        process = self._process
        if process is not None and not process.gone.is_set():
            process.end(why)

    def close(self) -> None:
        self._closed = True
        if self._starting is not None:
            self._starting.end(ASKED[1], now=True)
        process = self._process
        if process is None:
            return
        if self._run is not None:
            self.cancel(self._run.id)
        process.send({"type": "close"})
        if not process.gone.wait(self.settings.terminate_grace):
            process.end(ASKED[1], now=True)

    @property
    def quiet_seconds(self) -> float:
        """Since the last sign of life; 0 when there is no process."""
        process = self._process
        return 0.0 if process is None or process.gone.is_set() else time.monotonic() - process.last_beat

    def _running(self) -> Process:
        """The process, ready; a pack that ends it while it is imported is left out. Raises Refused if it cannot be."""
        with self._lock:
            while self._process is None or self._process.gone.is_set():
                process = self.spare() or Process(self.settings, self.save, lasts=self.lasts)
                process.settings = self.settings
                self._starting = process
                if self._closed:
                    process.end(ASKED[1], now=True)
                process.begin(self.quarantine)
                if not process.ready.wait(self.settings.start_seconds):
                    process.end(f"it was not ready after {self.settings.start_seconds:g} s.", now=True)
                self._starting = None
                if process.refused:
                    raise Refused(process.refused)
                if process.hello is not None and not process.gone.is_set():
                    self._process = process
                elif process.importing and process.importing not in self.quarantine and process.why not in ASKED:
                    self.quarantine.append(process.importing)
                else:
                    what = f"{process.why or death(process.popen.returncode)} {' | '.join(list(process.lines)[-3:])}"
                    raise Refused(Problem("worker-failed", "worker", what, "Run `latentloom doctor`."))
            return self._process


def no_worker() -> Problem:
    return Problem("no-worker", "worker", "no worker is up.", "Wait until it has started.")


def too_large(run: str, error: FrameError) -> Problem:
    return Problem("run-too-large", run, f"{error}.", "Put large texts into files.")


def environment() -> dict[str, str]:
    """The environment of a worker: this one without what looks like a secret, for a pack is code of strangers."""
    return {name: value for name, value in os.environ.items() if SECRETS.isdisjoint(name.upper().split("_"))}
