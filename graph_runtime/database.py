"""One SQLite file: one thread that writes, and readers that cannot.

A write is a function of a `Transaction`, put in a queue; its `Future` is answered after COMMIT, never before. What has
queued up meanwhile shares one commit (and its fsync), each inside a savepoint of its own, so that one that raises takes
nothing of the others with it. Exactly one connection ever writes or checkpoints: two that do it at the same moment can
damage a file (SQLite before 3.51.3). Knows nothing of the tables.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from graph_runtime.problem import Problem, Refused

T = TypeVar("T")
Parameters = Sequence[Any] | Mapping[str, Any]
Connect = Callable[..., sqlite3.Connection]

NEEDED = (3, 37, 0)  # STRICT tables; RETURNING is older
TOGETHER = 64  # writes that share one commit at the most
IDLE = 4  # readers kept open
PATIENCE = 0.01  # seconds that a write which can wait does wait, for others to share its commit


class View:
    """What a read may do: ask."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row; None when there is none."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]


class Transaction(View):
    """What a write may do: ask, change, and leave something to be done once it has been committed."""

    __slots__ = ("callbacks",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.callbacks: list[Callable[[], None]] = []

    def after(self, call: Callable[[], None]) -> None:
        """Call this on the writer's thread after COMMIT, in the order of the commits. It must be quick."""
        self.callbacks.append(call)


class Job(Generic[T]):
    """A write that waits for its turn."""

    __slots__ = ("can_wait", "future", "work")

    def __init__(self, work: Callable[[Transaction], T], can_wait: bool) -> None:
        self.work, self.can_wait, self.future = work, can_wait, Future[T]()


def open_connection(path: Path, connect: Connect = sqlite3.connect, *, journal: str = "WAL") -> sqlite3.Connection:
    """A connection that writes, in autocommit mode, with every pragma set. Raises sqlite3.Error."""
    connection = connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # says something only in a new file
        connection.execute(f"PRAGMA journal_mode = {journal}")
        for pragma in ("synchronous = FULL", "fullfsync = ON", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        connection.execute("PRAGMA mmap_size = 0")
    except BaseException:
        connection.close()
        raise
    return connection


class Database:
    """A file that is open. Methods may be called from any thread.

    connection  what writes; belongs to the writer's thread from now on
    on_full     port: the disk is full; True if room was made and the write should be tried once more
    on_commit   port: told the seconds that each commit took and how many writes were in it
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        *,
        on_full: Callable[[], bool] = lambda: False,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:
        self.path, self.on_full, self.on_commit = path, on_full, on_commit
        self._connection = connection
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="database", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[Transaction], T], *, can_wait: bool = False) -> Future[T]:
        """Do this in a transaction. The future has its answer after COMMIT, or what it raised and then nothing is done.

        can_wait    nobody is waiting for it: it is done a moment later, so that what follows shares its commit

        `work` may be called a second time when the first was undone by a failure beside it.
        The future raises Refused ("disk-full") when there is no room, sqlite3.Error when the file cannot be written.
        """
        job = Job(work, can_wait)
        with self._closing:
            if self._closed:
                what, fix = "the server is ending; nothing more is taken.", "Try again when it is back."
                raise Refused(Problem("store-closed", self.path.name, what, fix))
            self._jobs.put(job)
        return job.future

    def read(self, work: Callable[[View], T]) -> T:
        """Ask within one consistent view of what has been committed."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._open_reader()
        try:
            connection.execute("BEGIN")
            try:
                return work(View(connection))
            except sqlite3.DatabaseError as error:
                raise self._explained(error) from error
            finally:
                connection.execute("ROLLBACK")
        finally:
            if self._readers.qsize() < IDLE and not self._closed:
                self._readers.put(connection)
            else:
                connection.close()

    def copy_out(self, copy: Callable[[sqlite3.Connection], T]) -> T:
        """Give a reader of its own to what copies the file; writes go on meanwhile."""
        reader = self._open_reader()
        try:
            return copy(reader)
        finally:
            reader.close()

    def close(self) -> None:
        """Finish what waits, bring everything into the one file, and close it. A second time does nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _open_reader(self) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma in ("busy_timeout = 5000", "query_only = ON", "trusted_schema = OFF", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # ── the writer's thread ──

    def _work(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._gather()
            if batch:
                self._commit(batch)
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            self._connection.close()

    def _gather(self) -> tuple[list[Job[Any]], bool]:
        """The writes that wait, and whether they are the last; a moment later if all of them can wait."""
        batch: list[Job[Any]] = []
        job = self._jobs.get()
        until = time.monotonic() + PATIENCE
        while job is not None:
            if job.future.set_running_or_notify_cancel():
                batch.append(job)
            if len(batch) >= TOGETHER:
                return batch, False
            patient = all(one.can_wait for one in batch)
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()) if patient else 0.0)
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[Job[Any]]) -> None:
        """Do these together; if that fails, each alone; if that fails too, say so to the one who asked."""
        try:
            self._together(batch)
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._commit([job])
            elif not self._once_more(batch, error):
                batch[0].future.set_exception(self._explained(error))

    def _once_more(self, batch: list[Job[Any]], error: Exception) -> bool:
        """After a full disk, if room could be made: True when the write then went through."""
        if not _is_full(error) or not self.on_full():
            return False
        try:
            self._together(batch)
        except Exception:
            return False
        return True

    def _together(self, batch: list[Job[Any]]) -> None:
        """One transaction. Raises when it could not be committed; then nothing of it is there and nobody was told."""
        begun = time.perf_counter()
        connection = self._connection
        results: list[tuple[Job[Any], Any, Exception | None]] = []
        callbacks: list[Callable[[], None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                results.append(self._savepoint(job, callbacks))
            connection.execute("COMMIT")
        except Exception:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        for call in callbacks:
            with suppress(Exception):  # a listener's failure is not the writer's
                call()
        for job, value, refusal in results:
            if refusal is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(refusal)
        if self.on_commit is not None:
            self.on_commit(time.perf_counter() - begun, len(batch))

    def _savepoint(self, job: Job[Any], callbacks: list[Callable[[], None]]) -> tuple[Job[Any], Any, Exception | None]:
        """One write's answer, or what it raised. Raises when the file failed rather than the write."""
        connection = self._connection
        transaction = Transaction(connection)
        connection.execute("SAVEPOINT job")
        try:
            value = job.work(transaction)
        except Exception as error:
            if _is_the_files(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            return job, None, error
        connection.execute("RELEASE job")
        callbacks.extend(transaction.callbacks)
        return job, value, None

    def _explained(self, error: Exception) -> Exception:
        if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with suppress(OSError):
                suspicion(self.path).touch()
            what = f"it is damaged: {error}."
            fix = "End the server and start it again: it then restores the last good copy."
            return Refused(Problem("store-damaged", str(self.path), what, fix))
        if not _is_full(error):
            return error
        what = "the disk is full; what was asked has not been done, and nothing that was there is lost."
        fix = f"Make room on the disk of {self.path.parent}."
        return Refused(Problem("disk-full", str(self.path.parent), what, fix))


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a whole database into a file of its own, without a log beside it, and make that last."""
    target.unlink(missing_ok=True)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        source.backup(copy)
        copy.execute("PRAGMA synchronous = FULL")
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def suspicion(path: Path) -> Path:
    """A file that is there when something was wrong with `path` in use: the next start then looks at all of it."""
    return path.with_name(f"{path.name}.suspect")


def _code(error: Exception) -> int:
    """SQLite's own number for what went wrong; 0 when it was not SQLite."""
    code: int = getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0
    return code & 0xFF


def _is_full(error: Exception) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL


def _is_the_files(error: Exception) -> bool:
    """Whether the file failed, not the statement: then what the transaction has done so far cannot be trusted."""
    constraint = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
    return isinstance(error, sqlite3.Error) and not isinstance(error, constraint)
