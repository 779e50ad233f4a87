"""Where models compute is a recipe's field: a node sets it, and residency keeps its own books for each device."""

from __future__ import annotations

import torch
from workbench import DEV, Bench

from graph_runtime.context import Plan
from graph_runtime.residency import Residency


def test_placing_a_models_parts_changes_nothing_else(bench: Bench) -> None:
    steps = {
        "load": ("load_checkpoint", {"file": DEV}),
        "model": ("place_model", {"model": "@load.model", "device": "balanced"}),
        "encoder": ("place_text_encoder", {"text_encoder": "@load.text_encoder", "device": "cpu"}),
        "vae": ("place_vae", {"vae": "@load.vae", "device": "cpu"}),
        "empty": ("empty_latent", {"model": "@model.model", "width": 64, "height": 64}),
    }
    for prefix, (model, encoder, vae) in {
        "plain": ("@load.model", "@load.text_encoder", "@load.vae"),
        "placed": ("@model.model", "@encoder.text_encoder", "@vae.vae"),
    }.items():
        steps[f"{prefix}_text"] = ("encode_text", {"text_encoder": encoder, "prompt": "a cat"})
        inputs = {"model": model, "positive": f"@{prefix}_text.conditioning", "latent": "@empty.latent", "steps": 2}
        steps[f"{prefix}_paint"] = ("sample", inputs)
        steps[prefix] = ("decode", {"latent": f"@{prefix}_paint.latent", "vae": vae})
    ran = bench.good(steps, "plain", "placed", "model")
    assert torch.equal(ran.one("plain").pixels, ran.one("placed").pixels)
    assert ran.one("model").placed_on == "balanced" and "balanced" in ran.one("model").key()


class Weights:
    value = None

    def __init__(self, device: str, nbytes: int) -> None:
        self.device, self.nbytes = device, nbytes

    def move(self, device: str) -> None:
        self.device = device

    def close(self) -> None:
        self.nbytes = 0


class Placed:
    def __init__(self, title: str, count: int, device: str = "auto") -> None:
        self.title, self.count, self.placed_on = title, count, device
        self.loaded: list[str] = []

    def key(self) -> str:
        return self.title

    def nbytes(self) -> int:
        return self.count

    def load(self, device: str, plan: Plan) -> Weights:
        self.loaded.append(device)
        return Weights(device, self.count)


def test_each_device_has_its_own_budget_and_the_host_is_shared() -> None:
    residency = Residency("cuda:0", 100, 100, budget_of={"cuda:1": 50}.__getitem__)
    model, parked = Placed("model", 80), Placed("parked", 60)
    second, encoder = Placed("second", 50, "cuda:1"), Placed("encoder", 70, "cpu")
    for one in (parked, model):  # parked waits on the host now
        with residency.use(one):
            pass
    assert residency.report()["host_bytes"] == 60
    with residency.use(model), residency.use(second), residency.use(encoder):
        report = residency.report()
        assert report["device_bytes"] == 80 and report["host_bytes"] == 70, "what was parked made room"
        assert {one["title"].removesuffix(" (PLACED)"): one.get("device") for one in report["models"]} == {
            "model": None,
            "second": "cuda:1",
            "encoder": "cpu",
        }
    assert (model.loaded, second.loaded, encoder.loaded) == (["cuda:0"], ["cuda:1"], ["cpu"])
    residency.evict()
    assert residency.report()["models"] == []
