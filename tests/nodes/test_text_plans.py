"""Text encoders larger than the memory they may take: told beforehand, and read with all the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from models import deep_texts

from graph_runtime.graph import Graph, Join, Step
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker

TEXT = Step("core/encode_text", {"text_encoder": Join("load", "text_encoder"), "prompt": "a big red circle"})


@pytest.mark.parametrize("name", ["flux1", "auraflow", "lumina", "flux2"])
def test_a_text_encoder_larger_than_the_memory_reads_from_its_file(name: str, tmp_path: Path) -> None:
    folder = deep_texts.written(name, tmp_path / "models" / name)
    steps = {"load": Step("core/load_checkpoint", {"file": str(folder)}), "text": TEXT}
    graph = Graph(steps, ("text",))

    def made(memory: int | None) -> tuple[dict[str, torch.Tensor], dict[str, Any], str]:
        settings = Settings(
            data_dir=tmp_path / str(memory), custom_nodes_dirs=(), device="cpu", threads=1, host_memory=memory,
            allow_absolute_paths=True, cache_disk=0,
        )  # fmt: skip
        one = Worker(settings)
        (row,) = one.ask("plan", {"graph": graph.to_json()})["steps"]
        result = one.execute("run", graph, None, lambda event: None, threading.Event())
        assert result.status == "succeeded", result.problems
        (held,) = one.residency.report()["models"]
        one.close()
        return result.outputs["text"]["conditioning"].tensors, row["uses"][0], held["plan"]

    wanted, whole, plan = made(None)
    assert plan == "resident"
    tensors, told, plan = made(whole["bytes"] * 8 // 10)
    assert plan == told["plan"] == "disk" and told["title"].endswith("(TEXT_ENCODER)")
    assert tensors.keys() == wanted.keys() and all(torch.equal(tensors[key], wanted[key]) for key in wanted)
