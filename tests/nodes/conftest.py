"""A worker with the built-in nodes and two tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_model import write_checkpoint
from workbench import DEV, SCHNELL, Bench

from graph_runtime.settings import Settings
from graph_runtime.worker import Worker


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    write_checkpoint(folder / SCHNELL, seed=0, guidance=False)
    write_checkpoint(folder / DEV, seed=1, guidance=True)
    return folder


@pytest.fixture(scope="session")
def make_bench(models: Path) -> Callable[[Path], Bench]:
    def make(home: Path) -> Bench:
        settings = Settings(data_dir=home, model_dirs=(models,), custom_nodes_dirs=(), device="cpu", threads=1)
        return Bench(Worker(settings), home)

    return make


@pytest.fixture
def bench(make_bench: Callable[[Path], Bench], tmp_path: Path) -> Bench:
    return make_bench(tmp_path)
