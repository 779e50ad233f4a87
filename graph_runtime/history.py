"""What leaves the store: runs that are over, when somebody clears them or when there are too many.

Their events, times and rows of files go with them, their graphs when nothing else uses them; finished files stay. Knows
nothing of the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from graph_runtime.database import Database, Transaction, View
from graph_runtime.event_log import RUNS_REMOVED, EventLog, forget_events
from graph_runtime.payloads import drop_unused
from graph_runtime.problem import Problem, Refused
from graph_runtime.runs import find_run

AT_ONCE = 100  # runs removed in one transaction, so that nobody waits long behind it
KEPT_EVENTS = 10_000  # of those that belong to no run
_OVER = "status IN ('succeeded', 'failed', 'cancelled')"


@dataclass(frozen=True, slots=True)
class Room:
    """How much the history may hold: runs that are over, and bytes of the whole file."""

    runs: int
    bytes: int


class History:
    """The runs that are over. Thread-safe."""

    def __init__(self, database: Database, log: EventLog, room: Room) -> None:
        self.database, self.log, self.room = database, log, room

    def remove(self, run: str) -> Future[None]:
        """Forget a run. Raises Refused when it is unknown or not over."""

        def work(transaction: Transaction) -> None:
            found = find_run(transaction, run)
            if not found.over:
                what = f"it is {found.status}; only what is over can be removed."
                raise Refused(Problem("not-over", run[:80], what, "Cancel it first."))
            self._remove(transaction, [run])

        return self.database.write(work)

    def clear(self, user: str | None = None) -> int:
        """Forget all runs of a user (of all, if None) that are over; says how many. Waits."""
        newest = self.database.read(lambda view: view.value("SELECT max(number) FROM runs") or 0)
        sql = f"SELECT id FROM runs WHERE {_OVER} AND number <= ?1 AND (?2 IS NULL OR user = ?2) LIMIT {AT_ONCE}"
        total = 0
        while removed := self.database.write(lambda transaction: self._some(transaction, sql, (newest, user))).result():
            total += removed
        return total

    def sweep(self) -> int:
        """Bring the history back into its room, oldest first; says how many runs went. Waits; call it now and then."""
        total = 0
        sql = f"SELECT id FROM runs WHERE {_OVER} ORDER BY number LIMIT ?"
        while excess := self._excess():
            removed = self.database.write(lambda transaction: self._some(transaction, sql, (excess,))).result()
            total += removed
            if not removed:
                break
        self.database.write(lambda transaction: forget_events(transaction, KEPT_EVENTS)).result()
        if total:
            self.database.write(lambda transaction: transaction.all("PRAGMA incremental_vacuum(10000)")).result()
        return total

    def _excess(self) -> int:
        """How many runs to remove next, at most a batch."""

        def work(view: View) -> int:
            over: int = view.value(f"SELECT count(*) FROM runs WHERE {_OVER}")
            pages = view.value("PRAGMA page_count") - view.value("PRAGMA freelist_count")
            if over and pages * view.value("PRAGMA page_size") > self.room.bytes:
                return max(1, min(AT_ONCE, over // 20))
            return min(AT_ONCE, max(0, over - self.room.runs))

        return self.database.read(work)

    def _some(self, transaction: Transaction, sql: str, values: Sequence[object]) -> int:
        ids = [str(row[0]) for row in transaction.all(sql, values)]
        if ids:
            self._remove(transaction, ids)
        return len(ids)

    def _remove(self, transaction: Transaction, ids: list[str]) -> None:
        hashes: set[str] = set()
        for id in ids:
            row = transaction.one("DELETE FROM runs WHERE id = ? RETURNING graph, document", (id,))
            hashes.update(str(hash) for hash in row or () if hash)
            transaction.execute("DELETE FROM events WHERE run = ?", (id,))
        drop_unused(transaction, hashes)
        self.log.append(transaction, "", {"type": RUNS_REMOVED, "runs": ids})
