"""A server with one worker, made once for the tests of a file that do not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server") / "data") as one:
        one.wait_ready()
        yield one
