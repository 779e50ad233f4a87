"""Workers are killed at any moment while runs go on: every run ends right, every file is whole and there once.

    pytest tests/chaos               50 deaths
    pytest -m slow tests/chaos       500
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from account import Account, all_runs, check_events, check_files
from serving import Running, running

from graph_runtime.store import NAME

WAITING = 6  # runs that are kept in the queue


def feed(server: Running, account: Account) -> None:
    """Let there always be some runs that wait."""
    while server.server.store.runs.counts()["queued"] < WAITING:
        key = f"run-{len(account.runs)}"
        account.runs[key] = server.client.submit(account.graph(key), key=key)["id"]


def strike(server: Running, chance: random.Random) -> None:
    """Kill a worker amid a run, at any moment; now and then let a run or two end first."""
    until = time.monotonic() + 60
    ended = server.server.store.runs.counts()["succeeded"] + chance.choice([0, 0, 1, 2])
    while server.server.store.runs.counts()["succeeded"] < ended:
        assert time.monotonic() < until, server.lines.getvalue()[-3000:]
        time.sleep(0.002)
    while not (pids := [slot.handle.pid for slot in server.server.supervisor.slots if slot.state == "running"]):
        assert time.monotonic() < until, server.lines.getvalue()[-3000:]
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.06))
    if pid := chance.choice(pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it had been replaced meanwhile
            strike(server, chance)


@pytest.mark.parametrize("deaths", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_every_run_ends_right_and_its_files_are_whole(tmp_path: Path, deaths: int) -> None:
    """A run dies at the most twice: then it has failed with the name of its node, and the queue goes on."""
    chance, account = random.Random(deaths), Account(files=3)
    with running(tmp_path / "data", devices=("cpu", "cpu"), spare=True) as server:
        server.wait_ready()
        for _ in range(deaths):
            feed(server, account)
            strike(server, chance)
        ends = {key: server.client.wait(id, 120.0) for key, id in account.runs.items()}
        crashes = {
            key: server.client.ask("GET", f"/api/runs/{id}/steps")["crashes"] for key, id in account.runs.items()
        }
        assert len(list(all_runs(server.client))) == len(account.runs)

    assert {run["status"] for run in ends.values()} <= {"succeeded", "failed"}
    succeeded = {key for key, run in ends.items() if run["status"] == "succeeded"}
    for key, run in ends.items():
        assert run["crashes"] == len(crashes[key]) == run["attempt"] - (key in succeeded)
        assert run["crashes"] < 2 if key in succeeded else run["crashes"] == 2
        if key not in succeeded:
            (problem,) = run["problems"]
            assert problem["code"] == "worker-died"
            assert "it (trouble/many)" in problem["what"] or "the node it (pack trouble)" in problem["what"] or (
                {one["step"] for one in crashes[key]} == {""}  # both times before the step had begun
            )
        else:
            assert len(run["files"]) == account.files
    whole = [one for key in succeeded for one in account.contents(key)]
    may = [one for key in ends.keys() - succeeded for one in account.contents(key)]
    with running(tmp_path / "data", devices=()):
        pass  # what workers had begun to write when they died is swept at the next start
    check_files(tmp_path / "data" / "output", whole, may=may)
    check_events(tmp_path / "data" / NAME)
    died = sum(map(len, crashes.values()))
    assert deaths // 4 <= died <= deaths and len(succeeded) >= deaths // 4, "deaths came amid runs, and runs ended"
    print(f"{deaths} deaths, {died} of them amid a run, {len(ends)} runs, {len(ends) - len(succeeded)} failed by two")
