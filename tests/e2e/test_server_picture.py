"""A picture by way of a server that is killed while it is being painted: the same as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "graph_runtime" / "server"))

from serving import ROOT, Spawned, spawned

STARTER = ROOT / "nodes" / "models" / "starter" / "flux1"

pytestmark = pytest.mark.skipif(not (STARTER / "model_index.json").is_file(), reason="the starter model is not here")


def asked(server: Spawned, out: Path, *more: str) -> subprocess.Popen[str]:
    """`latentloom run --server`, under way."""
    command = [sys.executable, "-m", "graph_runtime", "run", "--config", str(server.config), "--out", str(out)]
    command += ["--server", f"http://127.0.0.1:{server.port}", "--seed", "11", *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def picture(process: subprocess.Popen[str]) -> np.ndarray[Any, Any]:
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    (path,) = out.split()
    return np.asarray(Image.open(path))


def test_a_run_that_its_server_dies_under_gives_the_same_picture(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"packs": ("nodes",), "custom_nodes_dirs": (), "start_seconds": 300.0}
    settings |= {"cache_memory": 0, "cache_disk": 0}  # nothing is used again
    with spawned(tmp_path / "data", **settings) as server:
        client = server.start()
        whole = picture(asked(server, tmp_path / "whole", "--set", "paint.steps=60"))
        cut = asked(server, tmp_path / "cut", "--set", "paint.steps=60", "--set", "save.name=cut")
        until = time.monotonic() + 120
        while not any(one["last_step"] == "paint" for one in client.ask("GET", "/api/runs?status=running")["runs"]):
            assert cut.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        server.kill()
        server.start()
        last = picture(cut)
        runs = client.ask("GET", "/api/runs")["runs"]
        assert [run["attempt"] for run in runs] == [2, 1]
        assert all(run["status"] == "succeeded" for run in runs)
        assert len(list((tmp_path / "data" / "output").glob("*.png"))) == 2
    assert np.array_equal(last, whole)
