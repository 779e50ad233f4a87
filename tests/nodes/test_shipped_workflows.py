"""The workflows that come with the program: each is right, and each runs to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_flux2 import write_klein_base
from workbench import SCHNELL, Bench

from graph_runtime.document import open_document
from graph_runtime.document_migrations import MIGRATIONS

FOLDER = Path(__file__).parents[2] / "nodes" / "workflows"
KLEIN = "tiny-klein"
TINY = {"starter/flux2": KLEIN}  # what is run in the place of a starter, if not a tiny Flux.1
WORKFLOWS = sorted(path.stem for path in FOLDER.glob("*.json"))


def read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared(make_bench: Callable[[Path], Bench], models: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    write_klein_base(models / KLEIN)
    return make_bench(tmp_path_factory.mktemp("workflows"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_wrong_with_it_and_every_step_has_its_place(name: str, shared: Bench) -> None:
    document, problems = open_document(read(name), shared.worker.defs)
    assert problems == []
    assert document.title
    places = [step.position for step in document.steps.values()]
    assert None not in places
    assert len(set(places)) == len(places)
    assert document.to_json() == read(name) | {"migrations": [one.name for one in MIGRATIONS]}


def test_text_encoders_of_an_older_workflow_are_found_under_their_new_names(shared: Bench) -> None:
    """load_text_encoder called its two files clip and t5 when only Flux.1 was read."""
    older = {"kind": "core/load_text_encoder", "inputs": {"clip": f"{SCHNELL}/text_encoder", "t5": "t5.safetensors"}}
    inner = {"steps": {"load": json.loads(json.dumps(older))}, "inputs": [], "outputs": []}
    raw = {"format": "latentloom", "version": 1, "steps": {"text": older}, "definitions": {"d": inner}}
    document, problems = open_document(raw, shared.worker.defs)
    renamed = {"file": f"{SCHNELL}/text_encoder", "second_file": "t5.safetensors"}
    assert document.steps["text"].inputs == renamed and document.definitions["d"].steps["load"].inputs == renamed
    assert not [one for one in problems if one.code == "unknown-input"]
    again, _ = open_document(document.to_json(), shared.worker.defs)
    assert again.to_json() == document.to_json()


def test_an_older_workflow_with_two_text_encoders_runs(shared: Bench, models: Path) -> None:
    inputs = {"clip": f"{SCHNELL}/text_encoder", "t5": f"{SCHNELL}/text_encoder_2", "tokenizers": SCHNELL}
    raw = {"steps": {
        "read": {"kind": "core/load_text_encoder", "inputs": inputs},
        "say": {"kind": "core/encode_text", "inputs": {
            "text_encoder": {"join": ["read", "text_encoder"]}, "prompt": "a circle", "max_length": 8}},
    }}  # fmt: skip
    document, _ = open_document(raw, shared.worker.defs)
    steps = {id: (one.kind.removeprefix("core/"), one.inputs) for id, one in document.steps.items()}
    assert shared.good(steps, "say").one("say").tensors["text"].shape[1] == 8


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_runs_on_a_tiny_model(name: str, shared: Bench) -> None:
    raw = read(name)
    for step in raw["steps"].values():
        inputs = step["inputs"]
        if step["kind"] == "core/load_checkpoint":
            inputs["file"] = TINY.get(inputs["file"], SCHNELL)
        elif step["kind"] == "core/empty_latent":
            inputs |= {"width": 96, "height": 64}
        elif step["kind"] == "core/encode_text":
            inputs["max_length"] = 64
        elif step["kind"] == "core/sample":
            inputs["steps"] = 2
    document, problems = open_document(raw, shared.worker.defs)
    assert problems == []
    steps = {id: (one.kind.removeprefix("core/"), one.inputs) for id, one in document.steps.items()}
    ran = shared.good(steps, document=raw)
    files = ran.one("save")
    assert files.fresh()


@pytest.mark.parametrize("name", ["flux1", "auraflow", "lumina", "flux2"])
def test_a_starter_is_offered_wherever_a_part_of_it_is_wanted(name: str, shared: Bench) -> None:
    starter = f"starter/{name}"
    steps = {
        "model": ("load_quantized", {"file": starter, "method": "int8"}),
        "text": ("load_text_encoder", {"file": starter}),
        "vae": ("load_vae", {"file": starter}),
    }
    for kind in ("model", "text_encoder", "vae"):
        assert starter in shared.worker.files.names(kind)
    ran = shared.run(steps, *steps)
    assert ran.status == "succeeded", ran.problems
    assert ran.one("model").family == ran.one("text").family
    assert "matrices in int8" in ran.logs
