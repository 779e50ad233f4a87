"""The sampler node on a tiny model: seeds, guidance, masks, what is said, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from workbench import DEV, SCHNELL, Bench

from graph_runtime.events import Event, Preview, Progress
from nodes.models.sampling.solvers import SOLVERS


def graph(file: str = SCHNELL, size: dict[str, Any] | None = None, **sample: Any) -> dict[str, Any]:
    return {
        "load": ("load_checkpoint", {"file": file}),
        "text": ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "a red circle", "max_length": 8}),
        "none": ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "", "max_length": 8}),
        "empty": ("empty_latent", {"model": "@load.model", "width": 48, "height": 32, **(size or {})}),
        "paint": (
            "sample",
            {"model": "@load.model", "positive": "@text.conditioning", "latent": "@empty.latent", "steps": 2, **sample},
        ),
    }


def painted(bench: Bench, file: str = SCHNELL, size: dict[str, Any] | None = None, **sample: Any) -> torch.Tensor:
    return bench.good(graph(file, size, **sample), "paint").one("paint").samples


def test_the_same_seed_gives_the_same_latent_and_another_another(bench: Bench) -> None:
    first, again, other = painted(bench, seed=1), painted(bench, seed=1, steps=2), painted(bench, seed=2)
    assert first.shape == (1, 16, 4, 6)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_picture_i_of_a_batch_is_the_picture_of_seed_plus_i(bench: Bench) -> None:
    batch = painted(bench, size={"count": 3}, seed=5)
    for number in range(3):
        assert torch.allclose(batch[number], painted(bench, seed=5 + number)[0], atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_can_be_chosen_and_its_result_is_finite(solver: str, bench: Bench) -> None:
    result = painted(bench, solver=solver, steps=3)
    assert result.isfinite().all()


def test_the_choices_are_the_solvers_and_spacings_there_are(bench: Bench) -> None:
    knobs = {knob.name: knob for knob in bench.worker.defs["core/sample"].knobs}
    assert knobs["solver"].choices == ("auto", *SOLVERS)
    assert "karras" in knobs["schedule"].choices
    assert knobs["seed"].seed


def test_what_is_left_to_the_model_is_its_family_s_default(bench: Bench) -> None:
    assert torch.equal(
        painted(bench, steps=0), painted(bench, steps=4, solver="euler", schedule="simple", guidance=0.0)
    )
    assert torch.equal(painted(bench, DEV, steps=3), painted(bench, DEV, steps=3, guidance=3.5))
    assert not torch.allclose(painted(bench, DEV, steps=3), painted(bench, DEV, steps=3, guidance=1.0))


def test_true_cfg_goes_away_from_the_negative(bench: Bench) -> None:
    plain = painted(bench)
    assert torch.equal(painted(bench, negative="@none.conditioning", true_cfg=1.0), plain)
    guided = painted(bench, negative="@none.conditioning", true_cfg=3.0)
    assert not torch.allclose(guided, plain)
    assert torch.allclose(painted(bench, negative="@text.conditioning", true_cfg=3.0), plain, atol=1e-4)


def test_a_mask_keeps_what_is_outside_with_every_solver(bench: Bench) -> None:
    steps = graph()
    steps["known"] = ("noise", {"latent": "@empty.latent", "seed": 9})
    steps["mask"] = ("shape_mask", {"width": 48, "height": 32, "left": 0.5, "top": 0, "right": 1, "bottom": 1})
    steps["masked"] = ("set_latent_mask", {"latent": "@known.latent", "mask": "@mask.mask"})
    known = bench.good(steps, "known").one("known").samples
    for solver in SOLVERS:
        steps["paint"][1].update(latent="@masked.latent", solver=solver, steps=3)
        result = bench.good(steps, "paint").one("paint")
        assert torch.allclose(result.samples[..., :3], known[..., :3], atol=1e-4), solver
        assert not torch.allclose(result.samples[..., 3:], known[..., 3:], atol=0.1), solver


def test_less_denoise_keeps_more(bench: Bench) -> None:
    steps = graph()
    steps["known"] = ("noise", {"latent": "@empty.latent", "seed": 9})
    known = bench.good(steps, "known").one("known").samples
    distances = []
    for denoise in (0.25, 0.5, 1.0):
        steps["paint"][1].update(latent="@known.latent", steps=4, denoise=denoise)
        distances.append(float((bench.good(steps, "paint").one("paint").samples - known).norm()))
    assert distances == sorted(distances)
    assert torch.equal(painted(bench, steps=4), bench.good(steps, "paint").one("paint").samples)


def test_two_samplers_one_after_the_other_are_one(bench: Bench) -> None:
    steps = graph(steps=4)
    steps["levels"] = ("sigmas", {"model": "@load.model", "latent": "@empty.latent", "steps": 4})
    steps["parts"] = ("split_sigmas", {"sigmas": "@levels.sigmas", "step": 2})
    steps["first"] = ("sample", {**steps["paint"][1], "sigmas": "@parts.before"})
    steps["second"] = (
        "sample",
        {**steps["paint"][1], "sigmas": "@parts.after", "latent": "@first.latent", "add_noise": False},
    )
    ran = bench.good(steps, "paint", "second")
    assert torch.allclose(ran.one("second").samples, ran.one("paint").samples, atol=1e-5)


def test_given_noise_is_where_it_starts(bench: Bench) -> None:
    steps = graph(seed=3)
    steps["noise"] = ("noise", {"latent": "@empty.latent", "seed": 3})
    expected = bench.good(steps, "paint").one("paint").samples
    steps["paint"][1].update(noise="@noise.latent", seed=77)
    assert torch.equal(bench.good(steps, "paint").one("paint").samples, expected)


def test_several_texts_make_several_pictures(bench: Bench) -> None:
    steps = graph()
    steps["both"] = ("batch_conditionings", {"conditionings": ["@text.conditioning", "@none.conditioning"]})
    steps["paint"][1]["positive"] = "@both.conditioning"
    both = bench.good(steps, "paint").one("paint").samples
    assert torch.allclose(both[0], painted(bench)[0], atol=1e-5)
    steps["paint"][1]["latent"] = "@three.latent"
    steps["three"] = ("repeat_latent", {"latent": "@empty.latent", "times": 3})
    assert "cannot be shared out to 3" in str(bench.run(steps, "paint").problems[0])


def test_it_tells_how_far_it_is_and_shows_where_it_goes(bench: Bench) -> None:
    ran = bench.good(graph(steps=3), "paint")
    told = [(e.done, e.total) for e in ran.events if isinstance(e, Progress) and e.step == "paint"]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    shown = [e.image for e in ran.events if isinstance(e, Preview)]
    assert all(image.startswith(b"\xff\xd8\xff") for image in shown)


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_a_cancelled_run_stops_inside_the_sampler(solver: str, bench: Bench) -> None:
    cancelled = threading.Event()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.step == "paint" and event.done == 2:
            cancelled.set()

    ran = bench.run(graph(steps=50, solver=solver), "paint", cancelled=cancelled, on_event=stop)
    assert ran.status == "cancelled"
    assert max(e.done for e in ran.events if isinstance(e, Progress)) <= 3
    assert painted(bench, steps=2).isfinite().all()


@pytest.mark.parametrize(
    ("file", "sample", "says"),
    [
        (SCHNELL, {"negative": "@none.conditioning"}, "The negative has no effect"),
        (SCHNELL, {"true_cfg": 4.0}, "no effect without a negative"),
        (SCHNELL, {"guidance": 3.5}, "not distilled with guidance"),
        (SCHNELL, {"positive": "@long.conditioning"}, "has 300 tokens, tiny-schnell was made for 256"),
        (DEV, {"sigmas": "@levels.sigmas", "denoise": 0.5}, "Denoise has no effect"),
    ],
)
def test_what_is_asked_in_vain_is_said(file: str, sample: dict[str, Any], says: str, bench: Bench) -> None:
    steps = graph(file, **sample)
    steps["long"] = ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "a", "max_length": 300})
    steps["levels"] = ("sigmas_from_numbers", {"numbers": [1, 0.5, 0]})
    assert says in bench.good(steps, "paint").logs


def test_nothing_is_said_where_nothing_is_wrong(bench: Bench) -> None:
    steps = graph(negative="@none.conditioning", true_cfg=2.0)
    steps["text"][1]["prompt"] = "red"
    assert bench.good(steps, "paint").logs == ""


def test_a_size_between_multiples_is_cut_down_and_said(bench: Bench) -> None:
    ran = bench.good(graph(size={"width": 100, "height": 72}), "paint")
    assert ran.one("paint").samples.shape == (1, 16, 8, 12)
    assert "100×72 is not a multiple of 16: the picture will be 96×64" in ran.logs
    small = bench.run(graph(size={"width": 8, "height": 64}), "paint")
    assert "8×64 is less than one patch" in str(small.problems[0])


def test_text_that_was_cut_off_is_said(bench: Bench) -> None:
    steps = graph()
    steps["text"][1]["prompt"] = "a very long prompt about a red circle"
    assert "does not see" in bench.good(steps, "paint").logs
