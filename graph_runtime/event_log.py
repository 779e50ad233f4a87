"""What has happened, numbered without gaps, so that a client that was away can be told the rest.

An event's place is (epoch, seq). The epoch changes when the file was replaced by an older copy or begun anew: numbers
of another epoch mean nothing. Events are appended inside the transaction that makes them true, and listeners are told
after its COMMIT, in order. Progress and previews never come here. Knows nothing of what events mean.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graph_runtime.database import Database, Transaction, View

RUN_STATUS = "run-status"  # always kept, whatever the limit
RUNS_REMOVED = "runs-removed"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place. `run` is "" for one that belongs to no run; `data` has at least its `type`."""

    epoch: str
    seq: int
    run: str
    time: float
    data: dict[str, Any]


Listener = Callable[[StoredEvent], None]


class EventLog:
    """The events of all runs. Thread-safe.

    epoch     of this file
    per_run   events kept of one run; of what follows only its status is
    """

    def __init__(
        self, database: Database, epoch: str, per_run: int = 20_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.database, self.epoch, self.per_run, self.clock = database, epoch, per_run, clock
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have every event told after its commit, on the writer's thread; the answer ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return leave

    def append(self, transaction: Transaction, run: str, data: Mapping[str, Any]) -> None:
        """Add an event; if the run has had as many as are kept, say that once, and drop what is not its status."""
        if run:
            count = transaction.value("UPDATE runs SET events = events + 1 WHERE id = ? RETURNING events", (run,)) or 0
            if count > self.per_run and data["type"] != RUN_STATUS:
                if count > self.per_run + 1:
                    return
                data = {"type": "log", "run": run, "step": "", "text": f"More than {self.per_run:,} events; no more."}
        now, text = self.clock(), json.dumps(data, separators=(",", ":"))
        seq = transaction.value("INSERT INTO events (run, time, data) VALUES (?, ?, ?) RETURNING seq", (run, now, text))
        event = StoredEvent(self.epoch, seq, run, now, json.loads(text))
        transaction.after(lambda: self._tell(event))

    def head(self) -> tuple[str, int]:
        """The epoch, and the number of the last event; 0 before the first."""
        return self.epoch, self.database.read(_last)

    def since(self, epoch: str, seq: int, limit: int = 5_000) -> list[StoredEvent] | None:
        """What followed this place, oldest first; None when that cannot be told, so that a snapshot is needed."""
        if epoch != self.epoch or seq < 0:
            return None

        def work(view: View) -> list[StoredEvent] | None:
            floor = int(view.value("SELECT value FROM facts WHERE name = 'events-floor'") or 0)
            if seq < floor or seq > _last(view):
                return None
            rows = view.all("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit + 1))
            return None if len(rows) > limit else [self._event(row) for row in rows]

        return self.database.read(work)

    def of_run(self, run: str, after: int = 0, limit: int = 1_000) -> list[StoredEvent]:
        """A run's events after a number, oldest first, at most `limit`."""
        sql = "SELECT * FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?"
        return self.database.read(lambda view: [self._event(row) for row in view.all(sql, (run, after, limit))])

    def _event(self, row: Any) -> StoredEvent:
        return StoredEvent(self.epoch, row["seq"], row["run"], row["time"], json.loads(row["data"]))

    def _tell(self, event: StoredEvent) -> None:
        for listener in self._listeners:
            listener(event)


def forget_events(transaction: Transaction, keep: int) -> None:
    """Remove the events that belong to no run, but for the last `keep`; who is further back is told all anew."""
    floor = _last(transaction) - keep
    if floor > 0 and transaction.execute("DELETE FROM events WHERE run = '' AND seq <= ?", (floor,)).rowcount:
        transaction.execute(
            "INSERT INTO facts (name, value) VALUES ('events-floor', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
            (str(floor),),
        )


def _last(view: View) -> int:
    return int(view.value("SELECT seq FROM sqlite_sequence WHERE name = 'events'") or 0)
