"""From nothing but the program to a picture that shows what its prompt says, and everything a person does next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from graph_runtime.document import open_document
from graph_runtime.events import Event, Reused, Started
from graph_runtime.graph import Graph
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.starter.judge import judge

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "nodes" / "workflows"
STARTER = ROOT / "nodes" / "models" / "starter" / "flux1"

pytestmark = pytest.mark.skipif(not (STARTER / "model_index.json").is_file(), reason="the starter model is not here")

LEFT, RIGHT = [3], [5]
RED_AND_BLUE = {
    "things": [
        {"shape": "circle", "colour": "red", "size": "large", "cells": LEFT},
        {"shape": "square", "colour": "blue", "size": "small", "cells": RIGHT},
    ],
    "relation": None,
    "line": None,
    "background": "yellow",
}


def thing(shape: str, colour: str, cells: list[int] | None = None, size: str | None = None) -> dict[str, Any]:
    return {"shape": shape, "colour": colour, "size": size, "cells": cells}


def claims(*things: dict[str, Any], background: str | None = None) -> dict[str, Any]:
    return {"things": list(things), "relation": None, "line": None, "background": background}


def wrong_in(pixels: torch.Tensor | np.ndarray, promised: dict[str, Any]) -> list[str]:
    """Which promises a picture (H, W, 3) does not keep."""
    if isinstance(pixels, torch.Tensor):
        pixels = (pixels * 255).round().to(torch.uint8).numpy()
    return [name for name, kept in judge(np.asarray(pixels), promised).items() if not kept]


def latentloom(home: Path, *arguments: str) -> dict[str, Any]:
    """Run the command; what it says with --json."""
    env = os.environ | {"LATENTLOOM_DATA_DIR": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "graph_runtime", *arguments, "--json", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=home, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def states(report: dict[str, Any], state: str) -> set[str]:
    return {step["step"] for step in report["steps"] if step["state"] == state}


def picture_of(report: dict[str, Any]) -> Path:
    return Path(next(file["path"] for file in report["files"] if file["step"] == "save"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first(home: Path) -> dict[str, Any]:
    return latentloom(home, "run")


def test_the_first_command_paints_what_its_prompt_says(first: dict[str, Any]) -> None:
    assert first["status"] == "succeeded"
    assert wrong_in(np.asarray(Image.open(picture_of(first))), RED_AND_BLUE) == []


def test_the_same_command_again_computes_nothing_and_names_the_same_file(home: Path, first: dict[str, Any]) -> None:
    again = latentloom(home, "run")
    assert states(again, "computed") == set()
    assert picture_of(again) == picture_of(first)


def test_another_seed_does_not_read_the_prompts_again(home: Path, first: dict[str, Any]) -> None:
    other = latentloom(home, "run", "--seed", "2")
    assert {"prompt", "negative"} <= states(other, "reused")
    assert {"paint", "decode", "save"} <= states(other, "computed")
    assert picture_of(other) != picture_of(first)


def test_a_picture_is_its_own_workflow(tmp_path: Path, first: dict[str, Any]) -> None:
    picture = picture_of(first)
    again = picture_of(latentloom(tmp_path, "run", str(picture)))
    assert again != picture
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(picture)))


class Bench:
    """A worker in this process, and the workflows that come with the program."""

    def __init__(self, home: Path) -> None:
        self.worker = Worker(Settings(data_dir=home, custom_nodes_dirs=(), device="cpu", threads=1))

    def run(self, name: str, *targets: str, **changes: Any) -> tuple[dict[str, Any], list[Event]]:
        """A workflow's outputs by step; `step__knob=value` changes a knob, `step=(kind, inputs)` adds a step."""
        raw = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
        for place, value in changes.items():
            step, _, knob = place.partition("__")
            if knob:
                raw["steps"][step]["inputs"][knob] = value
            else:
                raw["steps"][step] = {"kind": f"core/{value[0]}", "inputs": value[1]}
        document, problems = open_document(raw, self.worker.defs)
        assert problems == []
        graph = Graph(document.graph().steps, targets)
        events: list[Event] = []
        result = self.worker.execute("run", graph, raw, events.append, threading.Event())
        assert result.status == "succeeded", "\n".join(map(str, result.problems))
        return {step: next(iter(outputs.values())) for step, outputs in result.outputs.items()}, events


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    torch.set_num_threads(1)
    made = Bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.worker.close()


