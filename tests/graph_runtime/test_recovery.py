from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from graph_runtime.problem import Refused
from graph_runtime.recovery import Backups
from graph_runtime.run_queue import RunQueue
from graph_runtime.store import NAME, Limits, Store

FREE = Limits(ballast_bytes=0, reserve_bytes=0)


def opened(folder: Path) -> tuple[Store, RunQueue]:
    store = Store(folder, limits=FREE)
    return store, RunQueue(store)


def fill(folder: Path, count: int, first: int = 0, backup: bool = False) -> None:
    store, queue = opened(folder)
    futures = [
        queue.submit({"steps": {"a": {"kind": "x", "inputs": {"n": n}}}}, run=str(n)) for n in range(first, count)
    ]
    for future in futures:
        future.result()
    if backup:
        store.backup()
    store.close()


def ids(store: Store) -> set[str]:
    return {run.id for run in store.runs.page(limit=500).runs}


def test_a_damaged_file_is_set_aside_and_the_last_copy_takes_its_place(tmp_path: Path) -> None:
    fill(tmp_path, 50, backup=True)
    fill(tmp_path, 60, first=50)
    epoch = opened(tmp_path)[0]
    first = epoch.events.epoch
    epoch.close()
    path = tmp_path / NAME
    damaged = b"\x55" * 8192 + path.read_bytes()[8192:]
    path.write_bytes(damaged)
    store, queue = opened(tmp_path)
    assert [one.code for one in store.notices] == ["store-restored"]
    assert ids(store) == {str(n) for n in range(50)}
    assert queue.submit({"steps": {}}).result().status == "queued"
    assert store.events.epoch != first, "numbers of events given out since the copy mean nothing now"
    assert store.events.since(first, 1) is None
    aside = list(tmp_path.glob(f"{NAME}.corrupt-*"))
    assert [one.read_bytes() for one in aside] == [damaged]
    store.close()
    store, queue = opened(tmp_path)
    assert store.notices == ()
    store.close()


def test_a_copy_that_is_damaged_as_well_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, 5, backup=True)
    older = Backups(tmp_path / "backups").paths()[0]
    os.utime(older, (1, 1))
    (tmp_path / "backups" / "z.sqlite3").write_bytes(older.read_bytes()[:5000])
    (tmp_path / NAME).write_bytes(b"nonsense")
    store, _ = opened(tmp_path)
    assert [one.code for one in store.notices] == ["store-restored"] and len(ids(store)) == 5
    store.close()


def test_without_a_sound_copy_everything_begins_anew_and_that_is_said(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / NAME).write_bytes(b"nonsense" * 1000)
    store, _ = opened(tmp_path)
    assert [one.code for one in store.notices] == ["store-began-anew"] and ids(store) == set()
    store.close()


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_file_that_vanished_comes_back_from_the_copy(tmp_path: Path, how: str) -> None:
    fill(tmp_path, 5, backup=True)
    (tmp_path / NAME).unlink() if how == "gone" else (tmp_path / NAME).write_bytes(b"")
    store, _ = opened(tmp_path)
    assert [one.code for one in store.notices] == ["store-restored"] and len(ids(store)) == 5
    store.close()


def test_a_folder_where_a_file_should_be_is_refused_not_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(Refused) as refusal:
        opened(tmp_path)
    assert refusal.value.problems[0].code == "store-unreadable"


@pytest.mark.parametrize("how", ["flip", "zero", "cut"])
def test_whatever_is_damaged_the_server_starts_and_the_queue_works(quick: Path, how: str) -> None:
    """Bits flipped, a page zeroed, the end cut off: found and restored, or harmless."""
    fill(quick / "0", 100, backup=True)
    whole = (quick / "0" / NAME).read_bytes()
    copy = Backups(quick / "0" / "backups").paths()[0].read_bytes()
    chance = random.Random(how)
    restored = 0
    for n in range(1, 13):
        folder = quick / str(n)
        (folder / "backups").mkdir(parents=True)
        (folder / "backups" / "day.sqlite3").write_bytes(copy)
        data = bytearray(whole)
        if how == "flip":
            for _ in range(8):
                place = chance.randrange(100, len(data))  # the head says the version: a newer one is refused
                data[place] ^= 1 << chance.randrange(8)
        elif how == "zero":
            page = chance.randrange(len(data) // 4096) * 4096
            data[page : page + 4096] = bytes(4096)
        else:
            del data[chance.randrange(1, len(data)) :]
        (folder / NAME).write_bytes(data)
        store, queue = opened(folder)
        restored += bool(store.notices)
        assert queue.submit({"steps": {}}, run="new").result().status == "queued"
        if store.notices:
            assert ids(store) == {str(n) for n in range(100)} | {"new"}
            assert (queue.claim("gpu0").result() or 1) != 1
        store.close()
    assert restored >= (12 if how != "flip" else 1), f"{restored} of 12 noticed"


def test_copies_are_made_while_writes_go_on_and_the_oldest_leave(tmp_path: Path) -> None:
    store, queue = opened(tmp_path)
    for n in range(10):
        queue.submit({"steps": {}}, run=str(n)).result()
        store.backups.kept = 3
        store.database.copy_out(lambda reader, n=n: store.backups.take(reader, f"copy-{n}"))
    paths = store.backups.paths()
    assert [path.name for path in paths] == ["copy-7.sqlite3", "copy-8.sqlite3", "copy-9.sqlite3"]
    assert sqlite3.connect(paths[-1]).execute("SELECT count(*) FROM runs").fetchone()[0] == 10
    assert sqlite3.connect(paths[-1]).execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    store.close()


def test_a_copy_is_made_once_a_day(tmp_path: Path) -> None:
    store, _ = opened(tmp_path)
    store.upkeep()
    store.upkeep()
    assert len(store.backups.paths()) == 1
    os.utime(store.backups.paths()[0], (1, 1))
    store.upkeep()
    assert len(store.backups.paths()) == 2
    store.close()


def test_damage_that_shows_in_use_is_looked_into_at_the_next_start(tmp_path: Path) -> None:
    fill(tmp_path, 40, backup=True)
    store, queue = opened(tmp_path)
    pages = store.database.read(
        lambda view: (
            view.all("SELECT pageno FROM dbstat WHERE name = 'events_of_run' AND pagetype = 'leaf'")
            if view.one("SELECT 1 FROM pragma_compile_options WHERE compile_options = 'ENABLE_DBSTAT_VTAB'")
            else [(place,) for place in range(2, view.value("PRAGMA page_count") + 1)]
        )
    )
    store.close()
    store, queue = opened(tmp_path)
    with open(tmp_path / NAME, "rb+") as stream:
        for (page,) in pages:
            stream.seek((page - 1) * 4096)
            stream.write(b"\x33" * 4096)
    with pytest.raises(Refused) as refusal:
        for n in range(40):
            queue.cancel(str(n)).result()
    assert refusal.value.problems[0].code == "store-damaged"
    assert (tmp_path / f"{NAME}.suspect").exists()
    store.close()
    store, queue = opened(tmp_path)
    assert [one.code for one in store.notices] == ["store-restored"] and len(ids(store)) == 40
    assert not (tmp_path / f"{NAME}.suspect").exists()
    store.close()
