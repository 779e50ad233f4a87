"""Which run is next: the highest priority; in it, users in turn; of a user, the one that was placed first.

    priority 1   ann 1, ann 2 · bob 1          taken as   ann 1, bob 1, ann 2,
    priority 0   ann 3 · bob 2, bob 3                     bob 2, ann 3, bob 3

The user whose turn it is was served longest ago, in any priority. Everything here happens inside a transaction that
`run_queue` opened. Knows nothing of workers.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graph_runtime.database import Transaction, View
from graph_runtime.problem import Problem, Refused

# The first run of each user who waits in the highest priority; of these, that of the user served longest ago.
_NEXT = """
SELECT (SELECT id FROM runs WHERE status = 'queued' AND priority = top.priority AND user = users.name
        ORDER BY place LIMIT 1) AS id
FROM users, (SELECT max(priority) AS priority FROM runs INDEXED BY runs_waiting WHERE status = 'queued') AS top
WHERE id IS NOT NULL ORDER BY users.served, users.name LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the queue. position 1 is the next; `starts_in` seconds, None when nothing is known to tell it by."""

    run: str
    user: str
    priority: int
    position: int
    starts_in: float | None


def take_next(transaction: Transaction, worker: str, now: float) -> sqlite3.Row | None:
    """Make the next run this worker's: one more attempt, in one statement. None when nothing waits."""
    row = transaction.one(
        "UPDATE runs SET status = 'running', attempt = attempt + 1, worker = ?, started = ?, last_step = '' "
        f"WHERE id = ({_NEXT}) RETURNING *",
        (worker, now),
    )
    if row is not None:
        turn = next_number(transaction, "served")
        transaction.execute("UPDATE users SET served = ? WHERE name = ?", (turn, row["user"]))
    return row


def next_number(transaction: Transaction, counter: str) -> int:
    """Count one further."""
    number: int = transaction.value(
        "INSERT INTO counters (name, last) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1 "
        "RETURNING last",
        (counter,),
    )
    return number


def to_back(transaction: Transaction, run: str) -> None:
    """Put a waiting run behind all others: the last place, and no more priority than any of them."""
    transaction.execute(
        "UPDATE runs SET place = ?, priority = min(priority, coalesce("
        "(SELECT min(priority) FROM runs WHERE status = 'queued' AND id <> ?), priority)) WHERE id = ?",
        (next_number(transaction, "place"), run, run),
    )


def to_front(transaction: Transaction, run: str) -> None:
    """Put a waiting run before all others of its user, in the highest priority that waits."""
    transaction.execute(
        "UPDATE runs SET place = (SELECT min(place) - 1 FROM runs WHERE status = 'queued'), "
        "priority = (SELECT max(priority) FROM runs WHERE status = 'queued') WHERE id = ? AND status = 'queued'",
        (run,),
    )


def rearrange(transaction: Transaction, ids: Sequence[str]) -> None:
    """Let these waiting runs share out the places (and priorities) they have among themselves, in this order.

    Raises Refused, and changes nothing, unless all of them wait.
    """
    slots = []
    problems = []
    for id in ids:
        row = transaction.one("SELECT priority, place FROM runs WHERE id = ? AND status = 'queued'", (id,))
        if row is None:
            what = "it does not wait, so it has no place in the queue."
            problems.append(Problem("not-waiting", id[:80], what, "Get the queue anew, and order what waits."))
        else:
            slots.append((-row["priority"], row["place"]))
    if len(set(ids)) < len(ids):
        problems.append(Problem("not-waiting", "order", "a run is named twice.", "Name each once."))
    if problems:
        raise Refused(problems)
    for id, (priority, place) in zip(ids, sorted(slots), strict=True):
        transaction.execute("UPDATE runs SET priority = ?, place = ? WHERE id = ?", (-priority, place, id))


def waiting(view: View, workers: int, now: float) -> list[Waiting]:
    """All that wait, in the order in which they would be taken if nothing more came; when, with so many workers."""
    rows = view.all("SELECT id, user, priority, graph FROM runs WHERE status = 'queued' ORDER BY priority DESC, place")
    served = {row["name"]: row["served"] for row in view.all("SELECT name, served FROM users")}
    in_turn = taken_in_turn(rows, served)
    seconds = _typical_seconds(view, {row["graph"] for row in rows})
    busy = []
    for row in view.all("SELECT graph, started FROM runs WHERE status = 'running'"):
        left = seconds.get(row["graph"], seconds.get(""))
        busy.append(None if left is None else max(0.0, left - (now - row["started"])))
    ends: list[float] = [left for left in busy if left is not None] + [0.0] * max(0, workers - len(busy))
    known = bool(ends) and len(ends) >= len(busy)
    heapq.heapify(ends)
    found = []
    for position, row in enumerate(in_turn, 1):
        found.append(Waiting(row["id"], row["user"], row["priority"], position, ends[0] if known else None))
        takes = seconds.get(row["graph"], seconds.get("")) if known else None
        if takes is None:
            known = False
        else:
            heapq.heapreplace(ends, ends[0] + takes)
    return found


def taken_in_turn(rows: Iterable[sqlite3.Row], served: Mapping[str, int]) -> list[sqlite3.Row]:
    """These rows (highest priority first, then by place) in the order in which `take_next` would take them."""
    turns = dict(served)
    turn = max(turns.values(), default=0)
    classes: dict[int, dict[str, deque[sqlite3.Row]]] = defaultdict(lambda: defaultdict(deque))
    for row in rows:
        classes[row["priority"]][row["user"]].append(row)
    taken: list[sqlite3.Row] = []
    for priority in sorted(classes, reverse=True):
        users = classes[priority]
        order = [(turns.get(user, 0), user) for user in users]
        heapq.heapify(order)
        while order:
            _, user = heapq.heappop(order)
            taken.append(users[user].popleft())
            turn += 1
            turns[user] = turn
            if users[user]:
                heapq.heappush(order, (turn, user))
    return taken


def _typical_seconds(view: View, graphs: set[str]) -> dict[str, float]:
    """Median seconds of the last runs that succeeded: by graph, and under "" of all."""
    sql = "SELECT graph, ended - started FROM runs WHERE status = 'succeeded' ORDER BY number DESC LIMIT 200"
    times: dict[str, list[float]] = defaultdict(list)
    for graph, seconds in view.all(sql):
        times[""].append(seconds)
        if graph in graphs:
            times[graph].append(seconds)
    return {graph: sorted(some[:20])[len(some[:20]) // 2] for graph, some in times.items()}
