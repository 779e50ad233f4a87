"""Settings in words become a workflow that our own nodes accept, and what has no place in it is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from graph_runtime.document import open_document
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes import provenance
from nodes.parameters_text import parse, read_workflow, workflow_of

TEXT = """a castle, (oil painting:1.2), <lora:ink:0.7>
at night
Negative prompt: blurry,
low quality
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 4012, Size: 512x768, Model hash: 6ce0161689, \
Model: dreamlike_v2, Clip skip: 2, Lora hashes: "ink: 12ab, two: 34", Hires upscaler: Latent, Version: v1.9.4"""


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Worker(Settings(data_dir=tmp_path_factory.mktemp("data"), custom_nodes_dirs=(), device="cpu")).defs


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    stream = io.BytesIO()
    Image.new("RGB", (2, 2)).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def values(step: dict[str, Any]) -> dict[str, Any]:
    """A step's inputs that are no wires."""
    return {name: value for name, value in step["inputs"].items() if not isinstance(value, dict)}


def test_prompt_negative_and_settings_are_told_apart() -> None:
    said = parse(TEXT)
    assert said.prompt == "a castle, (oil painting:1.2), <lora:ink:0.7>\nat night"
    assert said.negative == "blurry,\nlow quality"
    assert said.settings["Sampler"] == "DPM++ 2M Karras"
    assert said.settings["Lora hashes"] == "ink: 12ab, two: 34"


def test_it_becomes_a_workflow_that_can_run(defs: Any) -> None:
    document, problems = open_document(workflow_of(parse(TEXT)), defs)
    assert problems == []
    steps = document.steps
    assert steps["prompt"].inputs["prompt"] == "a castle, (oil painting:1.2),\nat night".replace(",\n", ", \n")
    assert steps["negative"].inputs["prompt"] == "blurry,\nlow quality"
    paint = {name: value for name, value in steps["paint"].inputs.items() if not hasattr(value, "step")}
    expected = {"seed": 4012, "steps": 28, "true_cfg": 6.5, "solver": "dpmpp_2m", "schedule": "karras"}
    assert paint == expected
    size = steps["size"].inputs
    assert (size["width"], size["height"]) == (512, 768)
    assert steps["model"].inputs["file"] == "dreamlike_v2.safetensors"
    assert (steps["lora_1"].inputs["file"], steps["lora_1"].inputs["strength"]) == ("ink.safetensors", 0.7)
    assert steps["paint"].inputs["model"].step == "lora_1"


def test_what_was_not_understood_is_in_a_note_and_nothing_else() -> None:
    (note,) = workflow_of(parse(TEXT))["notes"]
    for word in ("Clip skip: 2", "Hires upscaler", "Lora hashes", "Weights", "6ce0161689"):
        assert word in note["text"]
    for word in ("Steps", "Seed", "4012", "512x768", "v1.9.4", "Karras"):
        assert word not in note["text"]


def test_a_sampler_that_is_none_of_ours_is_said() -> None:
    made = workflow_of(parse("x\nSteps: 20, Sampler: DPM++ SDE, Schedule type: Align Your Steps, Seed: 1"))
    assert "solver" not in made["steps"]["paint"]["inputs"] and "schedule" not in made["steps"]["paint"]["inputs"]
    assert "DPM++ SDE" in made["notes"][0]["text"] and "Align Your Steps" in made["notes"][0]["text"]


def test_what_we_write_ourselves_comes_back() -> None:
    steps = workflow_of(parse(TEXT))["steps"]
    steps["model"]["inputs"]["file"] = "starter/flux1"
    steps["paint"]["inputs"] |= {"solver": "adams", "schedule": "auto", "denoise": 0.5, "guidance": 3.5}
    said = provenance.parameters({"steps": steps}, "save")
    again = workflow_of(parse(said))
    for step in ("size", "model", "negative"):
        assert values(again["steps"][step]) == values(steps[step])
    assert {"schedule": "auto"} | values(again["steps"]["paint"]) == values(steps["paint"])


@pytest.mark.parametrize("text", ["", "a cat", "a cat\nSteps: 3", "Seed: one\nSteps: 20", "\n\n\n"])
def test_a_text_without_a_line_of_settings_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "some.png"
    path.write_bytes(png(parameters=text))
    assert read_workflow(path) is None


def test_a_workflow_in_the_picture_goes_before_words(tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    path.write_bytes(png(parameters=TEXT, latentloom='{"steps": {}}'))
    assert read_workflow(path) == {"steps": {}}
    path.write_bytes(png(parameters=TEXT))
    found = read_workflow(path)
    assert found is not None and found["steps"]["paint"]["inputs"]["seed"] == 4012


@given(st.text(max_size=300))
def test_no_text_at_all_makes_it_stumble(text: str) -> None:
    for one in (text, f"{text}\nSteps: 1, Sampler: {text}, Seed: {text}, Size: {text}, Model: {text}"):
        made = workflow_of(parse(one))
        open_document(made, {})
