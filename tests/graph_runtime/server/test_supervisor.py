"""The supervisor between workers and a store that fails."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving import graph, settings_in

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_database import Plan

from graph_runtime.events import Preview, Progress
from graph_runtime.run_queue import RunQueue
from graph_runtime.server.logs import make_log
from graph_runtime.store import Limits, Store
from graph_runtime.supervisor import Supervisor

FREE = Limits(ballast_bytes=0, reserve_bytes=0)


class Ended:
    """Counts the runs that ended, by how they did."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def passing(self, event: Progress | Preview) -> None: ...

    def hello(self, worker: str, hello: Mapping[str, Any]) -> None: ...

    def workers_changed(self) -> None: ...

    def step_ended(self, kind: str, seconds: float) -> None: ...

    def steps_reused(self, tier: str, count: int) -> None: ...

    def run_ended(self, status: str, seconds: float, waited: float) -> None:
        self.runs.append(status)

    def worker_lost(self, worker: str, reason: str) -> None: ...


class Office:
    """A store that can fail, a queue, and a supervisor with one worker."""

    def __init__(self, folder: Path) -> None:
        self.plan, self.lines, self.ended = Plan(10**9, "for good"), io.StringIO(), Ended()
        self.store = Store(folder, limits=FREE, connect=self.plan.connect)
        self.queue = RunQueue(self.store)
        log = make_log(self.lines)
        self.supervisor = Supervisor(settings_in(folder), self.queue, self.ended, log, ("cpu",), spare=False)

    def submit(self, kind: str, **inputs: Any) -> str:
        return self.queue.submit(graph(kind, **inputs)).result().id

    def status(self, run: str) -> str:
        return self.store.runs.get(run).status

    def wait(self, true: Callable[[], object], seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, self.lines.getvalue()
            time.sleep(0.005)


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    one = Office(folder)
    one.supervisor.start()
    try:
        yield one
    finally:
        one.plan.left = 10**9
        one.supervisor.stop(5.0)
        one.store.close()


def test_an_end_that_could_not_be_written_down_is_written_down_later(tmp_path: Path) -> None:
    """The worker's work is not lost, and it is not done twice."""
    with office(tmp_path) as one:
        run = one.submit("trouble/works", seconds=0.3)
        one.wait(lambda: one.store.runs.get(run).last_step)
        one.plan.left = 1
        one.wait(lambda: "end of run not kept" in one.lines.getvalue())
        assert one.status(run) == "running"
        one.plan.left = 10**9
        one.wait(lambda: one.status(run) == "succeeded")
        assert one.store.runs.get(run).attempt == 1 and one.ended.runs == ["succeeded"]
        after = one.submit("faults/add", a=1, b=1)
        one.wait(lambda: one.status(after) == "succeeded")


def test_whenever_it_stops_nothing_is_left_running(tmp_path: Path) -> None:
    """Also the run that was claimed while the last one was written down."""
    for number in range(4):
        with office(tmp_path / str(number)) as one:
            runs = [one.submit("faults/add", a=value, b=number) for value in range(40)]
            one.wait(lambda at=number, one=one: len(one.ended.runs) > 3 * at)
            one.supervisor.stop(5.0)
            states = [one.status(run) for run in runs]
            done = states.count("succeeded")
            assert set(states) <= {"succeeded", "queued"} and done == one.ended.runs.count("succeeded")
            again = Supervisor(
                settings_in(tmp_path / str(number)), one.queue, one.ended, make_log(one.lines), ("cpu",), spare=False
            )
            again.start()
            one.wait(lambda runs=runs, one=one: {one.status(run) for run in runs} == {"succeeded"})
            again.stop(5.0)
            assert [one.store.runs.get(run).attempt for run in runs].count(1) >= len(runs) - 2
