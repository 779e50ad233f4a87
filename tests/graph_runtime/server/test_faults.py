"""Every misbehaving node once, through one server in a process of its own: it is the same process afterwards.

Each run ends as it should, and an ordinary run goes well after it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from serving import Spawned, graph, spawned, wait_well

from graph_runtime.client import Client

FAILED, SUCCEEDED, CANCELLED = "failed", "succeeded", "cancelled"


@dataclass(frozen=True)
class Fault:
    """A node, how its run must end, and what must be said of it (a code, or words)."""

    kind: str
    ends: str
    said: str = ""
    cancel: bool = False
    inputs: tuple[tuple[str, Any], ...] = ()


DIES = "worker-died"
FAULTS = [
    Fault("faults/raises", FAILED, "raised RuntimeError"),
    Fault("faults/refuses", FAILED, "too-much"),
    Fault("faults/prints", SUCCEEDED),
    Fault("faults/exits", FAILED, DIES),
    Fault("faults/segfaults", FAILED, DIES),
    Fault("faults/killed", FAILED, DIES),
    Fault("faults/leaves_a_child", FAILED, DIES),
    Fault("faults/garbage", FAILED, DIES),
    Fault("faults/holds", FAILED, DIES),
    Fault("faults/sleeps", CANCELLED, "", cancel=True, inputs=(("ignores_term", True),)),
    Fault("faults/chatters", SUCCEEDED, inputs=(("count", 2000),)),
    Fault("faults/once_out_of_memory", FAILED, "out-of-memory", inputs=(("always", True),)),
    Fault("trouble/sys_exit", FAILED, "SystemExit"),
    Fault("trouble/deep", FAILED),
    Fault("trouble/huge", FAILED, "out-of-memory"),
    Fault("trouble/forks", SUCCEEDED),
    Fault("trouble/closes", SUCCEEDED),  # it dies when its answer is known and kept; the second attempt uses that
    Fault("trouble/prints_much", SUCCEEDED),
    Fault("trouble/wrong_type", FAILED, "promises INT"),
    Fault("trouble/unpicklable", SUCCEEDED),
    Fault("trouble/forges", FAILED, DIES),
    Fault("trouble/thread", SUCCEEDED),
    Fault("trouble/changes", SUCCEEDED),
    Fault("trouble/exits_in_thread", FAILED, DIES),
    Fault("trouble/stops", FAILED, DIES),
    Fault("trouble/aborts", FAILED, DIES),
    Fault("trouble/floods", SUCCEEDED, inputs=(("count", 20_000),)),
    Fault("trouble/talks", SUCCEEDED),
    Fault("trouble/writes_outside", FAILED, "bad-name"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawned]:
    folder = tmp_path_factory.mktemp("faults") / "data"
    with spawned(folder, hang_seconds=3.0, cancel_grace=0.3, terminate_grace=0.3) as one:
        one.start()
        yield one


@pytest.fixture(scope="module")
def pid(server: Spawned) -> int:
    return server.pid


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_a_node_that_misbehaves_ends_its_run_and_nothing_else(server: Spawned, pid: int, fault: Fault) -> None:
    client = server.client
    run = client.submit(graph(fault.kind, **dict(fault.inputs)))["id"]
    if fault.cancel:
        until_in_node(client, run)
        client.cancel(run)
    done = client.wait(run, 120.0)
    after = client.submit(graph("trouble/fine", number=FAULTS.index(fault)))["id"]
    assert client.wait(after, 120.0)["status"] == SUCCEEDED, "an ordinary run goes well"
    problems = " ".join(f"{one['code']} {one['what']}" for one in done["problems"])
    assert (done["status"], fault.said in problems) == (fault.ends, True), problems
    if fault.said == DIES:
        assert done["crashes"] == 2 and done["problems"][0]["step"] == "it"
    if fault.kind == "faults/segfaults":
        crash = client.ask("GET", f"/api/runs/{run}/steps")["crashes"][0]
        assert crash["step"] == "it" and any("Fatal Python error" in line for line in crash["detail"]["lines"])
    wait_well(client)
    assert server.process is not None and server.process.poll() is None and server.pid == pid
    assert psutil.Process(pid).children() != []


def until_in_node(client: Client, run: str) -> None:
    until = time.monotonic() + 60
    while not client.run(run)["last_step"]:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_nobody_outside_was_reached(server: Spawned) -> None:
    """No file beside the folders, no run of somebody else, little memory, few descriptors."""
    assert not list(server.folder.parent.rglob("outside*"))
    process = psutil.Process(server.pid)
    assert process.memory_info().rss < 400 << 20
    assert process.num_fds() < 100
    runs = server.client.ask("GET", "/api/runs?limit=500")["runs"]
    assert {one["status"] for one in runs} <= {FAILED, SUCCEEDED, CANCELLED}
    lost = re.findall(r'worker_restarts_total{reason="(\w+)"} ([0-9.]+)', text_of(server.client, "/metrics"))
    assert {reason for reason, _ in lost} == {"died", "hung", "cancelled"}


def text_of(client: Client, path: str) -> str:
    status, raw = client._exchange("GET", path, None, {})
    assert status == 200
    return raw.decode()


def test_every_misbehaving_node_has_its_turn(server: Spawned) -> None:
    """The packs hold no other node but those that are fine."""
    fine = {"faults/add", "faults/save", "faults/slow_text", "faults/news", "faults/polite", "faults/uses",
            "trouble/fine", "trouble/works", "trouble/many"}  # fmt: skip
    kinds = {fault.kind for fault in FAULTS}
    assert len(kinds) == len(FAULTS) >= 15
    known = {one["kind"] for one in server.client.ask("GET", "/api/nodes")["nodes"]}
    assert known - fine == kinds
