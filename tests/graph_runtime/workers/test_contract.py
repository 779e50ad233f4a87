"""What every way of reaching a worker must do. `process` must also outlive what ends the worker itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from graph_runtime.events import (
    CancelledEvent,
    Event,
    Failed,
    Finished,
    Log,
    Preview,
    Progress,
    Reused,
    RunFinished,
    RunStarted,
    Started,
    Wrote,
)
from graph_runtime.graph import Graph, Join, Step
from graph_runtime.problem import Refused
from graph_runtime.settings import Settings
from graph_runtime.worker import read_defs, read_problems
from graph_runtime.workers import WorkerHandle
from graph_runtime.workers.inline import InlineWorker
from graph_runtime.workers.process import ProcessWorker, environment

HERE = Path(__file__).parent
Make = Callable[..., WorkerHandle]


def settings_in(folder: Path, **more: Any) -> Settings:
    given = {"custom_nodes_dirs": (HERE / "packs",), "cancel_grace": 0.4, "terminate_grace": 0.5, "heartbeat": 0.05}
    return Settings(data_dir=folder, packs=(), device="cpu", **{**given, **more})


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[WorkerHandle] = []

    def one(kind: Callable[[Settings], WorkerHandle] = request.param, **more: Any) -> WorkerHandle:
        made.append(kind(settings_in(tmp_path, **more)))
        return made[-1]

    yield one
    for handle in made:
        handle.close()


every = pytest.mark.parametrize("make", [InlineWorker, ProcessWorker], indirect=True, ids=["inline", "process"])
process_only = pytest.mark.parametrize("make", [ProcessWorker], indirect=True, ids=["process"])


def one_step(kind: str, **inputs: Any) -> Graph:
    return Graph({"it": Step(f"faults/{kind}", inputs)})


def save_text(text: str) -> Graph:
    steps = {"a": Step("faults/slow_text", {"text": text}), "b": Step("faults/save", {"text": Join("a", "string")})}
    return Graph(steps)


def run(worker: WorkerHandle, graph: Graph, id: str = "run") -> list[Event]:
    worker.start(id, graph)
    return list(worker.events())


def the_end(events: list[Event]) -> RunFinished:
    assert isinstance(events[-1], RunFinished)
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    return events[-1]


def wait_for(worker: WorkerHandle, kind: type[Event]) -> Iterator[Event]:
    """The events after the first of a kind."""
    events = worker.events()
    for event in events:
        if isinstance(event, kind):
            break
    return events


def works(worker: WorkerHandle) -> bool:
    return the_end(run(worker, one_step("add", a=2, b=3), "after")).status == "succeeded"


@every
def test_hello_says_all_that_is_needed_to_draw_and_validate(make: Make) -> None:
    hello = make().hello()
    defs = read_defs(hello)
    assert defs["faults/add"].help == "The sum."
    assert [wire.name for wire in defs["faults/add"].wires] == ["a", "b"]
    assert {socket["name"] for socket in hello["sockets"]} == {"SAVED"}
    assert read_problems(hello) == []
    assert (hello["device"], hello["packs"][0]["name"]) == ("cpu", "faults")


@every
def test_a_run_is_told_from_its_start_to_its_end(make: Make) -> None:
    events = run(make(), save_text("hi"))
    assert [type(event) for event in events] == [
        RunStarted, Started, Finished, Started, Finished, Wrote, RunFinished,
    ]  # fmt: skip
    assert all(event.run == "run" for event in events)
    assert the_end(events).status == "succeeded"
    wrote = events[-2]
    assert isinstance(wrote, Wrote) and (wrote.step, wrote.kind, wrote.media) == ("b", "output", "text")
    assert [Path(path).read_text() for path in wrote.paths] == ["hi"]


@every
def test_news_and_pictures_come_through_as_they_are(make: Make) -> None:
    events = run(make(), one_step("news"))
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3]
    assert [event.text for event in events if isinstance(event, Log)] == ["begin"]
    previews = [event for event in events if isinstance(event, Preview)]
    assert previews and all(event.image == b"\xff\xd8\xff" + bytes(range(256)) for event in previews)


@every
def test_an_equal_run_computes_nothing_and_names_the_files_that_are_there(make: Make) -> None:
    worker, graph = make(), save_text("x")
    first, second = run(worker, graph, "1"), run(worker, graph, "2")
    assert not [event for event in second if isinstance(event, Started | Finished)]
    assert [e.paths for e in second if isinstance(e, Wrote)] == [e.paths for e in first if isinstance(e, Wrote)]
    (path,) = next(event.paths for event in second if isinstance(event, Wrote))
    os.unlink(path)
    third = run(worker, graph, "3")
    assert [event.step for event in third if isinstance(event, Started)] == ["b"], "the deleted file is saved again"
    assert os.path.isfile(next(event.paths for event in third if isinstance(event, Wrote))[0])


@every
def test_a_later_worker_finds_what_an_earlier_one_has_kept_on_disk(make: Make) -> None:
    first = run(make(), save_text("x"))
    second = run(make(), save_text("x"))
    assert {event.tier for event in second if isinstance(event, Reused)} == {"disk"}
    assert not [event for event in second if isinstance(event, Started)]
    assert [e.paths for e in second if isinstance(e, Wrote)] == [e.paths for e in first if isinstance(e, Wrote)]


@every
def test_a_node_that_raises_is_named_and_the_worker_goes_on(make: Make) -> None:
    worker = make()
    events = run(worker, one_step("raises", text="never"))
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert (failed.step, failed.kind) == ("it", "faults/raises")
    assert "RuntimeError: no, never" in failed.traceback
    end = the_end(events)
    assert end.status == "failed" and [problem.step for problem in end.problems] == ["it"]
    assert "faults/raises raised RuntimeError: no, never" in end.problems[0].what
    assert works(worker)


@every
def test_a_graph_that_cannot_run_ends_with_every_problem(make: Make) -> None:
    graph = Graph({"a": Step("faults/add", {"a": "x"}), "b": Step("faults/none")}, targets=("a", "b"))
    end = the_end(run(make(), graph))
    assert end.status == "failed"
    assert {problem.step for problem in end.problems} == {"a", "b"}


@every
def test_cancel_stops_a_node_that_looks_and_only_its_own_run(make: Make) -> None:
    worker = make()
    worker.start("run", one_step("polite"))
    rest = wait_for(worker, Started)
    worker.cancel("another")
    worker.cancel("run")
    worker.cancel("run")
    events = list(rest)
    assert [type(event) for event in events] == [CancelledEvent, RunFinished]
    assert the_end(events).status == "cancelled"
    worker.cancel("run")
    assert works(worker)


@every
def test_a_busy_worker_takes_no_second_run(make: Make) -> None:
    worker = make()
    worker.start("one", one_step("polite"))
    with pytest.raises(Refused, match="still at this run"):
        worker.start("two", one_step("polite"))
    worker.cancel("one")
    assert the_end(list(worker.events())).run == "one"


@every
def test_what_nodes_print_does_no_harm(make: Make) -> None:
    assert the_end(run(make(), one_step("prints"))).status == "succeeded"


@every
def test_very_many_events_all_arrive_in_order(make: Make) -> None:
    events = run(make(), one_step("chatters", count=5000))
    texts = [event.text for event in events if isinstance(event, Log)]
    assert texts[:-1] == [str(number) for number in range(5000)]
    assert len(texts[-1]) <= 1_000_000


@process_only
def test_a_run_may_be_sent_again_as_soon_as_its_end_is_heard(make: Make) -> None:
    worker = make()
    assert [the_end(run(worker, one_step("prints"))).status for _ in range(200)] == ["succeeded"] * 200


@process_only
def test_out_of_memory_in_a_node_is_mended_once_and_then_told_with_numbers(make: Make) -> None:
    worker = make()
    assert the_end(run(worker, one_step("once_out_of_memory"))).status == "succeeded"
    end = the_end(run(worker, one_step("once_out_of_memory", always=True)))
    assert end.status == "failed"
    assert [problem.code for problem in end.problems] == ["out-of-memory"], end.problems
    assert "Tried to allocate 2.00 GiB" in end.problems[0].what
    assert "are free on cpu; held by flux (WEIGHTS) 1.0 kB in use" in end.problems[0].what


@process_only
@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("exits", "exit code 3"),
        ("segfaults", "SIGSEGV"),
        ("killed", "SIGKILL, most likely because the machine's memory was full"),
        ("leaves_a_child", "exit code 9"),
        ("garbage", "something else than was agreed"),
    ],
)
def test_a_node_that_ends_the_worker_is_named_and_the_next_run_gets_a_new_one(
    make: Make, kind: str, wanted: str
) -> None:
    worker = make()
    before = worker.hello()["pid"]
    began = time.monotonic()
    events = run(worker, one_step(kind))
    assert time.monotonic() - began < 4
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert (failed.step, failed.kind) == ("it", f"faults/{kind}")
    end = the_end(events)
    (problem,) = end.problems
    assert (end.status, problem.code, problem.step) == ("failed", "worker-died", "it")
    assert f"faults/{kind}" in problem.place and wanted in problem.what
    if kind == "segfaults":
        assert "in segfaults" in failed.traceback
    assert works(worker)
    assert worker.hello()["pid"] != before


@process_only
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [("sleeps", {}), ("sleeps", {"ignores_term": True}), ("holds", {})],
    ids=["sleeps", "ignores SIGTERM", "holds the interpreter"],
)
def test_a_node_that_never_stops_is_ended_and_named(make: Make, kind: str, inputs: dict[str, Any]) -> None:
    worker = make()
    worker.start("run", one_step(kind, **inputs))
    rest = wait_for(worker, Started)
    began = time.monotonic()
    worker.cancel("run")
    events = list(rest)
    assert time.monotonic() - began < 0.4 + 0.5 + 2
    end = the_end(events)
    (problem,) = end.problems
    assert (end.status, problem.code, problem.step) == ("cancelled", "worker-stopped", "it")
    assert f"faults/{kind}" in problem.place and "did not stop within 0.4 s" in problem.what
    assert works(worker)


@process_only
def test_kill_ends_the_run_at_once(make: Make) -> None:
    worker = make()
    worker.start("run", one_step("sleeps"))
    rest = wait_for(worker, Started)
    began = time.monotonic()
    worker.kill()
    assert the_end(list(rest)).status == "cancelled"
    assert time.monotonic() - began < 1
    assert works(worker)


@process_only
def test_packs_that_end_or_hold_up_the_worker_when_imported_are_left_out(make: Make) -> None:
    hello = make(custom_nodes_dirs=(HERE / "killers",), start_seconds=3).hello()
    assert list(read_defs(hello)) == ["fine/one"]
    problems = read_problems(hello)
    assert [problem.code for problem in problems] == ["pack-quarantined"] * 2
    assert {Path(problem.place).name for problem in problems} == {"ends", "hangs"}


@process_only
def test_signs_of_life_tell_a_busy_worker_from_a_stuck_one(make: Make) -> None:
    worker = make(cancel_grace=5)
    assert isinstance(worker, ProcessWorker)
    worker.start("run", one_step("sleeps"))
    wait_for(worker, Started)
    time.sleep(0.4)
    assert worker.quiet_seconds < 0.3
    worker.kill()
    worker.start("run", one_step("holds"))
    wait_for(worker, Started)
    time.sleep(0.6)
    assert worker.quiet_seconds > 0.3
    worker.kill()


@process_only
def test_a_worker_that_cannot_start_is_a_problem(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refused, match="exit code 1"):
        make().hello()


@process_only
def test_many_threads_may_ask_at_once(make: Make) -> None:
    worker = make()
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(worker.hello()["pid"])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 5 and len(set(pids)) == 1


OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from graph_runtime.graph import Graph, Step
from graph_runtime.settings import Settings
from graph_runtime.workers.process import ProcessWorker
worker = ProcessWorker(Settings(data_dir=Path(sys.argv[1]), packs=(), custom_nodes_dirs=(sys.argv[3],)))
print(worker.hello()["pid"], flush=True)
worker.start("run", Graph({"it": Step("faults/" + sys.argv[4])}))
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["sleeps", "holds"])
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends what hangs in C only on Linux")
def test_no_worker_outlives_its_owner(tmp_path: Path, kind: str) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", OWNER, str(tmp_path), root, str(HERE / "packs"), kind]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = psutil.Process(int(owner.stdout.readline()))
    time.sleep(0.2)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    worker.wait(timeout=5)


def test_secrets_do_not_reach_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert "canary" not in environment().values()
    assert environment()["TOKENIZERS_PARALLELISM"] == "false"
