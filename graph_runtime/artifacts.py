"""The files a run has made: each once, whole, and known by its content.

The index-th file of a step of a run has one row and one name for ever, however often the step is repeated:

    reserve    the name is counted in a table and written down, with the hash the file will have
    place      the staged file, flushed by the worker, is linked to that name without overwriting; the folder is flushed
    ready      the row says so

A repetition after a crash in between finds what is there: the same content is adopted, what this run put there earlier
is replaced, and what somebody else put there is left alone (the next name is taken). A file that a person deleted is
`missing` and does not come back. Knows nothing of what is in the files, and nothing of workers.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graph_runtime.database import Database, Transaction, View
from graph_runtime.durable import copy_beside, last_number, link_new, replace_file, sha256_of, sync_folder
from graph_runtime.files import STAGING, unsafe
from graph_runtime.problem import Problem, Refused

EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run. `name` is its label inside `folder`; `state` is "reserved", "ready" or "missing"."""

    run: str
    step: str
    index: int
    folder: str
    name: str
    media: str
    state: str
    sha256: str
    bytes: int
    created: float


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants which file: the index-th of a step in an attempt of a run, called label_0000n.suffix in a folder."""

    run: str
    attempt: int
    step: str
    index: int
    label: str
    suffix: str
    folder: str = "output"
    media: str = ""


class Artifacts:
    """The files of all runs. Thread-safe.

    folders   where each kind of file goes: {"output": Path, "temp": Path}
    on_full   port: the disk is full; True if room was made
    """

    def __init__(
        self,
        database: Database,
        folders: Mapping[str, Path],
        *,
        on_full: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database, self.folders, self.on_full, self.clock = database, dict(folders), on_full, clock
        self._placing = threading.Lock()

    def path(self, artifact: Artifact) -> Path:
        return self.folders[artifact.folder] / artifact.name

    def staging(self, folder: str = "output") -> Path:
        """A path that nobody has, for a worker to write to; on the same disk as the folder. Emptied at every start."""
        place = self.folders[folder] / STAGING / "runs"
        place.mkdir(parents=True, exist_ok=True)
        return place / uuid.uuid4().hex

    def reserve(self, request: Request) -> Artifact:
        """The row of a file that is still to come, for a worker that needs its name beforehand. Waits for the commit.

        Raises Refused: the attempt is over or being cancelled ("attempt-over"), or the label leads elsewhere.
        """
        self._check(request)
        return self.database.write(lambda transaction: self._intend(transaction, request, "", "", "")).result()

    def publish(self, request: Request, staged: Path, sha256: str = "") -> Artifact:
        """Let the staged file, already flushed to disk, be this artifact; then the staged one is gone. Waits.

        sha256   of the staged file, if it is known already

        Raises Refused as `reserve` does, and when the file cannot be put there ("disk-full", "cannot-write").
        """
        self._check(request)
        sha256 = sha256 or sha256_of(staged)
        with self._placing:
            known = self.database.read(lambda view: _find(view, request))
            there = sha256_of(self.path(known)) if known else ""
            ours = there if known and there in self._possible(known) else ""
            foreign = there if not ours else ""
            while True:
                write = self.database.write(self._intention(request, sha256, ours, foreign))
                artifact = write.result()
                if artifact.state != "reserved":
                    break
                try:
                    self._place(staged, artifact, replace=bool(ours), there=ours == sha256)
                except FileExistsError:
                    ours, foreign = "", "taken"
                    continue
                artifact = self.database.write(self._readiness(artifact)).result()
                break
            staged.unlink(missing_ok=True)
            return artifact

    def of_run(self, run: str) -> list[Artifact]:
        """The files of a run, by step and index."""
        sql = "SELECT * FROM artifacts WHERE run = ? AND state <> 'reserved' ORDER BY step, idx"
        return self.database.read(lambda view: [_artifact(row) for row in view.all(sql, (run,))])

    def newest(self, before: float = 0.0, limit: int = 100, folder: str = "output") -> list[Artifact]:
        """Finished files of all runs made before a time (any, if 0), newest first."""
        sql = (
            "SELECT * FROM artifacts WHERE state = 'ready' AND folder = ? AND (?2 = 0.0 OR created < ?2) "
            "ORDER BY created DESC, name LIMIT ?3"
        )
        return self.database.read(lambda view: [_artifact(row) for row in view.all(sql, (folder, before, limit))])

    def look(self, run: str) -> list[Artifact]:
        """The files of a run, after looking which of them somebody has deleted. Waits."""
        gone = [one for one in self.of_run(run) if one.state == "ready" and not self.path(one).exists()]
        if gone:
            self.database.write(lambda transaction: [_set_state(transaction, one, "missing") for one in gone]).result()
        return self.of_run(run)

    def settle(self) -> None:
        """At the start: finish what a crash left half done, and empty the staging folders. Waits.

        What is linked already becomes ready; what no run will come back to is forgotten.
        """
        sql = (
            "SELECT artifacts.*, runs.status IN ('succeeded', 'failed', 'cancelled') AS over FROM artifacts "
            "JOIN runs ON runs.id = artifacts.run WHERE state = 'reserved'"
        )
        for row in self.database.read(lambda view: view.all(sql)):
            artifact = _artifact(row)
            if artifact.folder not in self.folders:
                continue
            there = sha256_of(self.path(artifact))
            with suppress(OSError):
                copy_beside(self.path(artifact)).unlink(missing_ok=True)
            if there and there == row["sha256"]:
                with suppress(FileNotFoundError):
                    sync_folder(self.path(artifact).parent)
                self.database.write(self._readiness(artifact)).result()
            elif there and there == row["previous"]:
                self.database.write(self._return_to(artifact, there)).result()
            elif row["over"]:
                self.database.write(self._forgetting(artifact)).result()
        for root in self.folders.values():
            with suppress(FileNotFoundError), os.scandir(root / STAGING / "runs") as entries:
                for entry in entries:
                    with suppress(OSError):
                        os.unlink(entry.path)

    # ── the steps ──

    def _possible(self, known: Artifact) -> tuple[str, ...]:
        """What this run may have put under the name: the last that was meant, what was there before it, or, where
        there are no hard links, an empty file that keeps the name."""
        previous = self.database.read(
            lambda view: view.value(
                "SELECT previous FROM artifacts WHERE run = ? AND step = ? AND idx = ?", _key(known)
            )
        )
        kept = EMPTY if known.state == "reserved" else ""
        return tuple(hash for hash in (known.sha256, previous, kept) if hash)

    def _intention(self, request: Request, sha256: str, ours: str, foreign: str) -> Callable[[Transaction], Artifact]:
        return lambda transaction: self._intend(transaction, request, sha256, ours, foreign)

    def _intend(self, transaction: Transaction, request: Request, sha256: str, ours: str, foreign: str) -> Artifact:
        """Write down what is going to be under which name; or find that it is there, or is not to come back.

        ours      the hash of what this run has put there earlier, "" if nothing is there
        foreign   not "" when somebody else's file is under the name
        """
        fence = "SELECT 1 FROM runs WHERE id = ? AND attempt = ? AND status = 'running' AND NOT cancelling"
        if transaction.one(fence, (request.run, request.attempt)) is None:
            what = f"attempt {request.attempt} of the run is over, so it makes no more files."
            raise Refused(Problem("attempt-over", request.run, what, "Nothing: a later attempt makes them."))
        key = (request.run, request.step, request.index)
        known = _find(transaction, request)
        if known is None:
            name = self._next_name(transaction, request, again=False)
            transaction.execute(
                "INSERT INTO artifacts (run, step, idx, folder, name, media, state, sha256, created) "
                "VALUES (?, ?, ?, ?, ?, ?, 'reserved', ?, ?)",
                (*key, request.folder, name, request.media, sha256, self.clock()),
            )
        elif known.state == "missing" or not sha256 or (known.state == "ready" and ours == sha256):
            return known
        elif known.state == "ready" and not ours and not foreign:
            return _set_state(transaction, known, "missing")
        else:
            name = self._next_name(transaction, request, again=True) if foreign else known.name
            transaction.execute(
                "UPDATE artifacts SET state = 'reserved', sha256 = ?, previous = ?, folder = ?, name = ? "
                "WHERE run = ? AND step = ? AND idx = ?",
                (sha256, ours, request.folder, name, *key),
            )
        found = _find(transaction, request)
        if found is None:
            raise sqlite3.IntegrityError("a row that was just written is not there")
        return found

    def _place(self, staged: Path, artifact: Artifact, *, replace: bool, there: bool) -> None:
        """Bring the file to its name. Raises FileExistsError when the name is taken, Refused when it cannot be done."""
        path = self.path(artifact)
        for last in (False, True):
            try:
                self._make_folder(path.parent, artifact)
                if there:
                    sync_folder(path.parent)
                elif replace:
                    replace_file(staged, path)
                else:
                    link_new(staged, path)
                return
            except FileExistsError:
                raise
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if full and self.on_full() and not last:
                    continue
                what = f"it cannot be put there: {error.strerror or error}."
                code = "disk-full" if full else "cannot-write"
                raise Refused(Problem(code, str(path), what, "Make room, or choose another folder.")) from None

    def _make_folder(self, folder: Path, artifact: Artifact) -> None:
        """Make the folder; refuse when a link on the way leads out of the root."""
        root = self.folders[artifact.folder]
        root.mkdir(parents=True, exist_ok=True)
        there = folder
        while not there.exists():
            there = there.parent
        if not Path(os.path.realpath(there)).is_relative_to(os.path.realpath(root)):
            what = f"a link leads out of {root}."
            raise Refused(Problem("leads-outside", artifact.name, what, "Choose another name, or remove the link."))
        folder.mkdir(parents=True, exist_ok=True)

    def _readiness(self, artifact: Artifact) -> Callable[[Transaction], Artifact]:
        size = self.path(artifact).stat().st_size

        def work(transaction: Transaction) -> Artifact:
            sql = "UPDATE artifacts SET bytes = ?, previous = '' WHERE run = ? AND step = ? AND idx = ?"
            transaction.execute(sql, (size, *_key(artifact)))
            return _set_state(transaction, artifact, "ready")

        return work

    def _return_to(self, artifact: Artifact, sha256: str) -> Callable[[Transaction], Artifact]:
        """A replacement did not come about: the row says again what is there."""

        def work(transaction: Transaction) -> Artifact:
            sql = "UPDATE artifacts SET sha256 = ?, previous = '' WHERE run = ? AND step = ? AND idx = ?"
            transaction.execute(sql, (sha256, *_key(artifact)))
            return _set_state(transaction, artifact, "ready")

        return work

    def _forgetting(self, artifact: Artifact) -> Callable[[Transaction], None]:
        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM artifacts WHERE run = ? AND step = ? AND idx = ?", _key(artifact))

        return work

    def _next_name(self, transaction: Transaction, request: Request, *, again: bool) -> str:
        """The next number of this label. The folder is looked at for the first, and when a name turned out taken."""
        counter = f"name/{request.folder}/{request.label}{request.suffix}"
        last = transaction.value("SELECT last FROM counters WHERE name = ?", (counter,)) or 0
        if again or not last:
            whole = self.folders[request.folder] / request.label
            last = max(last, last_number(whole.parent, whole.name, request.suffix))
        transaction.execute(
            "INSERT INTO counters (name, last) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET last = ?2",
            (counter, last + 1),
        )
        return f"{request.label}_{last + 1:05}{request.suffix}"

    def _check(self, request: Request) -> None:
        name = f"{request.label}_00001{request.suffix}"
        reason = unsafe(request.label) or unsafe(f"x{request.suffix}") or unsafe(name)
        if request.folder not in self.folders:
            reason = reason or f"nothing is saved as {request.folder!r}"
        if reason:
            fix = "Give a plain name, e.g. picture or cats/tom."
            raise Refused(Problem("bad-name", repr(request.label)[:200], f"{reason}.", fix))


def _artifact(row: sqlite3.Row) -> Artifact:
    return Artifact(
        row["run"],
        row["step"],
        row["idx"],
        row["folder"],
        row["name"],
        row["media"],
        row["state"],
        row["sha256"],
        row["bytes"],
        row["created"],
    )


def _key(artifact: Artifact) -> tuple[str, str, int]:
    return artifact.run, artifact.step, artifact.index


def _find(view: View, request: Request) -> Artifact | None:
    key = (request.run, request.step, request.index)
    row = view.one("SELECT * FROM artifacts WHERE run = ? AND step = ? AND idx = ?", key)
    return _artifact(row) if row is not None else None


def _set_state(transaction: Transaction, artifact: Artifact, state: str) -> Artifact:
    row = transaction.one(
        "UPDATE artifacts SET state = ? WHERE run = ? AND step = ? AND idx = ? RETURNING *", (state, *_key(artifact))
    )
    return _artifact(row) if row is not None else artifact
