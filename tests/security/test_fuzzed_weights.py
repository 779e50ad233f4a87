from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def fuzzed(mutations: int, seed: int) -> dict[str, Any]:
    program = ROOT / "tests" / "security" / "fuzz_weights.py"
    command = [sys.executable, str(program), "--mutations", str(mutations), "--seed", str(seed)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def check(found: dict[str, Any], mutations: int) -> None:
    """Every file was refused with a Problem or read, within 64 MiB and 50 ms; both happened often."""
    assert found["wrong"] == []
    assert found["refused"] + found["accepted"] == mutations
    assert min(found["refused"], found["accepted"]) > mutations / 50


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and processor time are limited as Linux does")
def test_broken_model_files_are_refused_or_read_and_nothing_else_happens() -> None:
    check(fuzzed(10_000, seed=1), 10_000)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and processor time are limited as Linux does")
def test_a_million_broken_model_files_are_refused_or_read() -> None:
    check(fuzzed(1_000_000, seed=2), 1_000_000)
