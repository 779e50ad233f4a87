"""What outlives the server: one folder, one server, one SQLite file, and the nouns kept in it.

    <folder>/latentloom.sqlite3     runs, graphs, events, artifacts, workflows, drafts, hellos, facts
    <folder>/backups/               a copy of each day, and one from before each migration
    <folder>/server.lock            held while a server is there
    <folder>/ballast                given up when the disk is full

Opening checks the file, restores it if it is damaged, migrates it, and finishes what a crash left half done; what a
person should know of that is in `notices`. Knows no rule of the queue: those are in `run_queue`.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_runtime.artifacts import Artifacts
from graph_runtime.data_lock import DataLock
from graph_runtime.database import Connect, Database, Transaction, View
from graph_runtime.disk_space import BALLAST, RESERVE, DiskSpace
from graph_runtime.drafts import Drafts
from graph_runtime.event_log import EventLog
from graph_runtime.executions import Execution, executions
from graph_runtime.history import History, Room
from graph_runtime.problem import Problem
from graph_runtime.recovery import DAY, Backups, open_file, stamp
from graph_runtime.runs import Runs, find_run
from graph_runtime.workflows import Workflows

NAME = "latentloom.sqlite3"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept. Counts, and bytes where it says so."""

    queue_per_user: int = 1_000
    queue: int = 10_000
    history: int = 10_000
    history_bytes: int = 1 << 30
    events_per_run: int = 20_000
    versions: int = 100
    ballast_bytes: int = BALLAST
    reserve_bytes: int = RESERVE


class Store:
    """All that is kept. Methods may be called from any thread; writes answer with futures, after COMMIT.

    folder    the data folder
    folders   where finished files go: {"output": …, "temp": …}; inside the data folder if not given
    connect   port: how SQLite is reached
    on_commit port: told the seconds of each commit, and how many writes were in it

    Raises Refused: another server has the folder ("data-dir-in-use"), a newer version wrote the file
    ("store-too-new"), it cannot be opened ("store-unreadable") or migrated ("migration-failed").
    """

    def __init__(
        self,
        folder: Path,
        folders: Mapping[str, Path] | None = None,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        connect: Connect = sqlite3.connect,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:
        self.folder, self.limits, self.clock = folder, limits or Limits(), clock
        places = dict(folders or {"output": folder / "output", "temp": folder / "temp"})
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = DataLock(folder)
        try:
            self.disk = DiskSpace((folder, *places.values()), self.limits.ballast_bytes, self.limits.reserve_bytes)
            self.backups = Backups(folder / "backups")
            opened = open_file(folder / NAME, self.backups, connect)
        except BaseException:
            self._lock.close()
            raise
        self.notices: tuple[Problem, ...] = opened.notices
        self.database = Database(folder / NAME, opened.connection, on_full=self.disk.release, on_commit=on_commit)
        try:
            epoch = self._epoch(opened.restored)
            self.events = EventLog(self.database, epoch, self.limits.events_per_run, clock)
            self.runs = Runs(self.database)
            self.artifacts = Artifacts(self.database, places, on_full=self.disk.release, clock=clock)
            self.workflows = Workflows(self.database, self.limits.versions, clock)
            self.drafts = Drafts(self.database, clock=clock)
            self.history = History(self.database, self.events, Room(self.limits.history, self.limits.history_bytes))
            self.artifacts.settle()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Finish what waits, close the file, let go of the folder. A second time does nothing."""
        self.database.close()
        self._lock.close()

    def executions(self, run: str) -> list[Execution]:
        """What each step of each attempt took. Raises Refused ("unknown-run")."""
        return self.database.read(lambda view: executions(view, find_run(view, run).id))

    # ── small things by name ──

    def fact(self, name: str, default: Any = None) -> Any:
        """A small JSON value by its name: a setting made at run time."""
        text = self.database.read(lambda view: view.value("SELECT value FROM facts WHERE name = ?", (f"app/{name}",)))
        return default if text is None else json.loads(text)

    def set_fact(self, name: str, value: Any) -> Future[None]:
        """Keep it; None removes it."""
        text = json.dumps(value, allow_nan=False)

        def work(transaction: Transaction) -> None:
            if value is None:
                transaction.execute("DELETE FROM facts WHERE name = ?", (f"app/{name}",))
            else:
                _put_fact(transaction, f"app/{name}", text)

        return self.database.write(work)

    def set_hello(self, worker: str, hello: Mapping[str, Any]) -> Future[None]:
        """Keep what a worker said of itself when it started."""
        text = json.dumps(hello, separators=(",", ":"))

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO hellos (worker, time, data) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (worker) DO UPDATE SET time = ?2, data = ?3",
                (worker, self.clock(), text),
            )

        return self.database.write(work)

    def hellos(self) -> dict[str, tuple[float, dict[str, Any]]]:
        """The last hello of each worker and when it was: what the editor can show before any worker is up."""
        rows = self.database.read(lambda view: view.all("SELECT worker, time, data FROM hellos ORDER BY worker"))
        return {row["worker"]: (row["time"], json.loads(row["data"])) for row in rows}

    # ── upkeep ──

    def upkeep(self) -> int:
        """What has to be done now and then, e.g. every ten minutes: the copy of the day, and the history's limits.

        Says how many runs left the history. Waits; call it on a thread of its own. Raises sqlite3.Error or OSError when
        the copy could not be made; the last one is then still there.
        """
        removed = self.history.sweep()
        if self.backups.age(time.time()) >= DAY and not self.disk.short():
            self.backup()
        return removed

    def backup(self) -> Path:
        """Copy the file now, beside what goes on."""
        return self.database.copy_out(lambda reader: self.backups.take(reader, stamp()))

    def writable(self) -> Future[None]:
        """Answered as soon as a commit has gone through; for health checks."""

        def work(transaction: Transaction) -> None:
            _put_fact(transaction, "writable", repr(self.clock()))

        return self.database.write(work)

    def _epoch(self, restored: bool) -> str:
        """What the numbers of events belong to: another after every loss."""

        def known(view: View) -> Any:
            return view.value("SELECT value FROM facts WHERE name = 'epoch'")

        def work(transaction: Transaction) -> str:
            if restored or known(transaction) is None:
                _put_fact(transaction, "epoch", uuid.uuid4().hex)
            return str(known(transaction))

        return self.database.write(work).result()


def _put_fact(transaction: Transaction, name: str, text: str) -> None:
    transaction.execute(
        "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2", (name, text)
    )
