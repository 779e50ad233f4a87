"""The system itself caps the memory of a process, and the picture is the same under every plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["flux1", "auraflow", "lumina", "flux2", "gemma"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if sys.platform != "linux":
        pytest.skip("RLIMIT_DATA counts a process's memory on Linux only")
    exact = {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    program, folder = Path(__file__).with_name("capped.py"), tmp_path_factory.mktemp("capped")
    command = [sys.executable, str(program), str(folder), request.param]
    done = subprocess.run(command, env={**os.environ, **exact}, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_with_memory_capped_to_what_the_plan_says_the_picture_is_the_same(found: dict[str, Any]) -> None:
    assert {name.split()[0] for name in found["caps"]} == {"resident", "lean", "disk"}
    assert len(set(found["pictures"].values())) == 1, found["pictures"]
    least = min(found["caps"].values())
    assert least < 0.75 * found["total"], "the caps are below what the whole of it takes"


def test_when_memory_runs_out_the_next_plan_is_tried_once_and_paints_the_same(found: dict[str, Any]) -> None:
    assert found["the cap held"], "all of it must not fit under the cap of the lean plan"
    assert found["tried"] == ["resident", "lean"]
