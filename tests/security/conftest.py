"""One server without workers for all of these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "graph_runtime" / "server"))

from serving import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from graph_runtime.server.options import ServerLimits

    limits = ServerLimits(failures_per_minute=1_000_000)
    with running(tmp_path_factory.mktemp("server") / "data", devices=(), options={"limits": limits}) as one:
        yield one
