"""The pipelines of `oracle`, made once per test run."""

from __future__ import annotations

import oracle_auraflow
import oracle_flux2
import oracle_lumina
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


@pytest.fixture(scope="session")
def lumina(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return oracle_lumina.pair(tmp_path_factory.mktemp("lumina"), seed=0)


@pytest.fixture(scope="session", params=[31, 32, 33])
def varied_lumina(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Depths, widths, heads and sides drawn from the seed."""
    return oracle_lumina.pair(tmp_path_factory.mktemp("varied_lumina"), seed=request.param, vary=True, shift=4.0)


@pytest.fixture(scope="session")
def flux2(tmp_path_factory: pytest.TempPathFactory) -> oracle_flux2.Pair:
    return oracle_flux2.dev_pair(tmp_path_factory.mktemp("flux2"), seed=0)


@pytest.fixture(scope="session", params=[21, 22])
def flux2_varied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle_flux2.Pair:
    """Depths, widths, heads, axes and latents drawn from the seed."""
    return oracle_flux2.dev_pair(tmp_path_factory.mktemp("flux2"), seed=request.param)


@pytest.fixture(scope="session")
def klein(tmp_path_factory: pytest.TempPathFactory) -> oracle_flux2.Pair:
    return oracle_flux2.klein_pair(tmp_path_factory.mktemp("klein"), seed=31, distilled=True)


@pytest.fixture(scope="session")
def klein_base(tmp_path_factory: pytest.TempPathFactory) -> oracle_flux2.Pair:
    return oracle_flux2.klein_pair(tmp_path_factory.mktemp("klein_base"), seed=32, distilled=False)
