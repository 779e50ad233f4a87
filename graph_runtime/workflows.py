"""Saved workflows: a name, and every version that was saved under it.

A version is never overwritten; going back means saving an old one again. Knows nothing of what a document holds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from graph_runtime.database import Database, Transaction, View
from graph_runtime.payloads import Payload, drop_unused, payload
from graph_runtime.problem import Problem, Refused

LONGEST = 200  # characters of a name


@dataclass(frozen=True, slots=True)
class Workflow:
    """What is known of a saved workflow without opening it; `version` is the newest."""

    id: str
    user: str
    name: str
    version: int
    created: float
    changed: float


@dataclass(frozen=True, slots=True)
class Version:
    """One saving."""

    version: int
    saved: float
    note: str


class Workflows:
    """The saved workflows of all users. Thread-safe; raises Refused ("unknown-workflow") for an id it does not know.

    kept   versions of one workflow; the oldest go
    """

    def __init__(self, database: Database, kept: int = 100, clock: Callable[[], float] = time.time) -> None:
        self.database, self.kept, self.clock = database, kept, clock

    def create(self, name: str, document: Mapping[str, Any], *, user: str = "", note: str = "") -> Future[Workflow]:
        """Save under a name that this user has not used; version 1. Raises Refused ("name-taken")."""
        packed, name = Payload.of(document, "document"), _name(name)

        def work(transaction: Transaction) -> Workflow:
            self._refuse_taken(transaction, user, name)
            id, now = uuid.uuid4().hex, self.clock()
            values = (id, user, name, now, now)
            transaction.execute("INSERT INTO workflows VALUES (?, ?, ?, 0, ?, ?)", values)
            return self._add(transaction, _find(transaction, id), packed, note)

        return self.database.write(work)

    def save(
        self, id: str, document: Mapping[str, Any], *, based_on: int | None = None, note: str = ""
    ) -> Future[Workflow]:
        """Add a version. What is equal to the newest adds none.

        based_on   the version that was changed; if it is no longer the newest, Refused ("workflow-changed")
        """
        packed = Payload.of(document, "document")

        def work(transaction: Transaction) -> Workflow:
            found = _find(transaction, id)
            if packed.hash == _document(transaction, id, found.version):
                return found
            if based_on is not None and based_on != found.version:
                what = f"version {found.version} was saved meanwhile; this one was made from version {based_on}."
                raise Refused(Problem("workflow-changed", found.name, what, "Save it under another name, or over it."))
            return self._add(transaction, found, packed, note)

        return self.database.write(work)

    def rename(self, id: str, name: str) -> Future[Workflow]:
        """Raises Refused ("name-taken")."""
        name = _name(name)

        def work(transaction: Transaction) -> Workflow:
            found = _find(transaction, id)
            if found.name != name:
                self._refuse_taken(transaction, found.user, name)
                transaction.execute("UPDATE workflows SET name = ?, changed = ? WHERE id = ?", (name, self.clock(), id))
            return _find(transaction, id)

        return self.database.write(work)

    def remove(self, id: str) -> Future[None]:
        """Remove it with all versions."""

        def work(transaction: Transaction) -> None:
            _find(transaction, id)
            rows = transaction.all("SELECT document FROM workflow_versions WHERE workflow = ?", (id,))
            transaction.execute("DELETE FROM workflows WHERE id = ?", (id,))
            drop_unused(transaction, {str(row[0]) for row in rows})

        return self.database.write(work)

    def get(self, id: str) -> Workflow:
        return self.database.read(lambda view: _find(view, id))

    def document(self, id: str, version: int | None = None) -> dict[str, Any]:
        """What was saved; the newest version if none is named. Raises Refused ("unknown-version") too."""

        def work(view: View) -> dict[str, Any]:
            found = _find(view, id)
            return payload(view, _document(view, id, found.version if version is None else version))

        return self.database.read(work)

    def versions(self, id: str) -> list[Version]:
        """The savings that are kept, newest first."""
        sql = "SELECT version, saved, note FROM workflow_versions WHERE workflow = ? ORDER BY version DESC"
        rows = self.database.read(lambda view: view.all(sql, (_find(view, id).id,)))
        return [Version(*row) for row in rows]

    def page(self, user: str | None = None, limit: int = 500, offset: int = 0) -> list[Workflow]:
        """Those of a user (all, if None), the last changed first."""
        sql = "SELECT * FROM workflows WHERE ?1 IS NULL OR user = ?1 ORDER BY changed DESC, id LIMIT ?2 OFFSET ?3"
        return [Workflow(*row) for row in self.database.read(lambda view: view.all(sql, (user, limit, offset)))]

    def _add(self, transaction: Transaction, found: Workflow, packed: Payload, note: str) -> Workflow:
        now, version = self.clock(), found.version + 1
        values = (found.id, version, packed.keep(transaction), now, note)
        transaction.execute("INSERT INTO workflow_versions VALUES (?, ?, ?, ?, ?)", values)
        transaction.execute("UPDATE workflows SET version = ?, changed = ? WHERE id = ?", (version, now, found.id))
        sql = "DELETE FROM workflow_versions WHERE workflow = ? AND version <= ? RETURNING document"
        gone = transaction.all(sql, (found.id, version - self.kept))
        drop_unused(transaction, {str(row[0]) for row in gone})
        return _find(transaction, found.id)

    def _refuse_taken(self, view: View, user: str, name: str) -> None:
        if view.one("SELECT 1 FROM workflows WHERE user = ? AND name = ?", (user, name)):
            what = "there is a saved workflow of that name."
            raise Refused(Problem("name-taken", name, what, "Choose another name, or save over that one."))


def _find(view: View, id: str) -> Workflow:
    row = view.one("SELECT * FROM workflows WHERE id = ?", (id,))
    if row is None:
        fix = "It may have been removed; the list of workflows has those there are."
        raise Refused(Problem("unknown-workflow", id[:80], "there is no such workflow.", fix))
    return Workflow(*row)


def _document(view: View, id: str, version: int) -> str:
    """The hash of a version."""
    hash = view.value("SELECT document FROM workflow_versions WHERE workflow = ? AND version = ?", (id, version))
    if hash is None:
        what = f"there is no version {version}."
        raise Refused(Problem("unknown-version", id[:80], what, "Choose one of those that are listed."))
    return str(hash)


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        what = f"{name[:40]!r} cannot be the name of a workflow."
        raise Refused(Problem("bad-name", "name", what, f"Give 1 to {LONGEST} printable characters."))
    return name
