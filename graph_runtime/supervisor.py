"""Keeps the workers alive and gives them runs.

    a thread per worker    hello → claim → start → events, kept or passed on → finish, crash or put back → claim …
    the keeper's thread    a spare process started ahead; a worker without a sign of life is ended

A worker that dies costs the attempt it was in and nothing else: the run waits once more, the spare takes over. What is
kept goes through the queue, fenced by the attempt; progress and previews only pass by. Knows nothing of HTTP.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from graph_runtime.artifacts import Request
from graph_runtime.event_log import StoredEvent
from graph_runtime.events import Event, Finished, Preview, Progress, Reused, RunFinished, Wrote
from graph_runtime.files import staging_of, unsafe
from graph_runtime.graph import Graph
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused
from graph_runtime.run_queue import Claim, RunQueue
from graph_runtime.settings import Settings
from graph_runtime.slots import Slot, State
from graph_runtime.worker import read_defs
from graph_runtime.workers import Saving
from graph_runtime.workers.process import Process, ProcessWorker

PENDING = 256  # events of a run on their way into the store
POLL = 2.0  # seconds after which an idle worker looks again although nobody called
LONGEST_PAUSE = 30.0  # between two tries to start a worker that cannot be started


class Watcher(Protocol):
    """Who is told what happens, on the supervisor's threads; must be quick."""

    def passing(self, event: Progress | Preview) -> None:
        """Something to show now that is not kept."""

    def hello(self, worker: str, hello: Mapping[str, Any]) -> None: ...

    def workers_changed(self) -> None: ...

    def step_ended(self, kind: str, seconds: float) -> None: ...

    def steps_reused(self, tier: str, count: int) -> None: ...

    def run_ended(self, status: str, seconds: float, waited: float) -> None: ...

    def worker_lost(self, worker: str, reason: str) -> None: ...


