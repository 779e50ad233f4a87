"""What was promised to clients, held against what is there when everything is over."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graph_runtime.client import Client

OVER = ("succeeded", "failed", "cancelled")
# From each state of a run to those that may follow; "" is before the first.
NEXT = {
    "": {"queued"},
    "queued": {"queued", "running", "cancelled"},
    "running": {"queued", "running", "crashed", *OVER},
    "crashed": {"queued", "failed", "cancelled"},
}
COPIES = 2000  # of a text in a file, so that half a file is not taken for a whole one


@dataclass
class Account:
    """Runs that were acknowledged: the id of each by its key. `files` is how many files each run makes."""

    files: int
    runs: dict[str, str] = field(default_factory=dict)

    def graph(self, key: str) -> dict[str, Any]:
        """A run that saves several files, which tell by what is in them whose they are."""
        return {"steps": {"it": {"kind": "trouble/many", "inputs": {"text": key, "count": self.files}}}}

    def contents(self, key: str) -> list[bytes]:
        return [f"{key} {number} ".encode() * COPIES for number in range(self.files)]


def all_runs(client: Client) -> Iterator[dict[str, Any]]:
    before = 0
    while True:
        page = client.ask("GET", f"/api/runs?limit=200&before={before}")
        yield from page["runs"]
        if not (before := page["before"]):
            return


def check_events(path: Path) -> None:
    """No event is missing, every run went from state to state as it may, and ended once. The server has ended."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    seqs = [row[0] for row in connection.execute("SELECT seq FROM events ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1)), "a number of an event is missing"
    states: dict[str, str] = {}
    for run, data in connection.execute("SELECT run, data FROM events ORDER BY seq"):
        if json.loads(data)["type"] != "run-status":
            continue
        status = json.loads(data)["status"]
        assert status in NEXT.get(states.get(run, ""), ()), f"{run}: {states.get(run)} → {status}"
        states[run] = status
    assert set(states.values()) <= set(OVER)
    connection.close()


def check_files(folder: Path, contents: Iterable[bytes], *, may: Iterable[bytes] = ()) -> None:
    """Each of these is in one file, whole; any other file is one of those that may be there; nothing is staged."""
    found = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    wanted, allowed = set(contents), set(may)
    assert len(set(found)) == len(found), "a file is there twice"
    assert wanted <= set(found), "a file is lost"
    assert set(found) <= wanted | allowed, "a file is torn, or nobody's"
    staged = folder / ".staging" / "runs"
    assert not staged.is_dir() or not list(staged.iterdir())
