"""Nodes that change how fast a model computes: what they do to a picture, what they tell, and what they refuse."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
import torch
from test_sampler import graph
from workbench import DEV, SCHNELL, Bench

import nodes.speed
from nodes.models.layers.compiled import THREAD
from nodes.recipes import LAYOUTS

LOSSY = ("cache_first_block", "cache_taylor", "cache_magnitude")


def painted(bench: Bench, *changes: tuple[str, dict[str, Any]], file: str = SCHNELL, **sample: Any) -> Any:
    """A run that paints with a model that these nodes, with these knobs, have changed."""
    steps = graph(file, **{"steps": 8, **sample})
    model = "@load.model"
    for number, (kind, knobs) in enumerate(changes):
        steps[f"speed{number}"] = (kind, {"model": model, **knobs})
        model = f"@speed{number}.model"
    steps["paint"][1]["model"] = model
    return bench.run(steps, "paint")


def test_without_them_nothing_is_skipped_and_what_skips_says_that_it_is_lossy(bench: Bench) -> None:
    ran = painted(bench)
    assert "skipped" not in ran.logs
    for name in LOSSY:
        described = bench.worker.defs[f"core/{name}"]
        assert "lossy" in described.title and "Changes the picture" in described.help


@pytest.mark.parametrize(
    ("kind", "nothing", "much"),
    [
        ("cache_first_block", {"threshold": 0.0}, {"threshold": 9.0}),
        ("cache_taylor", {"interval": 1}, {"interval": 4, "begin": 2}),
        ("cache_magnitude", {"threshold": 0.0}, {"threshold": 9.0}),
    ],
)
def test_a_cache_tells_what_it_skips(kind: str, nothing: dict[str, Any], much: dict[str, Any], bench: Bench) -> None:
    expected = painted(bench).one("paint").samples
    ran = painted(bench, (kind, nothing))
    assert torch.equal(ran.one("paint").samples, expected) and ": 0 of 8 evaluations" in ran.logs
    ran = painted(bench, (kind, much))
    assert not torch.equal(ran.one("paint").samples, expected) and " of 8 evaluations" in ran.logs
    assert ": 0 of 8" not in ran.logs
    assert torch.equal(painted(bench).one("paint").samples, expected)


def test_two_forwards_for_a_negative_of_another_length_count_both(bench: Bench) -> None:
    steps = graph(DEV, steps=6, negative="@none.conditioning", true_cfg=3.0)
    steps["none"][1]["max_length"] = 5
    steps["fast"] = ("cache_first_block", {"model": "@load.model", "threshold": 9.0})
    steps["paint"][1]["model"] = "@fast.model"
    assert ": 10 of 12 evaluations" in bench.good(steps, "paint").logs


def test_ratios_are_measured_where_nobody_has_and_can_be_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = painted(bench, ("cache_magnitude", {"measure": True}))
    assert torch.equal(measured.one("paint").samples, painted(bench).one("paint").samples)
    numbers = [float(one) for one in measured.logs.partition("ratios: ")[2].rstrip(".").split(",")]
    assert len(numbers) == 8 and numbers[0] == 1.0
    given = painted(bench, ("cache_magnitude", {"ratios": numbers, "threshold": 9.0}))
    assert given.status == "succeeded" and ": 0 of" not in given.logs
    monkeypatch.delattr("nodes.models.flux1.defaults.MAGNITUDES")
    refused = painted(bench, ("cache_magnitude", {"threshold": 8.0}))
    assert [problem.code for problem in refused.problems] == ["no-ratios"]
    assert "measure" in refused.problems[0].fix


def test_an_attention_kernel_changes_nothing_but_rounding(bench: Bench) -> None:
    expected = painted(bench).one("paint").samples
    for backend in ("auto", "flash", "math"):
        ran = painted(bench, ("attention_backend", {"backend": backend}))
        torch.testing.assert_close(ran.one("paint").samples, expected, rtol=0, atol=1e-4)


def test_an_attention_kernel_that_is_missing_is_refused(bench: Bench) -> None:
    ran = painted(bench, ("attention_backend", {"backend": "cudnn"}))
    assert [problem.code for problem in ran.problems] == ["no-attention-backend"]
    assert "cpu" in ran.problems[0].what


def compiled() -> None:
    """Wait until no block is being compiled."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()


@pytest.mark.slow
def test_the_first_picture_is_as_ever_and_later_ones_are_painted_by_what_was_compiled(bench: Bench) -> None:
    for number, changes in enumerate(({"seed": 1}, {"seed": 2}, {"seed": 2, "steps": 3}, {"seed": 3})):
        expected = painted(bench, **changes).one("paint").samples
        ran = painted(bench, ("compile_model", {}), **changes)
        torch.testing.assert_close(ran.one("paint").samples, expected, rtol=0, atol=1e-4 if number else 0)
        said = ran.logs.partition("calls of blocks were compiled")[0].split()
        assert said[-3] == said[-1] if number else "compiled after this run" in ran.logs
        compiled()


def test_a_model_is_compiled_only_when_it_is_on(bench: Bench) -> None:
    expected = painted(bench, steps=2).one("paint").samples
    off = painted(bench, ("compile_model", {"on": False}), steps=2)
    assert torch.equal(off.one("paint").samples, expected) and "compiled" not in off.logs
    steps = graph()
    steps["fast"] = ("compile_model", {"model": "@load.model"})
    model = bench.good(steps, "fast").one("fast")
    assert model.compiled and "compiled" in model.summary()
    assert model.key() == bench.good(steps, "load").one("load", "model").key(), "the weights are the same"


def test_the_layout_of_a_vae_changes_nothing_but_rounding(bench: Bench) -> None:
    pictures = {}
    for layout in LAYOUTS:
        steps = graph()
        steps["vae"] = ("vae_layout", {"vae": "@load.vae", "layout": layout})
        steps["picture"] = ("decode", {"latent": "@paint.latent", "vae": "@vae.vae"})
        steps["again"] = ("encode", {"image": "@picture.image", "vae": "@vae.vae"})
        ran = bench.good(steps, "picture", "again")
        pictures[layout] = ran.one("picture").pixels, ran.one("again").samples
    for layout, (pixels, latent) in pictures.items():
        torch.testing.assert_close(pixels, pictures["contiguous"][0], rtol=0, atol=1e-5, msg=layout)
        torch.testing.assert_close(latent, pictures["contiguous"][1], rtol=1e-5, atol=1e-5, msg=layout)


def test_the_recipe_says_what_was_chosen_and_can_be_sent(bench: Bench) -> None:
    steps = graph()
    steps["fast"] = ("cache_taylor", {"model": "@load.model", "interval": 2})
    model = bench.good(steps, "fast").one("fast")
    assert "TaylorSeer" in model.summary()
    assert pickle.loads(pickle.dumps(model)) == model
    assert model.key() == bench.good(steps, "load").one("load", "model").key(), "the weights are the same"


def test_every_node_of_the_file_is_in_the_palette(bench: Bench) -> None:
    described = {one.__node__.kind for one in vars(nodes.speed).values() if hasattr(one, "__node__")}
    assert described <= bench.worker.defs.keys() and len(described) >= 5
