"""A server's beginning and end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from serving import ROOT, graph, running, save_graph, settings_in, spawned

from graph_runtime.problem import Refused


def test_the_server_is_well_before_any_worker_is_up_and_never_imports_what_workers_need(tmp_path: Path) -> None:
    """Also while a worker is at a picture: everything that the handlers need has been imported by then."""
    text = f"""
import json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from pathlib import Path
from serving import running, save_graph
with running(Path({str(tmp_path / "data")!r}), devices=("cpu",)) as server:
    assert server.client.ask("GET", "/healthz") == {{"ok": True}}
    server.wait_ready()
    run = server.client.submit(save_graph("x"))
    server.client.wait(run["id"])
    for path in ("/api/nodes", "/api/system", "/api/openapi.json", "/api/outputs", "/api/models"):
        server.client.ask("GET", path)
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"torch", "numpy", "PIL", "transformers", "safetensors", "nodes", "huggingface_hub"}


def test_it_answers_quickly_in_little_memory_and_ends_when_told(tmp_path: Path) -> None:
    """1.5 s on an idle machine; the bound here leaves room for other work on it."""
    with spawned(tmp_path / "data") as server:
        begun = time.monotonic()
        server.start()
        assert time.monotonic() - begun < 12
        assert psutil.Process(server.pid).memory_info().rss < 200 << 20
        assert server.end() == 0
        assert not server.workers()


def test_the_last_nodes_known_are_there_before_any_worker_is(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        server.wait_ready()
        kinds = {one["kind"] for one in server.client.ask("GET", "/api/nodes")["nodes"]}
    with running(tmp_path / "data", devices=()) as server:
        answer = server.client.ask("GET", "/api/nodes")
        assert {one["kind"] for one in answer["nodes"]} == kinds and "faults/add" in kinds
        assert not answer["fresh"]
        assert not server.server.supervisor.ready()
        with pytest.raises(Refused, match="no worker is up"):
            server.client.ask("GET", "/api/models")
        with pytest.raises(Refused) as refused:  # looked through all the same
            server.client.submit(graph("faults/add", a="no", b=1))
        assert refused.value.problems[0].step == "it"


def test_a_run_under_way_when_the_server_is_told_to_end_waits_again(tmp_path: Path) -> None:
    with spawned(tmp_path / "data", cancel_grace=2.0) as server:
        client = server.start()
        run = client.submit(graph("trouble/works", seconds=60.0))["id"]
        waiting = client.submit(save_graph("later"))["id"]
        while client.run(run)["status"] != "running":
            time.sleep(0.02)
        begun = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - begun < 12
        client = server.start()
        assert client.run(run)["status"] in ("queued", "running")
        client.cancel(run)
        assert client.wait(run)["status"] == "cancelled"
        assert client.wait(waiting)["status"] == "succeeded"


def test_told_twice_it_ends_at_once(tmp_path: Path) -> None:
    with spawned(tmp_path / "data", cancel_grace=8.0) as server:
        client = server.start()
        run = client.submit(graph("faults/sleeps"))["id"]
        while client.run(run)["status"] != "running":
            time.sleep(0.02)
        assert server.process is not None
        server.process.terminate()
        time.sleep(0.3)
        begun = time.monotonic()
        server.process.terminate()
        assert server.process.wait(5) == 1
        assert time.monotonic() - begun < 2


def test_workers_end_with_a_server_that_was_killed(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        client = server.start()
        run = client.submit(graph("faults/sleeps", ignores_term=True))["id"]
        while client.run(run)["status"] != "running" or not client.run(run)["last_step"]:
            time.sleep(0.02)
        workers = server.workers()
        assert workers
        server.kill()
        until = time.monotonic() + 5
        while any(psutil.pid_exists(one) and psutil.Process(one).status() != "zombie" for one in workers):
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_second_server_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        server.start()
        text = "import sys; from graph_runtime.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", text, "serve", "--no-open", "--config", str(server.config), "--port", "0"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "another server" in done.stderr


def test_a_port_that_is_taken_and_an_open_bind_are_refused_in_words(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        server.start()
        for flags, said in ((["--port", str(server.port)], "--port"), (["--host", "0.0.0.0"], "--insecure-lan")):
            command = [sys.executable, "-m", "graph_runtime", "serve", "--no-open", "--data", str(tmp_path / "other")]
            done = subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, timeout=60)
            assert done.returncode == 2 and said in done.stderr


def test_the_log_is_json_if_wanted_and_never_holds_the_token(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        client = server.start("--log-json")
        client.wait(client.submit(save_graph("x"))["id"])
        server.end()
        text = server.log.read_text()
        said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        assert {"run started", "run ended", "worker ready", "ending"} <= {one["event"] for one in said}
        ended = next(one for one in said if one["event"] == "run ended")
        assert ended["status"] == "succeeded" and ended["attempt"] == 1 and ended["worker"] == "worker-0"
        assert client.token not in text


def test_settings_of_the_server_do_not_reach_workers(tmp_path: Path) -> None:
    assert not {"token", "port", "host"} & set(settings_in(tmp_path).as_json())


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_it_as_a_termination_does(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        server.start()
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
        assert re.search("ended", server.log.read_text())
