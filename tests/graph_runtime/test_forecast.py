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
    steps = told(worker, 10**12, 10**12)["steps"]
    text, paint, decode = (row["uses"][0]["bytes"] for row in steps)
    _, painting, decoding = (row["works_with"] for row in steps)
    assert paint > text + decode and painting and decoding, "the starter's transformer is the largest"
    whole = paint + painting
    budgets = [text + paint + decode + max(painting, decoding), whole + 1000, whole - 1000, whole * 6 // 10]
    found = [told(worker, budget, 10**12) for budget in budgets]
    assert [one["plan"] for one in found] == ["resident", "take turns", "lean", "prefetch"]
    for budget, one in zip(budgets, found, strict=True):
        assert all(row["device_bytes"] + (row["works_with"] or 0) <= budget and row["fits"] for row in one["steps"])
    turns, lean, prefetch = (one["steps"][1]["uses"][0] for one in found[1:])
    assert turns["why"] == "it fits once flux1 (TEXT_ENCODER) left"
    assert lean["why"].endswith("what comes before its blocks comes from the machine's memory")
    assert "blocks come from the machine's memory" in prefetch["why"] and prefetch["host_bytes"] > 0
    assert told(worker, 0, paint * 6 // 10, "cpu")["plan"] == "disk", "on the CPU there is only one memory"
    with pytest.raises(Refused, match=r"paint: flux1 \(MODEL\): it needs .*, at least .* under the plan"):
        told(worker, 5_000_000, 10**12)


def test_each_step_says_what_it_works_with_and_larger_pictures_take_more(worker: Worker) -> None:
    def works_with(side: int, count: int = 1) -> list[int | None]:
        empty = Step(
            "core/empty_latent", {**WORKFLOW.steps["empty"].inputs, "width": side, "height": side, "count": count}
        )
        graph = Graph({**WORKFLOW.steps, "empty": empty})
        steps = forecast(graph, worker.defs, worker.sockets, worker.files, Residency("gpu", 10**12, 0))["steps"]
        return [row["works_with"] for row in steps]

    (reads, paints, decodes), (_, paints_two, decodes_two) = works_with(64), works_with(64, count=2)
    assert reads is None and paints and decodes, "what reading a text takes is not told"
    assert (paints_two, decodes_two) == (2 * paints, 2 * decodes)
    large = works_with(2048)
    assert large[1] is not None and large[1] > 100 * paints and large[2] == decodes * 32**2, "one at a time"


def test_pictures_that_are_painted_over_are_counted_too(worker: Worker) -> None:
    picture = {"image": Join("decode", "image"), "vae": Join("load", "vae")}
    again = {**WORKFLOW.steps["paint"].inputs, "latent": Join("encode", "latent"), "denoise": 0.5}
    steps = {**WORKFLOW.steps, "encode": Step("core/encode", picture), "again": Step("core/sample", again)}
    graph = Graph(steps, ("again",))
    rows = forecast(graph, worker.defs, worker.sockets, worker.files, Residency("gpu", 10**12, 0))["steps"]
    told = {row["step"]: row["works_with"] for row in rows}
    assert told["encode"] == told["decode"] and 0 < told["again"] < told["paint"], (
        "half the levels, half the modulation"
    )


def test_room_that_is_not_there_is_said(worker: Worker) -> None:
    paint = told(worker, 10**12, 10**12)["steps"][1]
    smallest = told(worker, paint["uses"][0]["bytes"] * 6 // 10, 10**12)["steps"][1]
    tight = told(worker, smallest["device_bytes"] + 1000, 10**12)["steps"][1]
    assert not tight["fits"] and tight["device_bytes"] == smallest["device_bytes"], "the plan that takes least"


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
    small.close()


def test_a_file_that_is_not_there_is_said(worker: Worker, tmp_path: Path) -> None:
    steps = {**WORKFLOW.steps, "load": Step("core/load_checkpoint", {"file": "nowhere.safetensors"})}
    with pytest.raises(Refused, match="nowhere"):
        worker.ask("plan", {"graph": Graph(steps).to_json()})
