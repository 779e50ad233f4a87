"""`schemas/<n>.sql` is a file of format n with something in every table, as that version wrote it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from graph_runtime.database import open_connection
from graph_runtime.migrations import STEPS, migrate, statements, version
from graph_runtime.problem import Refused
from graph_runtime.recovery import Backups, open_file
from graph_runtime.run_queue import RunQueue
from graph_runtime.store import Limits, Store

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = range(1, len(STEPS) + 1)


def old_file(path: Path, number: int) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / f"{number}.sql").read_text())
    connection.execute(f"PRAGMA user_version = {number}")
    connection.close()
    return path


def shape(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")]


@pytest.mark.parametrize("number", VERSIONS)
def test_a_file_of_any_version_becomes_what_a_new_one_is(tmp_path: Path, number: int) -> None:
    new = open_connection(tmp_path / "new.sqlite3")
    migrate(new)
    old = open_connection(old_file(tmp_path / "old.sqlite3", number))
    assert migrate(old) == len(STEPS) - number
    assert shape(old) == shape(new)
    assert version(old) == version(new) == len(STEPS)
    assert old.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert old.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("number", VERSIONS)
def test_nothing_in_an_old_file_is_lost_and_a_copy_is_kept(tmp_path: Path, number: int) -> None:
    path = old_file(tmp_path / "latentloom.sqlite3", number)
    store = Store(tmp_path, limits=Limits(ballast_bytes=0, reserve_bytes=0))
    queue = RunQueue(store)
    runs = {run.id: run for run in store.runs.page().runs}
    assert {id: run.status for id, run in runs.items()} == {"waits": "queued", "worked": "queued", "done": "succeeded"}
    assert (runs["done"].result, runs["worked"].attempt, runs["waits"].user) == ({"a": 1}, 1, "ann")
    assert [store.runs.graph(id) for id in runs] == [{"steps": {}}] * 3
    claim = queue.claim("gpu0").result()
    assert claim is not None and claim.run.id == "worked"
    if number >= 2:
        assert [one.step for one in store.executions("done")] == ["a"]
        assert store.events.of_run("done")[0].data == {"type": "started", "run": "done", "step": "a"}
    if number >= 3:
        assert [one.name for one in store.artifacts.of_run("done")] == ["cat_00001.png"]
    if number >= 4:
        assert [store.workflows.document(one.id) for one in store.workflows.page()] == [{"steps": {}}]
        assert store.hellos() == {"gpu0": (1.0, {"nodes": []})}
    if number >= 5:
        assert [store.drafts.get(one.id)[1] for one in store.drafts.page("ann")] == [{"steps": {}}]
    store.close()
    copies = [] if number == len(STEPS) else [number]
    assert [version(sqlite3.connect(copy)) for copy in Backups(tmp_path / "backups").paths()] == copies
    assert path.exists()


def test_a_step_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path) -> None:
    steps = (*STEPS, "CREATE TABLE more (a INTEGER) STRICT;", "CREATE TABLE last (a INTEGER);\nCREATE TABLE runs (a);")
    path = old_file(tmp_path / "x.sqlite3", 2)
    with pytest.raises(Refused) as refusal:
        open_file(path, Backups(tmp_path / "backups"), steps=steps)
    assert refusal.value.problems[0].code == "migration-failed"
    connection = sqlite3.connect(path)
    assert version(connection) == len(STEPS) + 1
    tables = {name for kind, name, _ in shape(connection) if kind == "table"}
    assert "more" in tables and "last" not in tables
    connection.close()


def test_a_file_from_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = old_file(tmp_path / "latentloom.sqlite3", len(STEPS))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(Refused) as refusal:
        Store(tmp_path, limits=Limits(ballast_bytes=0, reserve_bytes=0))
    assert refusal.value.problems[0].code == "store-too-new"
    after = path.read_bytes()
    # Bytes 18 and 19 say which journal is used; the counters beside them count that change.
    assert after[100:] == before[100:]
    Store(tmp_path / "other", limits=Limits(ballast_bytes=0, reserve_bytes=0)).close()


def test_a_script_is_cut_into_whole_statements() -> None:
    trigger = "CREATE TRIGGER t BEFORE UPDATE ON a\nBEGIN\n    SELECT 1;\n    SELECT 2;\nEND;\n"
    assert list(statements("CREATE TABLE a (b);\n" + trigger)) == ["CREATE TABLE a (b);\n", trigger]
    assert sum(len(list(statements(step))) for step in STEPS) > 15
