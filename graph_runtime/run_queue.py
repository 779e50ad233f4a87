"""The rules by which runs are taken, ended and tried again, over the store.

A submission is answered after COMMIT, and the same key again is the same run. A worker claims a run and is thereby
given an attempt number; every report it makes names that number, and a report of an attempt that is over changes
nothing. A run whose worker died is tried once more, at the back; then it fails with the name of the step. What was
running when the server died waits again; if that happens twice to the same run, the queue starts paused.

Writes answer with futures, which hold what was asked after COMMIT; reads answer at once. Thread-safe. Knows nothing of
HTTP, and nothing of how a worker is reached.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from graph_runtime.database import Transaction
from graph_runtime.event_log import RUN_STATUS
from graph_runtime.events import Event, Preview, Progress, to_json
from graph_runtime.executions import note
from graph_runtime.payloads import Payload, payload
from graph_runtime.problem import Problem, Refused
from graph_runtime.run_order import Waiting, next_number, rearrange, take_next, to_back, to_front, waiting
from graph_runtime.runs import Run, RunStatus, as_repeat, find_run, run_of
from graph_runtime.store import Store

Pause = Literal["person", "boot", "disk"]
MAX_CRASHES = 2  # the second ends the run


@dataclass(frozen=True, slots=True)
class Claim:
    """A run handed to a worker; `attempt` goes with every report."""

    run: Run
    attempt: int
    graph: dict[str, Any]
    document: dict[str, Any] | None


class RunQueue:
    """The queue of one server. Making it puts right what the last server left behind; see `notices`."""

    def __init__(self, store: Store) -> None:
        self.store, self.database, self.log, self.clock = store, store.database, store.events, store.clock
        self._short = False
        self.notices: tuple[Problem, ...] = self.database.write(self._boot).result()

    # ── asked by people ──

    def submit(
        self,
        graph: Mapping[str, Any],
        document: Mapping[str, Any] | None = None,
        *,
        user: str = "",
        priority: int = 0,
        key: str = "",
        meta: Mapping[str, Any] | None = None,
        run: str = "",
        front: bool = False,
        retry_of: str = "",
    ) -> Future[Run]:
        """Put a graph in the queue. The run is there to stay once the future has its answer.

        key   the client's own name for this submission: given again by this user, the answer is the first run
        run   the id it should have, if the client made one; otherwise one is made
        meta  small JSON that comes back with the run

        Raises Refused (also through the future): a key used for another graph, a taken id, a full queue, no JSON.
        """
        packed = Payload.of(graph)
        papers = Payload.of(document, "document") if document is not None else None
        text = json.dumps(dict(meta or {}), separators=(",", ":"), allow_nan=False)
        id = run or uuid.uuid4().hex

        def work(transaction: Transaction) -> Run:
            if key:
                row = transaction.one("SELECT * FROM runs WHERE user = ? AND key = ?", (user, key))
                if row is not None:
                    return self._repeated(run_of(row), packed.hash, key)
            self._refuse_full(transaction, user)
            if transaction.one("SELECT 1 FROM runs WHERE id = ?", (id,)):
                what = "there is a run of that id already."
                raise Refused(Problem("id-taken", id[:80], what, "Give another id, or none."))
            transaction.execute("INSERT OR IGNORE INTO users (name) VALUES (?)", (user,))
            packed.keep(transaction)
            place = next_number(transaction, "place")
            kept = papers.keep(transaction) if papers else None
            transaction.execute(
                "INSERT INTO runs (id, user, key, graph, document, meta, priority, place, created, retry_of) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (id, user, key or None, packed.hash, kept, text, priority, place, self.clock(), retry_of),
            )
            if front:
                to_front(transaction, id)
            return self._told(transaction, id)

        return self.database.write(work)

    def cancel(self, run: str) -> Future[Run]:
        """End a run: at once if it waits; if it runs, its worker has to be told, and answers with `finish`.

        The answer is the run as it is then: `cancelling` when there is a worker to tell. Twice, or after the end, it
        changes nothing.
        """

        def work(transaction: Transaction) -> Run:
            found = find_run(transaction, run)
            if found.status == "running" and not found.cancelling:
                transaction.execute("UPDATE runs SET cancelling = 1 WHERE id = ?", (run,))
                return self._told(transaction, run)
            if found.status in ("queued", "crashed"):
                return self._end(transaction, run, "cancelled")
            return found

        return self.database.write(work)

    def cancel_waiting(self, user: str | None = None) -> Future[list[str]]:
        """Empty the queue of a user's runs (of all, if None); what runs goes on. Says which were cancelled."""

        def work(transaction: Transaction) -> list[str]:
            sql = "SELECT id FROM runs WHERE status = 'queued' AND (?1 IS NULL OR user = ?1) ORDER BY number"
            ids = [str(row[0]) for row in transaction.all(sql, (user,))]
            for id in ids:
                self._end(transaction, id, "cancelled")
            return ids

        return self.database.write(work)

    def retry(self, run: str, *, user: str | None = None, key: str = "", priority: int = 0) -> Future[Run]:
        """Submit what a run that is over was made of, as a new run (of its user, if no other is named)."""
        old = self.store.runs.get(run)
        if not old.over:
            what = f"it is {old.status}, so it cannot be tried again."
            raise Refused(Problem("not-over", run[:80], what, "Wait for its end, or cancel it."))
        graph, document = self.store.runs.graph(run), self.store.runs.document(run)
        whose = old.user if user is None else user
        return self.submit(graph, document, user=whose, key=key, priority=priority, meta=old.meta, retry_of=run)

    def move_to_front(self, run: str) -> Future[Run]:
        """Let a waiting run be the next of its user. Raises Refused unless it waits."""
        return self._moved(run, to_front)

    def move_to_back(self, run: str) -> Future[Run]:
        """Let a waiting run be the last of all. Raises Refused unless it waits."""
        return self._moved(run, to_back)

    def reorder(self, runs: Sequence[str]) -> Future[None]:
        """Put these waiting runs in this order, in the places they have among themselves. Raises Refused."""
        return self.database.write(lambda transaction: rearrange(transaction, runs))

    def positions(self, workers: int = 1) -> list[Waiting]:
        """All that wait, next first, with the seconds until each begins as far as earlier runs tell."""
        return self.database.read(lambda view: waiting(view, workers, self.clock()))

    def pause(self) -> Future[None]:
        """Start nothing more until `resume`; what runs goes on. Holds over restarts."""
        return self.database.write(lambda transaction: self._set_paused(transaction, {"person"}))

    def resume(self) -> Future[None]:
        """Go on. A full disk keeps the queue paused all the same, until there is room."""
        return self.database.write(lambda transaction: self._set_paused(transaction, set()))

    def paused(self) -> tuple[Pause, ...]:
        """Why nothing is started; empty when it is."""
        text = self.database.read(lambda view: view.value("SELECT value FROM facts WHERE name = 'paused'"))
        return tuple(json.loads(text or "[]")) + (("disk",) if self.store.disk.short() else ())

    # ── asked for workers ──

    def claim(self, worker: str) -> Future[Claim | None]:
        """The next run for this worker; None when nothing waits or the queue is paused."""
        short = self.store.disk.short()

        def work(transaction: Transaction) -> Claim | None:
            if short is not self._short:
                self._short = short
                self._tell_paused(transaction)
            if short or transaction.value("SELECT value FROM facts WHERE name = 'paused'") not in (None, "[]"):
                return None
            while (row := take_next(transaction, worker, self.clock())) is not None:
                try:
                    graph = payload(transaction, row["graph"])
                    papers = payload(transaction, row["document"]) if row["document"] else None
                except Refused as refusal:
                    self._end(transaction, row["id"], "failed", refusal.problems)
                    continue
                return Claim(self._told(transaction, row["id"]), row["attempt"], graph, papers)
            return None

        return self.database.write(work)

    def record(self, run: str, attempt: int, events: Sequence[Event]) -> Future[bool]:
        """Keep what an attempt reports of its steps; progress and previews are passed over. False if it is over."""

        def work(transaction: Transaction) -> bool:
            if not self._holds(transaction, run, attempt):
                return False
            for event in events:
                if not isinstance(event, Progress | Preview):
                    note(transaction, attempt, event, self.clock())
                    self.log.append(transaction, run, to_json(event))
            return True

        return self.database.write(work, can_wait=True)

    def finish(
        self,
        run: str,
        attempt: int,
        status: Literal["succeeded", "failed", "cancelled"],
        problems: Sequence[Problem] = (),
        result: Mapping[str, Any] | None = None,
        *,
        can_wait: bool = False,
    ) -> Future[bool]:
        """End a run with what its worker says. False, and nothing changed, if that attempt is over.

        can_wait    something follows at once that can share its commit
        """

        def work(transaction: Transaction) -> bool:
            if not self._holds(transaction, run, attempt):
                return False
            self._end(transaction, run, status, problems, result)
            return True

        return self.database.write(work, can_wait=can_wait)

    def crash(
        self,
        run: str,
        attempt: int,
        *,
        step: str = "",
        kind: str = "",
        detail: Mapping[str, Any] | None = None,
        again: bool = True,
    ) -> Future[Run | None]:
        """The worker died under this attempt: wait at the back once more, or fail. None if the attempt is over.

        step    where it died; the last that was begun if not given
        kind    that step's kind of node, "pack/name", for the message
        detail  signal, exit code, last lines of the log, stacks
        again   False when the step must not be repeated without asking
        """

        def work(transaction: Transaction) -> Run | None:
            if not self._holds(transaction, run, attempt):
                return None
            found = find_run(transaction, run)
            where = step or found.last_step
            transaction.execute(
                "INSERT INTO crashes (run, attempt, time, step, kind, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (run, attempt, self.clock(), where, kind, json.dumps(dict(detail or {}))),
            )
            transaction.execute(
                "UPDATE runs SET status = 'crashed', crashes = crashes + 1, last_step = ? WHERE id = ?", (where, run)
            )
            self._told(transaction, run)
            if found.cancelling:
                return self._end(transaction, run, "cancelled")
            if again and found.crashes + 1 < MAX_CRASHES:
                return self._put_back(transaction, run, at_back=True)
            return self._end(transaction, run, "failed", [_died(transaction, run, again)])

        return self.database.write(work)

    def put_back(self, run: str, attempt: int) -> Future[bool]:
        """The server is ending and the run was stopped: let it wait again, where it was. False if it is over."""

        def work(transaction: Transaction) -> bool:
            if not self._holds(transaction, run, attempt):
                return False
            if find_run(transaction, run).cancelling:
                self._end(transaction, run, "cancelled")
            else:
                self._put_back(transaction, run, at_back=False)
            return True

        return self.database.write(work)

    # ── inside a transaction ──

    def _boot(self, transaction: Transaction) -> tuple[Problem, ...]:
        """Put right what was under way when the last server died."""
        boot = next_number(transaction, "boot")
        twice = []
        for row in transaction.all("SELECT * FROM runs WHERE status IN ('running', 'crashed') ORDER BY number"):
            if row["cancelling"]:
                self._end(transaction, row["id"], "cancelled")
                continue
            if row["died_boot"] == boot - 1:
                twice.append(row)
            transaction.execute("UPDATE runs SET died_boot = ? WHERE id = ?", (boot, row["id"]))
            self._put_back(transaction, row["id"], at_back=False)
        if not twice:
            return ()
        reasons = set(json.loads(transaction.value("SELECT value FROM facts WHERE name = 'paused'") or "[]"))
        self._set_paused(transaction, reasons | {"boot"})
        what = "the server ended twice in a row while this was running" + _at(twice[0]["last_step"])
        fix = "The queue is paused. Cancel this run if it is to blame, then resume."
        return tuple(Problem("server-died-twice", row["id"], what, fix, row["last_step"]) for row in twice)

    def _holds(self, transaction: Transaction, run: str, attempt: int) -> bool:
        """The fence: whether this attempt is the one that is running."""
        sql = "SELECT 1 FROM runs WHERE id = ? AND attempt = ? AND status = 'running'"
        return transaction.one(sql, (run, attempt)) is not None

    def _end(
        self,
        transaction: Transaction,
        run: str,
        status: RunStatus,
        problems: Collection[Problem] = (),
        result: Mapping[str, Any] | None = None,
    ) -> Run:
        transaction.execute(
            "UPDATE runs SET status = ?, ended = ?, problems = ?, result = ? WHERE id = ?",
            (
                status,
                self.clock(),
                json.dumps([one.as_json() for one in problems]),
                json.dumps(dict(result or {}), separators=(",", ":")),
                run,
            ),
        )
        return self._told(transaction, run)

    def _put_back(self, transaction: Transaction, run: str, *, at_back: bool) -> Run:
        transaction.execute("UPDATE runs SET status = 'queued', worker = '' WHERE id = ?", (run,))
        if at_back:
            to_back(transaction, run)
        return self._told(transaction, run)

    def _moved(self, run: str, move: Callable[[Transaction, str], None]) -> Future[Run]:
        def work(transaction: Transaction) -> Run:
            found = find_run(transaction, run)
            if found.status != "queued":
                what = f"it is {found.status}, so it has no place in the queue."
                raise Refused(Problem("not-waiting", run[:80], what, "Only what waits can be moved."))
            move(transaction, run)
            return self._told(transaction, run)

        return self.database.write(work)

    def _set_paused(self, transaction: Transaction, reasons: set[str]) -> None:
        text = json.dumps(sorted(reasons))
        transaction.execute(
            "INSERT INTO facts (name, value) VALUES ('paused', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1", (text,)
        )
        self._tell_paused(transaction)

    def _tell_paused(self, transaction: Transaction) -> None:
        reasons = json.loads(transaction.value("SELECT value FROM facts WHERE name = 'paused'") or "[]")
        self.log.append(transaction, "", {"type": "queue-paused", "reasons": reasons + ["disk"] * self._short})

    def _told(self, transaction: Transaction, run: str) -> Run:
        """The run as it is now, said to everybody."""
        found = find_run(transaction, run)
        data = {"type": RUN_STATUS, "run": run, "status": found.status, "attempt": found.attempt}
        data |= {"cancelling": found.cancelling and not found.over, "user": found.user}
        self.log.append(transaction, run, data)
        return found

    def _repeated(self, run: Run, graph: str, key: str) -> Run:
        if run.graph != graph:
            what = f"this key was given with another graph before; it is the run {run.id}."
            raise Refused(Problem("key-reused", key[:80], what, "Give every submission a key of its own."))
        return as_repeat(run)

    def _refuse_full(self, transaction: Transaction, user: str) -> None:
        limits = self.store.limits
        own = transaction.value(
            "SELECT count(*) FROM runs INDEXED BY runs_waiting_of WHERE status = 'queued' AND user = ?", (user,)
        )
        everyone = transaction.value("SELECT count(*) FROM runs INDEXED BY runs_waiting_of WHERE status = 'queued'")
        if own >= limits.queue_per_user or everyone >= limits.queue:
            most = f"{limits.queue_per_user:,} and {limits.queue:,}"
            what = f"{own:,} of your runs wait, {everyone:,} in all; at most {most} may."
            raise Refused(Problem("queue-full", "queue", what, "Wait until some have run, or cancel some."))


def _at(step: str) -> str:
    return f", in the step {step}." if step else "."


def _died(transaction: Transaction, run: str, again: bool) -> Problem:
    """Why a run is given up."""
    rows = transaction.all("SELECT step, kind FROM crashes WHERE run = ? ORDER BY attempt", (run,))
    named = [f"{row['step'] or 'no step'}" + (f" ({row['kind']})" if row["kind"] else "") for row in rows]
    last = rows[-1]["step"]
    if len(rows) > 1 and len({row["step"] for row in rows}) == 1 and last:
        pack = rows[-1]["kind"].partition("/")[0]
        what = f"the node {last}" + (f" (pack {pack})" if pack else "") + " killed the worker twice."
    elif len(rows) > 1:
        what = f"the worker died {len(rows)} times under this run: {', then '.join(named)}."
    else:
        what = f"the worker died at {named[-1]}" + ("." if again else ", which must not be repeated unasked.")
    fix = "Look into the log of the worker; change or remove that node, then submit again."
    return Problem("worker-died", last or run, what, fix, last)
