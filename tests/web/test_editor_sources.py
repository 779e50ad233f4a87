"""The editor's own checks: types, lint, unit tests. They need Node, which the Python side does not; without it they are
left to the people who work on the editor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")


@pytest.mark.skipif(
    NODE is None or not (WEB / "node_modules" / "vitest").is_dir(), reason="no Node, or its packages are not installed"
)
@pytest.mark.parametrize(
    "command",
    [
        ("node_modules/typescript/bin/tsc", "--noEmit"),
        ("node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"),
        ("node_modules/vitest/vitest.mjs", "run"),
    ],
    ids=["types", "lint", "unit tests"],
)
def test_the_editors_own_checks_pass(command: tuple[str, ...]) -> None:
    done = subprocess.run([str(NODE), *command], cwd=WEB, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
