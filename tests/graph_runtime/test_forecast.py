"""What would be in memory, told from recipes alone: the built-in nodes on tiny models with budgets to match."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from graph_runtime.forecast import forecast
from graph_runtime.graph import Graph, Join, Step
from graph_runtime.problem import Refused
from graph_runtime.residency import Residency
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker

WORKFLOW = Graph(
    {
        "load": Step("core/load_checkpoint"),
        "text": Step("core/encode_text", {"text_encoder": Join("load", "text_encoder"), "prompt": "a red circle"}),
        "empty": Step("core/empty_latent", {"model": Join("load", "model"), "width": 64, "height": 64}),
        "paint": Step(
            "core/sample",
            {
                "model": Join("load", "model"),
                "positive": Join("text", "conditioning"),
                "latent": Join("empty", "latent"),
            },
        ),
        "decode": Step("core/decode", {"latent": Join("paint", "latent"), "vae": Join("load", "vae")}),
        "save": Step("core/save_image", {"image": Join("decode", "image")}),
    }
)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Worker:
    torch.set_num_threads(1)
    return Worker(Settings(data_dir=tmp_path_factory.mktemp("data"), custom_nodes_dirs=(), device="cpu", threads=1))


def told(worker: Worker, device: int, host: int, name: str = "gpu") -> dict[str, Any]:
    books = Residency(name, device, host)
    return forecast(WORKFLOW, worker.defs, worker.sockets, worker.files, books)


def test_each_step_that_uses_models_is_told_and_no_other(worker: Worker) -> None:
    every = told(worker, 10**12, 10**12)
    assert [row["step"] for row in every["steps"]] == ["text", "paint", "decode"]
    assert every["plan"] == "resident" and all(one["why"] == "it fits" for row in every["steps"] for one in row["uses"])
    sizes = [row["uses"][0]["bytes"] for row in every["steps"]]
    assert [row["device_bytes"] for row in every["steps"]] == [sizes[0], sum(sizes[:2]), sum(sizes)]


def test_with_less_and_less_memory_models_take_turns_then_come_in_parts_and_then_there_is_no_way(
    worker: Worker,
) -> None:
    text, paint, decode = (row["uses"][0]["bytes"] for row in told(worker, 10**12, 10**12)["steps"])
    assert paint > text + decode, "the starter's transformer is the largest"
    budgets = [text + paint + decode, paint + 1000, paint - 1000, paint * 6 // 10]
    found = [told(worker, budget, 10**12) for budget in budgets]
    assert [one["plan"] for one in found] == ["resident", "take turns", "lean", "prefetch"]
    for budget, one in zip(budgets, found, strict=True):
        assert all(row["device_bytes"] <= budget for row in one["steps"])
    turns, lean, prefetch = (one["steps"][1]["uses"][0] for one in found[1:])
    assert turns["why"] == "it fits once flux1 (TEXT_ENCODER) left"
    assert lean["why"].endswith("what comes before the steps comes from the machine's memory")
    assert "blocks come from the machine's memory" in prefetch["why"] and prefetch["host_bytes"] > 0
    assert told(worker, 0, paint * 6 // 10, "cpu")["plan"] == "disk", "on the CPU there is only one memory"
    with pytest.raises(Refused, match=r"paint: flux1 \(MODEL\): it needs .*, at least .* under the plan"):
        told(worker, 5_000_000, 10**12)


def test_a_worker_is_asked_with_plain_data_and_reads_no_weight(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = worker.ask("plan", {"graph": WORKFLOW.to_json()})
    assert answer["plan"] == "resident" and answer["device"] == "cpu"
    assert worker.residency.report()["models"] == []


def test_what_was_told_is_what_happens_and_the_picture_is_the_same(worker: Worker, tmp_path: Path) -> None:
    paint = Step("core/sample", {**WORKFLOW.steps["paint"].inputs, "steps": 2})
    graph = Graph({**WORKFLOW.steps, "paint": paint}, ("paint",))
    small = Worker(
        Settings(data_dir=tmp_path, custom_nodes_dirs=(), device="cpu", threads=1, host_memory=10_000_000, cache_disk=0)
    )
    last = small.ask("plan", {"graph": graph.to_json()})["steps"][-1]
    pictures = []
    for one in (worker, small):
        result = one.execute("run", graph, None, lambda event: None, threading.Event())
        assert result.status == "succeeded", result.problems
        pictures.append(result.outputs["paint"]["latent"].samples)
    assert torch.equal(*pictures)
    report = small.residency.report()
    assert [(one["plan"], one["device_bytes"]) for one in report["models"] if one["device_bytes"] > 5_000_000] == [
        (last["uses"][0]["plan"], last["uses"][0]["device_bytes"])
    ]
    assert last["uses"][0]["plan"] == "disk" and report["device_bytes"] <= 10_000_000


def test_a_file_that_is_not_there_is_said(worker: Worker, tmp_path: Path) -> None:
    steps = {**WORKFLOW.steps, "load": Step("core/load_checkpoint", {"file": "nowhere.safetensors"})}
    with pytest.raises(Refused, match="nowhere"):
        worker.ask("plan", {"graph": Graph(steps).to_json()})
