from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, cast

import psutil

from graph_runtime.events import Event, Reused, RunFinished, Started, Wrote
from graph_runtime.graph import Graph, Join, Step
from graph_runtime.node_def import NodeDef
from graph_runtime.settings import Settings
from graph_runtime.values import Many
from graph_runtime.worker import Worker, files_named, memory_budgets, read_defs, read_problems

PACKS = Path(__file__).parent / "workers" / "packs"


def worker_in(folder: Path, **more: Any) -> Worker:
    given = {"custom_nodes_dirs": (PACKS,), "packs": (), "device": "cpu"}
    return Worker(Settings(data_dir=folder, **{**given, **more}))


def run(worker: Worker, graph: Graph) -> list[Event]:
    events: list[Event] = []
    worker.execute("run", graph, None, events.append, threading.Event())
    return events


def test_hello_is_plain_data_and_the_definitions_come_back_equal(tmp_path: Path) -> None:
    worker = worker_in(tmp_path)
    hello = json.loads(json.dumps(worker.hello()))
    assert read_defs(hello) == worker.defs
    assert all(isinstance(one, NodeDef) and one.function is None for one in read_defs(hello).values())
    assert read_problems(hello) == []


def test_the_second_worker_begins_where_a_model_would_be_needed_again(tmp_path: Path) -> None:
    def graph(number: int) -> Graph:
        add = Step("faults/add", {"a": Join("quick", "int"), "b": number})
        return Graph({"quick": Step("faults/uses"), "sum": add})

    run(worker_in(tmp_path), graph(1))
    events = run(worker_in(tmp_path), graph(2))
    assert [event.step for event in events if isinstance(event, Started)] == ["sum"]
    assert [(event.steps, event.tier) for event in events if isinstance(event, Reused)] == [(("quick",), "disk")]
    again = run(worker_in(tmp_path), graph(2))
    assert not [event for event in again if isinstance(event, Started)], "the identical run computes nothing"


def test_without_room_on_disk_nothing_is_kept_there(tmp_path: Path) -> None:
    run(worker_in(tmp_path, cache_disk=0), Graph({"sum": Step("faults/add", {"a": 1, "b": 2})}))
    assert not (tmp_path / "cache").exists()


def test_a_mistake_of_the_program_ends_the_run_and_not_the_worker(tmp_path: Path) -> None:
    worker = worker_in(tmp_path)
    events = run(worker, cast(Graph, "no graph at all"))
    (end,) = events
    assert isinstance(end, RunFinished) and end.status == "failed"
    assert end.problems[0].code == "internal-error" and "AttributeError" in end.problems[0].what
    good = run(worker, Graph({"sum": Step("faults/add", {"a": 1, "b": 2})}))[-1]
    assert isinstance(good, RunFinished) and good.status == "succeeded"


def test_files_are_named_whatever_the_class_that_names_them() -> None:
    class Written:
        paths = ("/a", "/b")
        kind = "temp"
        media = "sound"

    assert list(files_named("r", "s", {"x": Many([Written(), 3]), "y": "text"})) == [
        Wrote("r", "s", "temp", "sound", ("/a", "/b"))
    ]


def test_budgets_are_those_set_or_leave_room(tmp_path: Path) -> None:
    assert memory_budgets(Settings(data_dir=tmp_path, gpu_memory="6GB", host_memory="2GB"), 24 * 10**9) == (
        6 * 10**9,
        2 * 10**9,
    )
    half, host = memory_budgets(Settings(data_dir=tmp_path, gpu_memory="50 %", host_memory="10%"), 24 * 10**9)
    assert half == 12 * 10**9
    assert 0 < host <= psutil.virtual_memory().total // 10
    gpu, host = memory_budgets(Settings(data_dir=tmp_path), 24 * 10**9)
    assert gpu == 24 * 10**9 * 9 // 10 and host > 0
    assert memory_budgets(Settings(data_dir=tmp_path), 1 * 10**9)[0] == 0
