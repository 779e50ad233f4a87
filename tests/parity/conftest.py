"""The pipelines of `oracle`, made once per test run."""

from __future__ import annotations

import oracle_auraflow
import pytest
import torch
from oracle import Pair, pair


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("dev"), seed=0, guidance=True)


@pytest.fixture(scope="session")
def schnell(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("schnell"), seed=1, guidance=False)


@pytest.fixture(scope="session", params=[11, 12, 13])
def varied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Depths, widths, heads and axes drawn from the seed."""
    return pair(tmp_path_factory.mktemp("varied"), seed=request.param, guidance=request.param % 2 == 1, vary=True)


@pytest.fixture(scope="session")
def aura(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return oracle_auraflow.pair(tmp_path_factory.mktemp("aura"), seed=0)


@pytest.fixture(scope="session", params=[21, 22, 23])
def varied_aura(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Depths, widths, heads and grids drawn from the seed."""
    return oracle_auraflow.pair(tmp_path_factory.mktemp("varied_aura"), seed=request.param, vary=True)
