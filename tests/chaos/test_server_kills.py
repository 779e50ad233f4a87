"""The server is killed at any moment while clients submit: what was acknowledged is there, once, and ends right.

    pytest tests/chaos               50 deaths
    pytest -m slow tests/chaos       500
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from account import Account, all_runs, check_events, check_files
from serving import Spawned, spawned

from graph_runtime.client import Client
from graph_runtime.store import NAME

CLIENTS = 4
EACH_LIFE = 4  # runs that may be submitted while one server lives
REST = 50  # deaths after which the queue is let run empty: it takes a thousand runs of one user, and no more


class Submitter(threading.Thread):
    """A client that sends until it is answered, always with the same key, and sometimes again afterwards."""

    def __init__(self, number: int, client: Client, account: Account, turns: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.client, self.account, self.turns = client, account, turns
        self.random, self.number = random.Random(number), number
        self.over = threading.Event()
        self.answers = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        sent = 0
        while True:
            self.turns.acquire()
            if self.over.is_set():
                return
            sent += 1
            key = f"client-{self.number}-{sent}"
            self.account.runs[key] = self.send(key)
            if self.random.random() < 0.3:
                earlier = f"client-{self.number}-{self.random.randint(1, sent)}"
                if self.send(earlier) != self.account.runs[earlier]:
                    self.wrong.append(f"{earlier} became another run")

    def send(self, key: str) -> str:
        while True:
            try:
                id: str = self.client.submit(self.account.graph(key), key=key)["id"]
            except ConnectionError:
                time.sleep(0.02)
                continue
            self.answers += 1
            return id


def wait_until(true: Callable[[], bool], server: Spawned, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, server.log.read_text()[-3000:]
        time.sleep(0.005)


def live_and_die(server: Spawned, chance: random.Random, answers: Callable[[], int]) -> str:
    """One server's life. It dies as it starts, while it is idle, just after it has answered, or amid a run."""
    how = chance.choices(["starting", "any time", "just answered", "amid a run"], [15, 15, 40, 30])[0]
    before = answers()
    client = server.start(wait=how != "starting")
    if how == "starting":
        time.sleep(chance.uniform(0, 0.8))
    elif how == "any time":
        time.sleep(chance.uniform(0, 0.5))
    elif how == "just answered":
        least = before + chance.randint(1, EACH_LIFE)
        wait_until(lambda: answers() >= least, server)
    else:
        client.ask("POST", "/api/queue/resume", {})  # two deaths under one run have paused it
        wait_until(lambda: client.ask("GET", "/api/runs?status=running&limit=1")["runs"] != [], server)
        time.sleep(chance.uniform(0, 0.04))
    server.kill()
    return how


def run_empty(server: Spawned) -> None:
    client = server.start()
    client.ask("POST", "/api/queue/resume", {})
    wait_until(lambda: client.ask("GET", "/api/queue")["waiting"] == [], server, 300.0)
    server.kill()


@pytest.mark.parametrize("deaths", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path, deaths: int) -> None:
    chance, account, turns = random.Random(deaths), Account(files=2), threading.Semaphore(0)
    with spawned(tmp_path / "data") as server:
        client = server.start()
        server.end()
        client.patience, client.timeout = 0.0, 10.0
        submitters = [Submitter(number, client, account, turns) for number in range(CLIENTS)]
        for submitter in submitters:
            submitter.start()
        ways = []
        for death in range(deaths):
            if death and death % REST == 0:
                run_empty(server)
            for _ in range(EACH_LIFE):
                turns.release()
            ways.append(live_and_die(server, chance, lambda: sum(one.answers for one in submitters)))
        client = server.start()
        for submitter in submitters:
            submitter.over.set()
        for _ in submitters:
            turns.release()
        for submitter in submitters:
            while submitter.is_alive():  # what it was at is still answered, and turns that are left are taken
                turns.release()
                submitter.join(0.05)
        client.ask("POST", "/api/queue/resume", {})
        ends = {id: client.wait(id, 300.0) for id in account.runs.values()}
        found = {run["id"]: run for run in all_runs(client)}
        assert server.end() == 0

    assert [wrong for submitter in submitters for wrong in submitter.wrong] == []
    assert len(set(account.runs.values())) == len(account.runs)
    assert found.keys() == ends.keys(), "every run there is was acknowledged, and the other way round"
    assert {run["status"] for run in ends.values()} == {"succeeded"}
    assert all(len(run["files"]) == account.files for run in ends.values())
    check_files(tmp_path / "data" / "output", [one for key in account.runs for one in account.contents(key)])
    check_events(tmp_path / "data" / NAME)
    assert sum(run["attempt"] > 1 for run in ends.values()) >= ways.count("amid a run") // 10, "runs were cut short"
    print(f"{deaths} deaths, {len(account.runs)} runs, {sum(one.answers for one in submitters)} answers, "
          f"{sum(run['attempt'] - 1 for run in ends.values())} attempts cut short")  # fmt: skip
