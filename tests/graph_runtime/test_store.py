from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.database import Database
from graph_runtime.events import Log
from graph_runtime.problem import Refused
from graph_runtime.run_queue import RunQueue
from graph_runtime.store import Limits, Store

FREE = Limits(ballast_bytes=0, reserve_bytes=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, limits=FREE)
    yield store
    store.close()


def code(refusal: pytest.ExceptionInfo[Refused]) -> str:
    return refusal.value.problems[0].code


def test_a_second_server_is_refused_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=FREE)
    with pytest.raises(Refused) as refusal:
        Store(tmp_path, limits=FREE)
    assert code(refusal) == "data-dir-in-use" and str(os.getpid()) in str(refusal.value)
    store.close()
    script = "import sys, os; from pathlib import Path; from graph_runtime.data_lock import DataLock; "
    script += "lock = DataLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read(); os._exit(9)"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(Refused):
        Store(tmp_path, limits=FREE)
    other.kill()
    other.communicate()
    Store(tmp_path, limits=FREE).close()


def test_the_store_needs_no_torch() -> None:
    script = "import sys; import graph_runtime.run_queue; print({'torch', 'numpy', 'PIL', 'nodes'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_facts_and_hellos_outlive_the_server(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=FREE, clock=lambda: 5.0)
    assert store.fact("theme", "light") == "light"
    store.set_fact("theme", {"name": "dark"}).result()
    store.set_fact("gone", 1).result()
    store.set_fact("gone", None).result()
    store.set_hello("gpu0", {"nodes": ["a"]}).result()
    store.set_hello("gpu0", {"nodes": ["a", "b"]}).result()
    store.close()
    store = Store(tmp_path, limits=FREE)
    assert (store.fact("theme"), store.fact("gone")) == ({"name": "dark"}, None)
    assert store.hellos() == {"gpu0": (5.0, {"nodes": ["a", "b"]})}
    store.writable().result()
    store.close()


def test_an_unknown_run_is_told_as_unknown(store: Store) -> None:
    queue = RunQueue(store)
    asks: list[Any] = [store.runs.get, store.runs.graph, store.runs.document, store.executions, store.runs.crashes]
    asks += [lambda id: queue.cancel(id).result(), queue.retry, lambda id: store.history.remove(id).result()]
    asks += [lambda id: queue.move_to_front(id).result()]
    for ask in asks:
        with pytest.raises(Refused) as refusal:
            ask("nobody")
        assert code(refusal) == "unknown-run"
    assert not queue.finish("nobody", 1, "succeeded").result()


def test_pages_are_cut_by_number_and_filtered(store: Store) -> None:
    queue = RunQueue(store)
    made = [queue.submit({"steps": {}}, user="ab"[n % 2]).result().id for n in range(7)]
    queue.cancel(made[0]).result()
    first = store.runs.page(limit=3)
    second = store.runs.page(limit=3, before=first.before)
    third = store.runs.page(limit=3, before=second.before)
    assert [run.id for page in (first, second, third) for run in page.runs] == made[::-1]
    assert third.before == 0 and first.before > 0
    assert [run.id for run in store.runs.page(("cancelled",)).runs] == [made[0]]
    assert [run.id for run in store.runs.page(("queued",), user="b").runs] == made[5::-2]
    assert store.runs.page(("nonsense",)).runs == ()  # type: ignore[arg-type]
    assert store.runs.counts()["queued"] == 6


# ── events ──


