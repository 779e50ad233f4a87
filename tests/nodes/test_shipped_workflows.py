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
    assert document.to_json() == read(name)


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
