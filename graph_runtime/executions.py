"""What each step of a run took: time, memory, outcome, one row per attempt and step.

Rows come from the executor's events; a step that runs twice in one attempt (inside a loop) has its last. Knows nothing
of who reports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from graph_runtime.database import Transaction, View
from graph_runtime.events import (
    CancelledEvent,
    Event,
    Failed,
    Finished,
    Reused,
    Skipped,
    Started,
)
from graph_runtime.problem import Problem


@dataclass(frozen=True, slots=True)
class Execution:
    """One step in one attempt. `status`: running, finished, reused, failed, skipped; seconds; bytes at the peak."""

    run: str
    attempt: int
    step: str
    status: str
    started: float | None
    ended: float | None
    seconds: float
    peak_bytes: int
    outputs: dict[str, str]
    problems: tuple[Problem, ...]


_PUT = """
INSERT INTO executions (run, attempt, step, kind, status, started, ended, seconds, peak_bytes, outputs, problems)
VALUES (:run, :attempt, :step, :kind, :status, :started, :ended, :seconds, :peak_bytes, :outputs, :problems)
ON CONFLICT (run, attempt, step) DO UPDATE SET
    kind = excluded.kind, status = excluded.status, started = coalesce(excluded.started, started),
    ended = excluded.ended, seconds = excluded.seconds, peak_bytes = excluded.peak_bytes,
    outputs = excluded.outputs, problems = excluded.problems
"""


def note(transaction: Transaction, attempt: int, event: Event, now: float) -> None:
    """Keep what an event says of a step; one that says nothing of a step changes nothing."""

    def put(step: str, status: str, **more: Any) -> None:
        row: dict[str, Any] = {"run": event.run, "attempt": attempt, "step": step, "status": status, "ended": now}
        row |= {"kind": "", "started": None, "seconds": 0.0, "peak_bytes": 0, "outputs": "{}", "problems": "[]"}
        transaction.execute(_PUT, row | more)

    match event:
        case Started(step=step):
            put(step, "running", started=now, ended=None)
            transaction.execute("UPDATE runs SET last_step = ? WHERE id = ?", (step, event.run))
        case Finished(step=step):
            text = json.dumps(event.outputs, separators=(",", ":"))
            put(step, "finished", seconds=float(event.seconds), peak_bytes=int(event.peak_bytes), outputs=text)
        case Reused(steps=steps):
            for step in steps:
                put(step, "reused")
        case Failed(step=step):
            put(step, "failed", kind=event.kind, problems=json.dumps([one.as_json() for one in event.problems]))
        case Skipped(step=step):
            put(step, "skipped")
        case CancelledEvent():
            transaction.execute(
                "DELETE FROM executions WHERE run = ? AND attempt = ? AND status = 'running'", (event.run, attempt)
            )
        case _:
            pass


def executions(view: View, run: str) -> list[Execution]:
    """All there is of a run, attempt by attempt, in the order in which the steps ended."""
    sql = "SELECT * FROM executions WHERE run = ? ORDER BY attempt, coalesce(ended, 1e18), step"
    return [
        Execution(
            run,
            row["attempt"],
            row["step"],
            row["status"],
            row["started"],
            row["ended"],
            row["seconds"],
            row["peak_bytes"],
            json.loads(row["outputs"]),
            tuple(map(Problem.from_json, json.loads(row["problems"]))),
        )
        for row in view.all(sql, (run,))
    ]