def join(step: str, output: str) -> dict[str, list[str]]:
    return {"join": [step, output]}


def test_a_batch_is_pictures_of_the_same_prompt_each_its_own(bench: Bench) -> None:
    made, _ = bench.run("starter", "decode", size__count=4)
    pictures = made["decode"].pixels
    assert pictures.shape[0] == 4
    assert sum(wrong_in(picture, RED_AND_BLUE) == [] for picture in pictures) >= 3
    assert not torch.allclose(pictures[0], pictures[1], atol=0.05)


def test_a_negative_takes_away_what_it_names(bench: Bench) -> None:
    made, _ = bench.run("starter", "decode", prompt__prompt="a large circle in the center", negative__prompt="red")
    plain, _ = bench.run("starter", "decode", prompt__prompt="a large circle in the center")
    assert not torch.allclose(made["decode"].pixels, plain["decode"].pixels, atol=0.05)


def test_an_oblong_picture_has_the_size_asked_for(bench: Bench) -> None:
    made, _ = bench.run("starter", "decode", size__width=160, size__height=112)
    assert made["decode"].size == (160, 112)


def test_painting_over_a_picture_changes_what_the_new_words_change(bench: Bench) -> None:
    made, _ = bench.run("img2img", "decode", "redecode")
    promised = claims(thing("circle", "green", LEFT), thing("square", "blue", RIGHT), background="yellow")
    assert wrong_in(made["redecode"].pixels[0], promised) == []
    before = made["decode"].pixels
    kept, _ = bench.run("img2img", "redecode", repaint__denoise=0.1)
    assert (kept["redecode"].pixels - before).abs().mean() < (made["redecode"].pixels - before).abs().mean()


def test_painting_a_part_changes_nothing_outside_its_mask(bench: Bench) -> None:
    made, _ = bench.run("inpaint", "decode", "mask", "together")
    before, after, mask = made["decode"].pixels, made["together"].pixels, made["mask"].values
    assert torch.equal(after[mask == 0], before[mask == 0])
    promised = claims(thing("circle", "red", LEFT), thing("square", "blue", RIGHT), background="white")
    assert wrong_in(after[0], promised) == []


def test_each_line_of_a_list_is_painted(bench: Bench) -> None:
    made, events = bench.run("two_prompts", "together", "save")
    both = made["together"].pixels
    assert both.shape[0] == 2
    assert wrong_in(both[0], RED_AND_BLUE) == []
    assert wrong_in(both[1], claims(*[thing("ring", "green")] * 3, background="white")) == []
    assert {event.step for event in events if isinstance(event, Started)} >= {"prompts", "prompt", "paint", "save"}


def test_a_loop_paints_over_its_own_picture(bench: Bench) -> None:
    made, _ = bench.run("again", "decode")
    assert wrong_in(made["decode"].pixels[0], RED_AND_BLUE) == []
    _, events = bench.run("again", "decode", again__times=4)
    painted = [event.step for event in events if isinstance(event, Started) and "paint" in event.step]
    assert len(painted) == 1, "the first three rounds are kept"


def test_a_latent_that_was_saved_decodes_to_the_same_picture(bench: Bench) -> None:
    made, _ = bench.run("starter", "decode", "keep", keep=("save_latent", {"latent": join("paint", "latent")}))
    name = Path(made["keep"].paths[0]).name
    changes = {"kept": ("load_latent", {"file": name}), "decode__latent": join("kept", "latent")}
    loaded, events = bench.run("starter", "decode", **changes)
    assert torch.equal(loaded["decode"].pixels, made["decode"].pixels)
    assert "paint" not in {step for event in events if isinstance(event, Reused) for step in event.steps}
