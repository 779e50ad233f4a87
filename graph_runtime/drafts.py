"""What is being edited: one draft for each open document, written down within a second of every change.

A draft has a revision. Who writes says which one it replaces; if that is no longer the newest, somebody else has
written meanwhile and nothing is overwritten. Knows nothing of what a document holds.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from graph_runtime.database import Database, Transaction, View
from graph_runtime.payloads import Payload
from graph_runtime.problem import Problem, Refused

KEPT = 200  # drafts of one user; the ones not changed for longest go
_FIELDS = "id, user, name, workflow, based_on, revision, changed"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of a draft without opening it.

    workflow  the saved workflow it was made from, "" if it was never saved
    based_on  the version of that
    """

    id: str
    user: str
    name: str
    workflow: str
    based_on: int
    revision: int
    changed: float


class Drafts:
    """The drafts of all users. Thread-safe; raises Refused ("unknown-draft") for an id it does not know."""

    def __init__(self, database: Database, kept: int = KEPT, clock: Callable[[], float] = time.time) -> None:
        self.database, self.kept, self.clock = database, kept, clock

    def put(
        self,
        id: str,
        document: Mapping[str, Any],
        revision: int,
        *,
        user: str = "",
        name: str = "",
        workflow: str = "",
        based_on: int = 0,
    ) -> Future[Draft]:
        """Write a draft down in place of this revision of it; 0 for a new one. The same again changes nothing.

        Raises Refused ("draft-changed") when another revision is there.
        """
        packed = Payload.of(document, "document")

        def work(transaction: Transaction) -> Draft:
            found = transaction.one(f"SELECT {_FIELDS}, hash FROM drafts WHERE id = ?", (id,))
            there = int(found["revision"]) if found is not None else revision  # closed elsewhere: it begins anew
            if found is not None and there == revision + 1 and found["hash"] == packed.hash:
                return _draft(transaction, id)  # the answer to the same words was lost
            if there != revision:
                what = (
                    f"revision {there} was written meanwhile, in another window; this one follows revision {revision}."
                )
                raise Refused(Problem("draft-changed", name or id, what, "Load that one, or go on with a copy."))
            values = (id, user, name, workflow, based_on, revision + 1, packed.hash, packed.data, self.clock())
            transaction.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            sql = "SELECT id FROM drafts WHERE user = ? ORDER BY changed DESC LIMIT -1 OFFSET ?"
            for row in transaction.all(sql, (user, self.kept)):
                transaction.execute("DELETE FROM drafts WHERE id = ?", (row["id"],))
            return _draft(transaction, id)

        return self.database.write(work)

    def get(self, id: str) -> tuple[Draft, dict[str, Any]]:
        """A draft and its document."""

        def work(view: View) -> tuple[Draft, dict[str, Any]]:
            draft = _draft(view, id)
            data = view.value("SELECT data FROM drafts WHERE id = ?", (id,))
            return draft, json.loads(zlib.decompress(data))

        return self.database.read(work)

    def page(self, user: str) -> list[Draft]:
        """Those of a user, the last changed first."""
        sql = f"SELECT {_FIELDS} FROM drafts WHERE user = ? ORDER BY changed DESC, id"
        return [Draft(*row) for row in self.database.read(lambda view: view.all(sql, (user,)))]

    def remove(self, id: str) -> Future[None]:
        """Forget it; it is not an error if it is not there."""

        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM drafts WHERE id = ?", (id,))

        return self.database.write(work)


def _draft(view: View, id: str) -> Draft:
    row = view.one(f"SELECT {_FIELDS} FROM drafts WHERE id = ?", (id,))
    if row is None:
        fix = "It was closed; a saved workflow is in the list of workflows."
        raise Refused(Problem("unknown-draft", id[:80], "there is no such draft.", fix))
    return Draft(*row)
