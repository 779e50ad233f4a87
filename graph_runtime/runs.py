"""The runs as they are kept: one by id, lists by page, how many in which state. Reading only; `run_queue` changes them.

    queued ─→ running ─→ succeeded · failed · cancelled      these never change again
       ↑         │
       └──── crashed ─→ failed                               the worker died under it

Knows nothing of workers or of the order in which runs are taken.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from graph_runtime.database import Database, View
from graph_runtime.payloads import payload
from graph_runtime.problem import Problem, Refused

RunStatus = Literal["queued", "running", "crashed", "succeeded", "failed", "cancelled"]
STATUSES: tuple[RunStatus, ...] = ("queued", "running", "crashed", "succeeded", "failed", "cancelled")
ENDED = frozenset({"succeeded", "failed", "cancelled"})
PAGE = 500  # runs in one page at the most


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Times are seconds since 1970; `started` is that of the last attempt.

    number      grows with every run; what pages are cut by
    attempt     how often it has been handed to a worker; names the attempt in every report
    crashes     how often a worker died under it
    last_step   the step that was last begun
    cancelling  somebody asked for its end, and the worker has not answered yet
    graph, document   hashes; see `Runs.graph`, `Runs.document`
    meta        what the client gave with it; not looked into
    result      what the worker gave at its end
    again       only in the answer to a submission: the same key had been used before, this is that run
    """

    id: str
    number: int
    user: str
    status: RunStatus
    priority: int
    attempt: int
    crashes: int
    last_step: str
    worker: str
    cancelling: bool
    created: float
    started: float | None
    ended: float | None
    graph: str
    document: str
    retry_of: str
    meta: dict[str, Any]
    result: dict[str, Any]
    problems: tuple[Problem, ...]
    again: bool = False

    @property
    def over(self) -> bool:
        return self.status in ENDED

    def as_json(self) -> dict[str, Any]:
        """Plain data, without `again`."""
        data = {name: getattr(self, name) for name in self.__slots__ if name != "again"}
        return data | {"problems": [one.as_json() for one in self.problems]}


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs, newest first; `before` asks for the next page, 0 when there is none."""

    runs: tuple[Run, ...]
    before: int


def run_of(row: sqlite3.Row) -> Run:
    """The run in a row of the table."""
    plain = {name: row[name] for name in Run.__slots__ if name not in _OTHERWISE}
    return Run(
        **plain,
        document=row["document"] or "",
        cancelling=bool(row["cancelling"]),
        meta=json.loads(row["meta"]),
        result=json.loads(row["result"]),
        problems=tuple(map(Problem.from_json, json.loads(row["problems"]))),
    )


_OTHERWISE = frozenset({"cancelling", "document", "meta", "result", "problems", "again"})


def find_run(view: View, id: str) -> Run:
    """Raises Refused ("unknown-run")."""
    row = view.one("SELECT * FROM runs WHERE id = ?", (id,))
    if row is None:
        fix = "It may have been removed from the history; the list of runs has those there are."
        raise Refused(Problem("unknown-run", id[:80], "there is no such run.", fix))
    return run_of(row)


class Runs:
    """The runs there are. Thread-safe; raises Refused ("unknown-run") for an id it does not know."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, id: str) -> Run:
        return self.database.read(lambda view: find_run(view, id))

    def graph(self, id: str) -> dict[str, Any]:
        """The graph of a run, as JSON. Raises Refused when it is damaged, too."""
        return self.database.read(lambda view: payload(view, find_run(view, id).graph))

    def document(self, id: str) -> dict[str, Any] | None:
        """The workflow it was made from; None when none was given."""

        def work(view: View) -> dict[str, Any] | None:
            run = find_run(view, id)
            return payload(view, run.document) if run.document else None

        return self.database.read(work)

    def page(
        self, statuses: Collection[RunStatus] = (), user: str | None = None, before: int = 0, limit: int = 50
    ) -> Page:
        """Runs in one of these states (any, if none is given) of a user (any, if None), newest first."""
        limit = max(1, min(limit, PAGE))
        wanted = [one for one in STATUSES if one in statuses]
        if statuses and not wanted:
            return Page((), 0)
        conditions: list[str] = ["1"]
        values: list[Any] = []
        if wanted:
            conditions.append(f"status IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
        if user is not None:
            conditions.append("user = ?")
            values.append(user)
        if before > 0:
            conditions.append("number < ?")
            values.append(before)
        sql = f"SELECT * FROM runs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT {limit + 1}"
        rows = self.database.read(lambda view: view.all(sql, values))
        runs = tuple(map(run_of, rows[:limit]))
        return Page(runs, runs[-1].number if len(rows) > limit else 0)

    def counts(self) -> dict[RunStatus, int]:
        """How many runs are in each state."""
        rows = self.database.read(lambda view: view.all("SELECT status, count(*) FROM runs GROUP BY status"))
        found: dict[RunStatus, int] = {row[0]: row[1] for row in rows}
        return {status: found.get(status, 0) for status in STATUSES}

    def crashes(self, id: str) -> list[dict[str, Any]]:
        """Each death of a worker under this run: attempt, time, step, kind, detail."""
        sql = "SELECT attempt, time, step, kind, detail FROM crashes WHERE run = ? ORDER BY attempt"
        rows = self.database.read(lambda view: view.all(sql, (find_run(view, id).id,)))
        return [dict(row) | {"detail": json.loads(row["detail"])} for row in rows]


def as_repeat(run: Run) -> Run:
    """This run as the answer to a submission made twice."""
    return replace(run, again=True)