def test_a_client_that_was_away_is_told_the_rest(store: Store) -> None:
    queue, heard = RunQueue(store), []
    leave = store.events.subscribe(heard.append)
    epoch, seq = store.events.head()
    queue.submit({"steps": {}}, run="r").result()
    queue.claim("gpu0").result()
    queue.record("r", 1, [Log("r", "a", str(n)) for n in range(5)]).result()
    queue.finish("r", 1, "succeeded").result()
    rest = store.events.since(epoch, seq)
    assert rest == heard and rest is not None
    assert [event.seq for event in rest] == list(range(seq + 1, seq + 9)), "without gaps"
    assert [event.data.get("status") for event in rest if event.data["type"] == "run-status"] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert store.events.since(epoch, store.events.head()[1]) == []
    assert store.events.since("another", seq) is None, "another file's numbers"
    assert store.events.since(epoch, 10**6) is None, "a number that has not been given"
    assert store.events.since(epoch, 0, limit=3) is None, "too much to tell"
    leave()
    queue.submit({"steps": {}}).result()
    assert len(heard) == 8


def test_numbers_go_on_after_a_restart_and_after_removal(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=FREE)
    queue = RunQueue(store)
    queue.submit({"steps": {}}, run="r").result()
    queue.cancel("r").result()
    epoch, seq = store.events.head()
    store.history.remove("r").result()
    assert store.events.of_run("r") == []
    store.close()
    store = Store(tmp_path, limits=FREE)
    assert store.events.head() == (epoch, seq + 1)
    rest = store.events.since(epoch, seq)
    assert rest is not None and [event.data for event in rest] == [{"type": "runs-removed", "runs": ["r"]}]
    store.close()


def test_a_run_that_says_too_much_is_cut_but_its_end_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=Limits(events_per_run=10, ballast_bytes=0, reserve_bytes=0))
    queue = RunQueue(store)
    queue.submit({"steps": {}}, run="r").result()
    queue.claim("gpu0").result()
    queue.record("r", 1, [Log("r", "a", str(n)) for n in range(100)]).result()
    queue.finish("r", 1, "succeeded").result()
    kinds = [(event.data["type"], event.data.get("text", "")) for event in store.events.of_run("r")]
    assert len(kinds) == 12
    assert kinds[-2][1].startswith("More than 10") and kinds[-1][0] == "run-status"
    store.close()


# ── what is kept of the history ──


def test_the_oldest_runs_leave_when_there_are_too_many(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=Limits(history=5, ballast_bytes=0, reserve_bytes=0))
    queue = RunQueue(store)
    waits = queue.submit({"steps": {"w": {}}}).result().id
    for n in range(9):
        queue.submit({"steps": {str(n): {}}}, {"n": n}, run=str(n)).result()
        queue.cancel(str(n)).result()
    assert store.history.sweep() == 4
    assert [run.id for run in store.runs.page().runs] == ["8", "7", "6", "5", "4", waits]
    assert store.database.read(lambda view: view.value("SELECT count(*) FROM graphs")) == 11
    assert store.runs.document("4") == {"n": 4}
    assert store.history.sweep() == 0
    assert store.history.clear() == 5
    assert [run.id for run in store.runs.page().runs] == [waits]
    with pytest.raises(Refused) as refusal:
        store.history.remove(waits).result()
    assert code(refusal) == "not-over"
    store.close()


def test_the_file_stays_under_its_size(quick: Path) -> None:
    store = Store(quick, limits=Limits(history_bytes=1 << 20, ballast_bytes=0, reserve_bytes=0))
    queue = RunQueue(store)
    for n in range(60):
        queue.submit({"steps": {}, "noise": os.urandom(15_000).hex()}, run=str(n)).result()
        queue.cancel(str(n)).result()
    assert store.history.sweep() > 0
    pages = store.database.read(
        lambda view: (view.value("PRAGMA page_count") - view.value("PRAGMA freelist_count")) * 4096
    )
    assert pages <= 1 << 20
    left = [int(run.id) for run in store.runs.page(limit=100).runs]
    assert left == list(range(59, 59 - len(left), -1)) and left, "the newest are left"
    store.close()
    assert (quick / "latentloom.sqlite3").stat().st_size <= 1.2 * (1 << 20), "and the disk has the room back"