class Supervisor:
    """The workers of one server. Methods may be called from any thread.

    devices   one worker for each
    spare     whether to keep a process ready that has imported what takes long
    """

    def __init__(
        self,
        settings: Settings,
        queue: RunQueue,
        watcher: Watcher,
        log: Any,
        devices: Sequence[str],
        *,
        spare: bool = True,
    ) -> None:
        self.settings, self.queue, self.store, self.watcher, self.log = settings, queue, queue.store, watcher, log
        self.stopping = threading.Event()
        self._wake = threading.Condition()
        self._calls = 0  # how often somebody said that there may be something to do
        self._wants_spare = spare
        self._spare: Process | None = None
        self._spare_lock = threading.Lock()
        self._defs: dict[str, NodeDef] = {}
        self.slots = [self._slot(number, device) for number, device in enumerate(devices)]
        self._threads = [threading.Thread(target=self._work, args=(one,), name=one.name) for one in self.slots]
        self._threads.append(threading.Thread(target=self._keep, name="keeper"))
        self._leave: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._leave = self.store.events.subscribe(self._heard)
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def ready(self) -> bool:
        """Whether a worker could take a run now or is at one."""
        return any(slot.state in ("ready", "running") for slot in self.slots)

    def cancel(self, run: str, *, force: bool = False) -> bool:
        """Have the worker of this run stop; with `force` end its process at once. False if none is at it."""
        for slot in self.slots:
            with slot.lock:
                if slot.claim is None or slot.claim.run.id != run:
                    continue
                slot.cancelled = True
            if force:
                slot.handle.kill()
            else:
                slot.handle.cancel(run)
            return True
        return False

    def ask(self, what: str, given: Mapping[str, Any], seconds: float = 30.0) -> Any:
        """Ask a worker that is up: an idle one, or else one at a run. Raises Refused when there is none."""
        for slot in sorted(self.slots, key=lambda one: one.claim is not None):
            if slot.handle.pid and slot.state in ("ready", "running"):
                return slot.handle.ask(what, given, seconds)
        raise Refused(Problem("no-worker", "worker", "no worker is up.", "Wait until it has started."))

    def stop(self, seconds: float) -> None:
        """Let runs under way stop within `seconds` and wait again in the queue; end the workers. Waits."""
        until = time.monotonic() + seconds
        self.stopping.set()
        self._leave()
        self._call()
        for slot in self.slots:
            claim = slot.claim
            if claim is None:
                slot.handle.close()
            else:
                slot.handle.cancel(claim.run.id)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, until - time.monotonic()))
        for slot in self.slots:
            slot.handle.kill()
            slot.state = "closed"
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)
        with self._spare_lock:
            if self._spare is not None:
                self._spare.end("the server is ending.", now=True)

    # ── a worker's thread ──

    def _slot(self, number: int, device: str) -> Slot:
        settings = self.settings.model_copy(update={"device": device})
        handle = ProcessWorker(settings, self._save, spare=self._take_spare, lasts=True)
        return Slot(f"worker-{number}", device, handle)

    def _work(self, slot: Slot) -> None:
        failures = 0
        while not self.stopping.is_set():
            try:
                if not slot.handle.pid:
                    self._say_hello(slot)
                failures = 0
                calls = self._calls
                claim = self._claimed_ahead(slot) or self.queue.claim(slot.name).result()
                if claim is None:
                    self._wait_for_call(calls)
                else:
                    self._run(slot, claim)
            except Refused as refused:
                failures += 1
                self._give_back(slot)
                self._change(slot, "failed", refused.problems)
                self.log.error("worker not started", worker=slot.name, problem=str(refused))
                self.stopping.wait(min(LONGEST_PAUSE, 2.0**failures / 2))
            except Exception as error:  # the store is gone, or a mistake of ours: neither must end the thread
                failures += 1
                self._give_back(slot)
                self.log.error("supervisor failed", worker=slot.name, error=f"{type(error).__name__}: {error}")
                self.stopping.wait(min(LONGEST_PAUSE, 2.0**failures / 2))
        self._give_back(slot)
        slot.handle.close()
        self._change(slot, "closed")

    def _claimed_ahead(self, slot: Slot) -> Claim | None:
        """The run that was claimed as the last one ended."""
        ahead, slot.next = slot.next, None
        return ahead.result() if ahead is not None else None

    def _give_back(self, slot: Slot) -> None:
        """Let a run that was claimed ahead wait again: there is no worker for it now."""
        with suppress(Exception):  # if the store does not take it, its next start does the same
            claim = self._claimed_ahead(slot)
            if claim is not None:
                self.queue.put_back(claim.run.id, claim.attempt).result()

    def _say_hello(self, slot: Slot) -> None:
        self._change(slot, "starting")
        hello = slot.handle.hello()
        self._defs = read_defs(hello)
        self.store.set_hello(slot.name, hello)
        self.watcher.hello(slot.name, hello)
        self._change(slot, "ready")
        self.log.info("worker ready", worker=slot.name, device=hello.get("device", ""), pid=slot.handle.pid)

    def _run(self, slot: Slot, claim: Claim) -> None:
        """One attempt, from the claim to its end in the store."""
        run, log = claim.run, self.log.bind(worker=slot.name, run=claim.run.id, attempt=claim.attempt)
        with slot.lock:
            slot.claim, slot.cancelled, slot.step = claim, False, ""
        self._change(slot, "running")
        log.info("run started")
        try:
            try:
                graph = Graph.from_json(claim.graph)
                slot.handle.start(run.id, graph, claim.document)
            except Refused as refused:
                self._not_begun(slot, claim, refused)
                return
            if slot.cancelled or self.stopping.is_set() or self.store.runs.get(run.id).cancelling:
                slot.handle.cancel(run.id)
            end, files, pending = self._follow(slot, claim, graph)
            self._settle_surely(slot, claim, graph, end, files)
            for future in pending:  # they were written before
                self._kept(future)
            log.info("run ended", status=end.status, seconds=round(end.seconds, 3))
        finally:
            with slot.lock:
                slot.claim, slot.step = None, ""
            self._change(slot, "ready" if slot.handle.pid else "starting")

    def _not_begun(self, slot: Slot, claim: Claim, refused: Refused) -> None:
        """A graph that is none ends the run; a worker that cannot be started lets it wait."""
        if refused.problems[0].code in ("worker-failed", "worker-busy", "no-device"):
            self.queue.put_back(claim.run.id, claim.attempt).result()
            raise refused
        self.queue.finish(claim.run.id, claim.attempt, "failed", refused.problems).result()

    def _follow(
        self, slot: Slot, claim: Claim, graph: Graph
    ) -> tuple[RunFinished, list[dict[str, str]], deque[Future[bool]]]:
        """Keep or pass on what happens, up to the end; the files that came of it, and what is still being written."""
        run, pending = claim.run.id, deque[Future[bool]]()
        files: list[dict[str, str]] = []
        end = RunFinished(run, "failed", 0.0)
        for event in slot.handle.events():
            if isinstance(event, Progress | Preview):
                self.watcher.passing(event)
                continue
            if isinstance(event, RunFinished):
                end = event
                break
            if isinstance(event, Wrote):
                event, found = self._labelled(event)
                files += found
            self._measure(slot, event, graph)
            pending.append(self.queue.record(run, claim.attempt, [event]))
            if len(pending) > PENDING:
                self._kept(pending.popleft())
        return end, files, pending

    def _kept(self, future: Future[bool]) -> None:
        """An event that could not be kept is missing in the history; it is not worth a run."""
        error = future.exception()
        if error is not None:
            self.log.error("event not kept", error=f"{type(error).__name__}: {error}")

    def _measure(self, slot: Slot, event: Event, graph: Graph) -> None:
        slot.step = getattr(event, "step", "")
        if isinstance(event, Finished):
            step = graph.steps.get(event.step.partition("#")[0])
            self.watcher.step_ended(step.kind if step else "", event.seconds)
        elif isinstance(event, Reused):
            self.watcher.steps_reused(event.tier, len(event.steps))

    def _settle_surely(
        self, slot: Slot, claim: Claim, graph: Graph, end: RunFinished, files: list[dict[str, str]]
    ) -> None:
        """On a full or broken disk try on until it can be written: what a run has come to is not lost while we live."""
        while True:
            try:
                return self._settle(slot, claim, graph, end, files)
            except (Refused, sqlite3.Error) as error:
                self.log.error("end of run not kept", run=claim.run.id, error=f"{type(error).__name__}: {error}")
                if self.stopping.wait(POLL):
                    raise

    def _settle(self, slot: Slot, claim: Claim, graph: Graph, end: RunFinished, files: list[dict[str, str]]) -> None:
        """Say in the store how the attempt ended."""
        run, attempt = claim.run.id, claim.attempt
        died = any(one.code == "worker-died" for one in end.problems)
        if died:
            self._died(slot, claim, graph, end)
        elif end.status == "cancelled" and self.stopping.is_set():
            self.queue.put_back(run, attempt).result()
        else:
            result = {"seconds": round(end.seconds, 4), "files": files}
            goes_on = slot.next is None and slot.handle.pid != 0 and not self.stopping.is_set()
            finished = self.queue.finish(run, attempt, end.status, end.problems, result, can_wait=goes_on)
            if goes_on:
                slot.next = self.queue.claim(slot.name)  # the two share a commit
            finished.result()
        waited = max(0.0, (claim.run.started or claim.run.created) - claim.run.created)
        self.watcher.run_ended("crashed" if died else end.status, end.seconds, waited)
        if not slot.handle.pid:
            slot.restarts += 1
            reason = "died" if died else "cancelled"
            self.watcher.worker_lost(slot.name, reason)

    def _died(self, slot: Slot, claim: Claim, graph: Graph, end: RunFinished) -> None:
        problem = next(one for one in end.problems if one.code == "worker-died")
        step = graph.steps.get(problem.step)
        kind = step.kind if step else ""
        found = self._defs.get(kind)
        again = found is None or found.purity != "external"
        run, what = claim.run.id, problem.what
        self.log.warning("worker died", worker=slot.name, run=run, step=problem.step, kind=kind, what=what)
        detail = {"what": what, "lines": slot.handle.last_lines}
        self.queue.crash(claim.run.id, claim.attempt, step=problem.step, kind=kind, detail=detail, again=again).result()

    def _labelled(self, event: Wrote) -> tuple[Wrote, list[dict[str, str]]]:
        """The event with labels inside the served folders in the place of paths: no client sees where they are."""
        labels, files = [], []
        for path in event.paths:
            folder, label = self.label(Path(path))
            if label:
                labels.append(label)
                files.append({"step": event.step, "kind": folder, "media": event.media, "name": label})
        return replace(event, paths=tuple(labels)), files

    def label(self, path: Path) -> tuple[str, str]:
        """The folder and the name in it; ("", "") for what is in none of them."""
        for folder, root in self.store.artifacts.folders.items():
            for base in (root, Path(os.path.realpath(root))):
                if path.is_relative_to(base) and not unsafe(label := path.relative_to(base).as_posix()):
                    return folder, label
        return "", ""

    # ── called by workers' threads ──

    def _save(self, saving: Saving) -> Path:
        """Give a file of a run under way its name. Raises Refused."""
        claims = [slot.claim for slot in self.slots if slot.claim is not None and slot.claim.run.id == saving.run]
        root = self.store.artifacts.folders.get(saving.kind)
        staged = staging_of(root) / saving.staged if root is not None else None
        hexadecimal = len(saving.staged) == 32 and not set(saving.staged) - set("0123456789abcdef")
        if not claims or staged is None or not hexadecimal or staged.is_symlink() or not staged.is_file():
            what = "there is no such file waiting for a name."
            raise Refused(Problem("bad-name", repr(saving.label)[:200], what, "Save through the context."))
        request = Request(
            saving.run, claims[0].attempt, saving.step, saving.index, saving.label, saving.suffix, saving.kind
        )
        return self.store.artifacts.path(self.store.artifacts.publish(request, staged, saving.sha256))

    def _take_spare(self) -> Process | None:
        with self._spare_lock:
            spare, self._spare = self._spare, None
        self._call()
        return spare if spare is not None and not spare.gone.is_set() else None

    # ── waiting and waking ──

    def _heard(self, event: StoredEvent) -> None:
        kind = event.data.get("type")
        if kind == "queue-paused" or (kind == "run-status" and event.data.get("status") == "queued"):
            self._call()

    def _call(self) -> None:
        with self._wake:
            self._calls += 1
            self._wake.notify_all()

    def _wait_for_call(self, calls: int) -> None:
        with self._wake:
            if self._calls == calls and not self.stopping.is_set():
                self._wake.wait(POLL)

    def _change(self, slot: Slot, state: State, problems: tuple[Problem, ...] = ()) -> None:
        slot.state, slot.problems = state, problems
        self.watcher.workers_changed()

    # ── the keeper's thread ──

    def _keep(self) -> None:
        while not self.stopping.wait(0.25):
            for slot in self.slots:
                self._look_after(slot)
            with self._spare_lock, suppress(OSError):
                gone = self._spare is None or self._spare.gone.is_set()
                if gone and self._wants_spare and self.ready() and not self.stopping.is_set():
                    self._spare = Process(self.settings, self._save, preload=self.settings.preload, lasts=True)
        if self._spare is not None:
            self._spare.end("the server is ending.", now=True)

    def _look_after(self, slot: Slot) -> None:
        limit = self.settings.hang_seconds
        if limit and slot.state in ("ready", "running") and slot.handle.quiet_seconds > limit:
            self.log.warning("worker hangs", worker=slot.name, seconds=round(slot.handle.quiet_seconds))
            self.watcher.worker_lost(slot.name, "hung")
            slot.handle.fail(f"it gave no sign of life for {limit:g} s, so the worker was ended.")
