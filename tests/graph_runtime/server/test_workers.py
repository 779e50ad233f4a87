"""What a server does about its workers, its damaged file and its browser when nobody is there to help."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from serving import PACKS, ROOT, Running, Spawned, graph, running, spawned, wait_well

from graph_runtime.client import Client
from graph_runtime.problem import Refused
from graph_runtime.store import NAME

KILLERS = PACKS.parent / "killers"


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def worker_pid(server: Running) -> int:
    return int(server.client.ask("GET", "/api/system")["workers"][0]["pid"])


def children() -> set[int]:
    """The processes of workers that this process has started, the spare among them."""
    found = set()
    for one in psutil.Process().children():
        try:
            if "workers.child" in " ".join(one.cmdline()) and one.status() != psutil.STATUS_ZOMBIE:
                found.add(one.pid)
        except psutil.Error:
            continue
    return found


def test_the_spare_takes_the_place_of_a_worker_that_was_killed(tmp_path: Path) -> None:
    others = children()
    with running(tmp_path / "data", spare=True) as server:
        server.wait_ready()
        wait_until(lambda: len(children() - others) == 2)
        first = worker_pid(server)
        (spare,) = children() - others - {first}
        os.kill(first, signal.SIGKILL)
        run = server.client.submit(graph("faults/add", a=1, b=1))["id"]
        assert server.client.wait(run)["status"] == "succeeded"
        assert worker_pid(server) == spare
        wait_until(lambda: len(children() - others) == 2)  # and there is another spare
    wait_until(lambda: children() <= others)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_spare_has_imported_what_takes_long(tmp_path: Path) -> None:
    """A compiled module stands for the tensor library: nothing else here imports it."""

    def imported(pid: int) -> bool:
        return "_sqlite3" in Path(f"/proc/{pid}/maps").read_text()

    others = children()
    with running(tmp_path / "data", spare=True, preload=("sqlite3",)) as server:
        server.wait_ready()
        first = worker_pid(server)
        wait_until(lambda: any(imported(pid) for pid in children() - others - {first}))
        assert not imported(first)


def test_a_pack_that_ends_its_worker_when_imported_is_left_out_and_named(tmp_path: Path) -> None:
    with running(tmp_path / "data", custom_nodes_dirs=(KILLERS, PACKS), start_seconds=3.0) as server:
        server.wait_ready()
        answer = server.client.ask("GET", "/api/nodes")
        kinds = {one["kind"].partition("/")[0] for one in answer["nodes"]}
        assert {"fine", "faults"} <= kinds and not {"ends", "hangs"} & kinds
        told = {one["name"]: one["problems"] for one in answer["packs"]}
        assert told["ends"] and told["hangs"] and not told["fine"]
        done = server.client.wait(server.client.submit(graph("faults/add", a=1, b=1))["id"])
        assert done["status"] == "succeeded"


def test_a_worker_that_cannot_start_is_told_and_the_server_stays_well(tmp_path: Path) -> None:
    """What is accepted meanwhile waits; nothing pretends that it will be run."""
    with running(tmp_path / "data", start_seconds=0.0) as server:
        wait_until(lambda: server.server.supervisor.slots[0].state == "failed")
        with pytest.raises(Refused):
            server.client.ask("GET", "/readyz")
        status, text = server.client._exchange("GET", "/readyz", None, {})
        assert status == 503 and b"no worker is up" in text
        wait_well(server.client)
        (worker,) = server.client.ask("GET", "/api/system")["workers"]
        assert worker["state"] == "failed" and worker["problems"][0]["what"]
        run = server.client.submit(graph("faults/add", a=1, b=1))["id"]
        assert server.client.run(run)["status"] == "queued"


def test_a_damaged_file_is_replaced_by_its_copy_and_the_person_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=()) as server:
        kept = server.client.submit(graph("faults/add", a=1, b=1))["id"]
        server.server.store.backup()
        server.client.submit(graph("faults/add", a=1, b=2))
    path = tmp_path / "data" / NAME
    path.write_bytes(path.read_bytes()[:4096] + os.urandom(8192))
    with running(tmp_path / "data") as server:
        (notice,) = server.client.ask("GET", "/api/system")["notices"]
        assert notice["code"] == "store-restored" and "damaged" in notice["what"]
        assert server.client.wait(kept)["status"] == "succeeded"
        assert list((tmp_path / "data").glob(f"{NAME}.corrupt-*"))
        assert "store-restored" in server.lines.getvalue() or "damaged" in server.lines.getvalue()


# ── the browser ──


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A browser that writes down the addresses it is told to open."""
    seen = tmp_path / "seen"
    script = tmp_path / "browser"
    script.write_text(f"#!{sys.executable}\nimport sys\nopen({str(seen)!r}, 'a').write(sys.argv[1] + '\\n')\n")
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    return seen


def lets_in(server: Spawned, address: str) -> bool:
    """Whether an address gives the cookie that opens everything."""
    import http.client

    found = re.fullmatch(rf"http://127\.0\.0\.1:{server.port}(/\?ticket=[\w-]+)", address)
    assert found, address
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", found[1])
    answer = connection.getresponse()
    answer.read()
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    connection.request("GET", "/api/runs", headers={"Cookie": cookie})
    return answer.status == 303 and connection.getresponse().status == 200


@pytest.mark.skipif(os.name != "posix", reason="a script as a browser")
def test_serve_opens_the_browser_with_a_ticket_and_open_does_it_again(tmp_path: Path, browser: Path) -> None:
    with spawned(tmp_path / "data") as server:
        server.start(opens=True)
        wait_until(lambda: browser.exists() and browser.read_text().endswith("\n"))
        (address,) = browser.read_text().split()
        assert lets_in(server, address) and not lets_in(server, address), "once"
        command = [sys.executable, "-m", "graph_runtime", "open", "--config", str(server.config)]
        done = subprocess.run(
            [*command, "--server", f"http://127.0.0.1:{server.port}"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        wait_until(lambda: len(browser.read_text().split()) == 2)
        again = browser.read_text().split()[1]
        assert again == done.stdout.strip() != address and lets_in(server, again)


def test_trusting_this_machine_needs_no_token_and_is_said_at_every_start(tmp_path: Path) -> None:
    with spawned(tmp_path / "data") as server:
        server.start("--trust-loopback")
        assert Client(f"http://127.0.0.1:{server.port}").ask("GET", "/api/runs")["runs"] == []
        assert "no token is asked" in server.log.read_text()