# ── a full disk ──


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, where that may be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if done.returncode:
        pytest.skip("file systems may not be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_pauses_the_queue_and_loses_nothing(small_disk: Path) -> None:
    limits = Limits(ballast_bytes=1 << 20, reserve_bytes=1 << 19)
    store = Store(small_disk, limits=limits)
    queue = RunQueue(store)
    ballast = small_disk / "ballast"
    assert ballast.stat().st_size == 1 << 20 and queue.paused() == ()
    filler = small_disk / "somebody elses file"
    with open(filler, "wb", buffering=0) as stream, pytest.raises(OSError):
        while True:
            stream.write(bytes(1 << 16))
    accepted = []
    with pytest.raises(Refused) as refusal:
        for n in itertools.count():
            graph = {"steps": {}, "noise": os.urandom(20_000).hex()}
            accepted.append((queue.submit(graph, key=str(n)).result().id, graph))
    assert code(refusal) == "disk-full"
    assert not ballast.exists() and len(accepted) > 10, "the ballast made room for some more"
    assert queue.paused() == ("disk",)
    assert queue.claim("gpu0").exception() is not None or queue.claim("gpu0").result() is None
    assert all(store.runs.graph(id) == graph for id, graph in accepted), "still readable"
    filler.unlink()
    assert queue.paused() == () and ballast.exists()
    again = queue.submit({"steps": {}}, key="after").result()
    assert len(store.runs.page(limit=500).runs) == len(accepted) + 1
    taken = [claim.run.id for _ in range(len(accepted) + 1) if (claim := queue.claim("gpu0").result())]
    assert taken == [id for id, _ in accepted] + [again.id]
    assert store.database.write(lambda t: t.value("PRAGMA integrity_check")).result() == "ok"
    store.close()


def test_a_full_disk_leaves_no_part_of_a_file(small_disk: Path) -> None:
    from graph_runtime.artifacts import Request

    other = small_disk / "other"
    store = Store(small_disk / "data", {"output": other}, limits=FREE)
    queue = RunQueue(store)
    queue.submit({"steps": {}}, run="r").result()
    queue.claim("gpu0").result()
    staged = Path("/var/tmp") / f"staged-{os.getpid()}"
    staged.write_bytes(bytes(9 << 20))
    try:
        with pytest.raises(Refused) as refusal:
            store.artifacts.publish(Request("r", 1, "save", 0, "cat", ".png"), staged)
        assert code(refusal) == "disk-full"
        assert [path for path in other.rglob("*") if path.is_file()] == []
    finally:
        staged.unlink()
        store.close()


def test_one_statement_too_many_makes_use_of_the_ballast(tmp_path: Path) -> None:
    """SQLite says that the disk is full: the ballast goes, the write is tried again, and nobody notices."""
    from test_database import Plan

    plan = Plan(10**9, "full")
    store = Store(tmp_path, limits=Limits(ballast_bytes=1 << 20, reserve_bytes=0), connect=plan.connect)
    queue = RunQueue(store)
    for left in range(1, 12):
        assert store.disk.short() is False and (tmp_path / "ballast").exists()
        plan.left = left
        queue.submit({"steps": {}}, key=str(left)).result()
        if plan.left <= 0:
            assert not (tmp_path / "ballast").exists()
    assert len(store.runs.page().runs) == 11
    store.close()


def test_a_file_that_says_nothing_on_writing_is_still_read(tmp_path: Path) -> None:
    from test_database import Plan

    plan = Plan(10**9, "for good")
    store = Store(tmp_path, limits=FREE, connect=plan.connect)
    queue = RunQueue(store)
    queue.submit({"steps": {}}, run="r").result()
    plan.left = 1
    assert queue.submit({"steps": {}}, run="s").exception() is not None
    assert store.writable().exception() is not None
    assert [run.id for run in store.runs.page().runs] == ["r"]
    plan.left = 10**9
    assert queue.submit({"steps": {}}, run="s").result().id == "s"
    assert isinstance(store.database, Database)
    store.close()
