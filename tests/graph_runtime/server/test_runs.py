"""Runs over HTTP: submitted, followed, cancelled, tried again, put in order."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from serving import Running, graph, running, save_graph

from graph_runtime.problem import Refused


def code(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.problems[0].code


def until_running(server: Running, run: str) -> None:
    while not (found := server.client.run(run))["last_step"] or found["status"] != "running":
        assert found["status"] in ("queued", "running")
        time.sleep(0.01)


def test_a_run_goes_from_submission_to_a_file_that_can_be_fetched(server: Running) -> None:
    run = server.client.submit(save_graph("a picture of words", name="words"))
    assert run["status"] == "queued"
    done = server.client.wait(run["id"])
    assert done["status"] == "succeeded" and done["attempt"] == 1 and done["problems"] == []
    (file,) = done["files"]
    assert file["name"].startswith("words_") and file["step"] == "b"
    assert server.client.fetch(file["id"]) == b"a picture of words"
    assert str(server.service.settings.data_dir) not in str(done)


def test_a_key_given_twice_is_one_run(server: Running) -> None:
    first = server.client.submit(graph("faults/add", a=1, b=2), key="once")
    again = server.client.submit(graph("faults/add", a=1, b=2), key="once")
    assert first["id"] == again["id"]
    with pytest.raises(Refused) as refused:
        server.client.submit(graph("faults/add", a=1, b=3), key="once")
    assert code(refused) == "key-reused"


def test_a_graph_that_cannot_run_is_refused_with_every_problem(server: Running) -> None:
    with pytest.raises(Refused) as refused:
        steps = {"a": {"kind": "no/such", "inputs": {}}, "b": {"kind": "faults/add", "inputs": {}}}
        server.client.submit({"steps": steps, "targets": ["a", "b"]})
    assert {one.step for one in refused.value.problems} == {"a", "b"}
    with pytest.raises(Refused) as refused:
        server.client.submit(graph("faults/slow_text"))
    assert code(refused) == "no-output"


def test_a_document_is_submitted_with_what_the_canvas_knows(server: Running) -> None:
    step = {"kind": "faults/add", "inputs": {"a": 20, "b": 22}, "position": [1, 2], "title": "Sum"}
    run = server.client.submit(document={"format": "latentloom", "version": 1, "steps": {"it": step}})
    done = server.client.wait(run["id"])
    assert done["status"] == "succeeded"
    made = server.client.ask("GET", f"/api/runs/{run['id']}/graph")
    assert made["document"]["steps"]["it"]["title"] == "Sum" and "title" not in made["graph"]["steps"]["it"]


def test_what_each_step_took_is_known(server: Running) -> None:
    run = server.client.submit(save_graph("steps"))["id"]
    server.client.wait(run)
    steps = {one["step"]: one for one in server.client.ask("GET", f"/api/runs/{run}/steps")["steps"]}
    assert steps["a"]["status"] == "finished" and steps["a"]["seconds"] >= 0.05
    events = [one["data"]["type"] for one in server.client.ask("GET", f"/api/runs/{run}/events")["events"]]
    assert events[0] == events[-1] == "run-status" and {"started", "finished", "wrote"} <= set(events)


def test_a_node_that_raises_fails_its_run_and_says_where(server: Running) -> None:
    done = server.client.wait(server.client.submit(graph("faults/raises", text="here"))["id"])
    assert (
        done["status"] == "failed" and done["problems"][0]["step"] == "it" and "no, here" in done["problems"][0]["what"]
    )


def test_a_run_that_waits_is_cancelled_at_once_and_twice_is_once(server: Running) -> None:
    busy = server.client.submit(graph("faults/polite"))["id"]
    until_running(server, busy)
    waits = server.client.submit(graph("faults/add", a=1, b=1))["id"]
    assert server.client.cancel(waits)["status"] == "cancelled"
    assert server.client.cancel(waits)["status"] == "cancelled"
    begun = time.monotonic()
    server.client.cancel(busy)
    assert server.client.wait(busy)["status"] == "cancelled"
    assert time.monotonic() - begun < 5
    assert server.client.cancel(busy)["status"] == "cancelled"


def test_a_node_that_looks_at_nothing_is_ended_with_its_worker_and_the_next_run_starts(server: Running) -> None:
    stuck = server.client.submit(graph("faults/sleeps", ignores_term=True))["id"]
    next_ = server.client.submit(graph("faults/add", a=2, b=2))["id"]
    until_running(server, stuck)
    server.client.cancel(stuck)
    assert server.client.wait(stuck)["status"] == "cancelled"
    assert server.client.wait(next_)["status"] == "succeeded"


def test_force_ends_a_run_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "data", cancel_grace=60.0) as server:
        server.wait_ready()
        stuck = server.client.submit(graph("faults/sleeps"))["id"]
        until_running(server, stuck)
        server.client.cancel(stuck)
        time.sleep(0.2)
        assert server.client.run(stuck)["cancelling"]
        begun = time.monotonic()
        server.client.cancel(stuck, force=True)
        assert server.client.wait(stuck)["status"] == "cancelled"
        done = server.client.wait(server.client.submit(graph("faults/add", a=1, b=1))["id"])
        assert done["status"] == "succeeded" and time.monotonic() - begun < 10


def test_a_run_is_tried_again_as_a_new_one(server: Running) -> None:
    run = server.client.submit(graph("faults/add", a=3, b=4))["id"]
    server.client.wait(run)
    again = server.client.ask("POST", f"/api/runs/{run}/retry", {})
    assert again["id"] != run and again["retry_of"] == run
    assert server.client.wait(again["id"])["status"] == "succeeded"


def test_what_waits_can_be_put_in_order_held_back_and_emptied(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=()) as server:
        client = server.client
        runs = [client.submit(graph("faults/add", a=number, b=1))["id"] for number in range(4)]
        assert [one["run"] for one in client.ask("GET", "/api/queue")["waiting"]] == runs
        client.ask("POST", f"/api/runs/{runs[3]}/move", {"to": "front"})
        client.ask("POST", f"/api/runs/{runs[0]}/move", {"to": "back"})
        waiting = [one["run"] for one in client.ask("GET", "/api/queue")["waiting"]]
        assert waiting == [runs[3], runs[1], runs[2], runs[0]]
        client.ask("POST", "/api/queue/order", {"runs": runs})
        assert [one["run"] for one in client.ask("GET", "/api/queue")["waiting"]] == runs
        assert client.ask("POST", "/api/queue/pause", {})["paused"] == ["person"]
        assert client.ask("POST", "/api/queue/resume", {})["paused"] == []
        assert client.ask("POST", "/api/queue/empty", {})["count"] == 4
        assert client.ask("GET", "/api/queue")["counts"]["cancelled"] == 4
        assert client.ask("POST", "/api/runs/clear", {})["count"] == 4
        with pytest.raises(Refused) as refused:
            client.run(runs[0])
        assert code(refused) == "unknown-run"


def test_runs_are_listed_by_page_and_state(server: Running) -> None:
    for number in range(3):
        server.client.wait(server.client.submit(graph("faults/add", a=number, b=9))["id"])
    seen: list[Any] = []
    before = 0
    while True:
        page = server.client.ask("GET", f"/api/runs?status=succeeded&limit=2&before={before}")
        seen += [run["number"] for run in page["runs"]]
        before = page["before"]
        if not before:
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) >= 3
    with pytest.raises(Refused):
        server.client.ask("GET", "/api/runs?status=happy")


def test_an_unknown_run_is_unknown_and_never_over(server: Running) -> None:
    for method, path in (("GET", ""), ("GET", "/steps"), ("GET", "/events"), ("GET", "/graph"), ("DELETE", "")):
        with pytest.raises(Refused) as refused:
            server.client.ask(method, f"/api/runs/nobody{path}")
        assert code(refused) == "unknown-run"


def test_a_full_disk_pauses_the_queue_and_the_runs_wait(server: Running) -> None:
    disk = server.server.store.disk
    free, disk.free = disk.free, lambda folder: 1 << 20
    try:
        run = server.client.submit(graph("faults/add", a=5, b=5))["id"]
        assert server.client.ask("GET", "/api/queue")["paused"] == ["disk"]
        with pytest.raises(Refused):
            server.client.ask("GET", "/readyz")
        time.sleep(0.3)
        assert server.client.run(run)["status"] == "queued"
    finally:
        disk.free = free
    assert server.client.wait(run)["status"] == "succeeded"


def test_what_is_counted_is_there_for_prometheus(server: Running) -> None:
    server.client.wait(server.client.submit(save_graph("counted"))["id"])
    status, text = server.client._exchange("GET", "/metrics", None, {})
    assert status == 200
    for name in ("runs_total", "queue_depth", "node_seconds_count", "db_commit_seconds_count", "worker_restarts",
                 "event_loop_lag_seconds", "ws_clients", "disk_free_bytes", "queue_wait_seconds_count"):  # fmt: skip
        assert name.encode() in text
    assert b'runs_total{status="succeeded"}' in text and b"run=" not in text


def test_workflows_are_saved_with_every_version(server: Running) -> None:
    client = server.client

    def document(number: int) -> dict[str, Any]:
        return {"format": "latentloom", "version": 1, "steps": {"it": {"kind": "faults/add", "inputs": {"a": number}}}}

    made = client.ask("POST", "/api/workflows", {"name": "Sums", "document": document(1)})
    path = f"/api/workflows/{made['id']}"
    client.ask("POST", path + "/versions", {"document": document(2), "based_on": 1, "note": "two"})
    with pytest.raises(Refused) as refused:
        client.ask("POST", path + "/versions", {"document": document(3), "based_on": 1})
    assert code(refused) == "workflow-changed"
    assert client.ask("GET", path)["document"]["steps"]["it"]["inputs"] == {"a": 2}
    assert client.ask("GET", path + "/versions/1")["document"]["steps"]["it"]["inputs"] == {"a": 1}
    assert [one["note"] for one in client.ask("GET", path + "/versions")["versions"]] == ["two", ""]
    assert client.ask("PATCH", path, {"name": "Additions"})["name"] == "Additions"
    assert [one["name"] for one in client.ask("GET", "/api/workflows")["workflows"]] == ["Additions"]
    client.ask("DELETE", path)
    with pytest.raises(Refused) as refused:
        client.ask("GET", path)
    assert code(refused) == "unknown-workflow"
    opened = client.ask("POST", "/api/documents/open", {"document": document(4)})
    assert opened["document"]["steps"]["it"]["inputs"] == {"a": 4} and opened["problems"]
    assert client.ask("POST", "/api/documents/check", {"graph": graph("faults/add", a=1, b=2)})["problems"] == []


def test_the_api_describes_every_route(server: Running) -> None:
    api = server.client.ask("GET", "/api/openapi.json")
    assert api["openapi"].startswith("3.1") and "/api/runs/{run}/cancel" in api["paths"]
    for path, methods in api["paths"].items():
        for method, said in methods.items():
            assert said["summary"], (path, method)
            assert {one["name"] for one in said["parameters"] if one["in"] == "path"} == {
                part[1:-1] for part in path.split("/") if part.startswith("{")
            }
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(api)))
    assert len(named) > 20 and named <= set(api["components"]["schemas"])
    assert "Snapshot" in api["components"]["schemas"] and "Subscribe" in api["components"]["schemas"]
