from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.database import Database, Transaction, open_connection
from graph_runtime.problem import Refused


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    connection = open_connection(tmp_path / "x.sqlite3")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
    database = Database(tmp_path / "x.sqlite3", connection)
    yield database
    database.close()


def put(database: Database, value: int) -> Any:
    return database.write(lambda t: t.execute("INSERT INTO t VALUES (?)", (value,)).rowcount)


def values(database: Database) -> list[int]:
    return [row[0] for row in database.read(lambda view: view.all("SELECT a FROM t ORDER BY a"))]


def held_up(database: Database) -> threading.Event:
    """Keep the writer busy until the event is set, so that what is written meanwhile queues up."""
    begun, go = threading.Event(), threading.Event()
    future = database.write(lambda t: (begun.set(), go.wait(10)))
    future.add_done_callback(lambda _: begun.set())  # it may fail before it begins
    assert begun.wait(10)
    return go


def test_the_file_is_as_safe_as_sqlite_makes_it(database: Database) -> None:
    def ask(t: Transaction) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "busy_timeout", "mmap_size")
        return {name: t.value(f"PRAGMA {name}") for name in names}

    assert database.write(ask).result() == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "busy_timeout": 5000,
        "mmap_size": 0,
    }


def test_writes_that_wait_share_a_commit_and_a_failure_stays_alone(tmp_path: Path) -> None:
    commits: list[int] = []
    connection = open_connection(tmp_path / "x.sqlite3")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
    database = Database(tmp_path / "x.sqlite3", connection, on_commit=lambda seconds, count: commits.append(count))
    go = held_up(database)
    futures = [put(database, value) for value in (1, 2, 2, 3)]
    go.set()
    wait(futures)
    assert [future.exception() is None for future in futures] == [True, True, False, True]
    assert isinstance(futures[2].exception(), sqlite3.IntegrityError)
    assert values(database) == [1, 2, 3]
    assert commits == [1, 4]
    database.close()


def test_what_can_wait_is_done_a_moment_later_with_what_follows(tmp_path: Path) -> None:
    commits: list[int] = []
    connection = open_connection(tmp_path / "x.sqlite3")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
    database = Database(tmp_path / "x.sqlite3", connection, on_commit=lambda seconds, count: commits.append(count))
    go = held_up(database)
    insert = "INSERT INTO t VALUES (?)"
    patient = [database.write(lambda t, v=v: t.execute(insert, (v,)), can_wait=True) for v in (1, 2)]
    hurried = put(database, 3)
    go.set()
    wait([*patient, hurried])
    assert commits == [1, 3] and values(database) == [1, 2, 3]
    alone = database.write(lambda t: t.execute("INSERT INTO t VALUES (4)").rowcount, can_wait=True)
    assert alone.result(10) == 1, "it need not be followed by anything"
    last = database.write(lambda t: t.execute("INSERT INTO t VALUES (5)").rowcount, can_wait=True)
    database.close()
    assert last.result(0) == 1


def test_what_is_left_for_after_the_commit_happens_then_and_only_if_it_was(database: Database) -> None:
    seen: list[Any] = []

    def works(t: Transaction) -> None:
        t.execute("INSERT INTO t VALUES (1)")
        t.after(lambda: seen.append(values(database)))
        t.after(lambda: 1 / 0)

    def fails(t: Transaction) -> None:
        t.after(lambda: seen.append("never"))
        raise KeyError

    go = held_up(database)
    futures = [database.write(works), database.write(fails)]
    go.set()
    wait(futures)
    assert seen == [[1]] and futures[0].exception() is None


def test_a_reader_cannot_write_and_sees_one_moment(database: Database) -> None:
    put(database, 1).result()

    def read(view: Any) -> list[int]:
        first = view.value("SELECT count(*) FROM t")
        put(database, 2).result()
        return [first, view.value("SELECT count(*) FROM t")]

    assert database.read(read) == [1, 1]
    assert values(database) == [1, 2]
    with pytest.raises(sqlite3.OperationalError):
        database.read(lambda view: view.execute("INSERT INTO t VALUES (9)"))


def test_what_was_given_before_the_end_is_done_and_nothing_after(database: Database) -> None:
    go = held_up(database)
    futures = [put(database, value) for value in range(200)]
    threading.Timer(0.05, go.set).start()
    database.close()
    assert all(future.result() == 1 for future in futures)
    with pytest.raises(Refused) as refusal:
        put(database, 1000)
    assert refusal.value.problems[0].code == "store-closed"
    database.close()


def test_a_write_nobody_waits_for_any_more_is_not_begun(database: Database) -> None:
    go = held_up(database)
    future = put(database, 1)
    assert future.cancel()
    go.set()
    put(database, 2).result()
    assert values(database) == [2]


# ── the n-th call fails ──


class Plan:
    """Lets the n-th statement fail, once or from then on, before it is done or after."""

    def __init__(self, at: int, kind: str) -> None:
        self.left, self.kind, self.hit = at, kind, False

    def connect(self, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        plan = self

        class Faulty(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                plan.left -= 1
                if plan.left == 0 or (plan.left < 0 and plan.kind == "for good"):
                    plan.hit = True
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorcode = sqlite3.SQLITE_FULL if plan.kind == "full" else sqlite3.SQLITE_IOERR
                    raise error
                return super().execute(sql, parameters)

        kwargs["factory"] = Faulty
        return sqlite3.connect(*args, **kwargs)


@pytest.mark.parametrize("kind", ["once", "for good", "full"])
def test_whatever_statement_fails_what_was_answered_is_there_and_nothing_else(quick: Path, kind: str) -> None:
    for n in range(1, 200):
        path = quick / f"{n}.sqlite3"
        connection = open_connection(path)
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
        connection.close()
        plan = Plan(n + 10, kind)
        released: list[bool] = []
        try:
            connection = open_connection(path, plan.connect)
        except sqlite3.OperationalError:
            continue
        database = Database(path, connection, on_full=lambda released=released: not released.append(True))
        go = held_up(database)
        futures = {value: put(database, value) for value in range(4)}
        go.set()
        wait(futures.values())
        answered = [value for value, future in futures.items() if future.exception() is None]
        database.close()
        connection = open_connection(path)
        assert [row[0] for row in connection.execute("SELECT a FROM t ORDER BY a")] == answered
        connection.close()
        if kind != "for good" or not plan.hit:
            assert answered == [0, 1, 2, 3], "one failure is tried again"
        assert not released or kind == "full"
        if not plan.hit:
            assert n > 10
            return
    raise AssertionError("the statements do not end")
