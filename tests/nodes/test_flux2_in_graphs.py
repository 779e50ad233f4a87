"""Flux.2 through the nodes: reference pictures, layers, rewritten prompts, and what every family does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_flux2 import write_dev, write_klein_base
from tiny_model import write_checkpoint
from workbench import Bench, Ran

from graph_runtime.events import Preview, Progress
from graph_runtime.plans import resident
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.flux2.transformer import velocity
from nodes.models.sampling.guidance import cfg
from nodes.models.sampling.loop import sample, visited
from nodes.models.sampling.noise import noise
from nodes.models.sampling.schedule import Schedule
from nodes.models.sampling.solvers import SOLVERS
from nodes.recipes import Model, TextEncoder
from nodes.tensor_file import read_tensors


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    torch.set_num_threads(1)
    shelf, home = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("home")
    write_dev(shelf / "dev")
    write_klein_base(shelf / "klein")
    write_checkpoint(shelf / "flux1")
    settings = Settings(data_dir=home, model_dirs=(shelf,), custom_nodes_dirs=(), device="cpu", threads=1)
    return Bench(Worker(settings), home)


def graph(file: str = "dev", **sample: Any) -> dict[str, Any]:
    """Paint a picture, then show it to the model and paint another; `words` encodes for both."""
    words = {"text_encoder": "@load.text_encoder", "max_length": 200}
    return {
        "load": ("load_checkpoint", {"file": file}),
        "words": ("encode_text", {**words, "prompt": "a red circle"}),
        "none": ("encode_text", words),
        "empty": ("empty_latent", {"model": "@load.model", "width": 96, "height": 64}),
        "first": ("sample", {"model": "@load.model", "positive": "@words.conditioning", "latent": "@empty.latent",
                             "steps": 2, "seed": 3}),
        "show": ("decode", {"latent": "@first.latent", "vae": "@load.vae"}),
        "shown": ("reference_image", {"conditioning": "@words.conditioning", "image": "@show.image",
                                      "vae": "@load.vae"}),
        "paint": ("sample", {"model": "@load.model", "positive": "@shown.conditioning", "latent": "@empty.latent",
                             "steps": 2, "seed": 4, **sample}),
        "end": ("decode", {"latent": "@paint.latent", "vae": "@load.vae"}),
    }  # fmt: skip


def problem(ran: Ran) -> str:
    assert ran.status == "failed"
    return "\n".join(map(str, ran.problems))


def with_step(steps: Mapping[str, Any], name: str, kind: str, **inputs: Any) -> dict[str, Any]:
    return {**steps, name: (kind, inputs)}


def test_a_picture_is_painted_and_another_from_it(bench: Bench) -> None:
    ran = bench.good(graph(), "end", "paint", "shown", "first")
    assert ran.one("paint").samples.shape == (1, 128, 4, 6) and ran.one("end").size == (96, 64)
    shown = ran.one("shown")
    assert shown.tensors["reference.0"].shape == (1, 128, 4, 6) and "reference.0" in shown.summary()
    plain = graph()
    plain["paint"][1]["positive"] = "@words.conditioning"
    assert not torch.allclose(bench.good(plain, "paint").one("paint").samples, ran.one("paint").samples, atol=1e-4)
    assert "no effect" not in ran.logs
    assert [e for e in ran.events if isinstance(e, Preview)] and [e for e in ran.events if isinstance(e, Progress)]


def test_the_node_paints_what_the_pieces_paint(bench: Bench) -> None:
    """Steps, guidance, schedule and solver left to the model are dev's: 50 steps, 4.0, the empirical shift."""
    ran = bench.good(graph(steps=0), "paint", "shown", "load")
    model: Model = ran.outputs["load"]["model"]
    assert (model.defaults.steps, model.defaults.guidance, model.defaults.schedule.empirical) == (50, 4.0, True)
    walk = Schedule(dynamic=True, empirical=True).sigmas(50, 24)
    x, solver = noise((1, 128, 4, 6), [4]), SOLVERS["euler"]
    net = model.load("cpu", resident(model.nbytes())).value
    *_, last = sample(velocity(net, ran.one("shown").tensors, x.shape, visited(solver, walk), 4.0), x, walk, solver)
    assert torch.allclose(ran.one("paint").samples, last.x, atol=1e-5)


def test_levels_of_one_s_own_are_shifted_as_for_the_model_s_steps(bench: Bench) -> None:
    given = [1.0, 0.5, 0.25]
    wanted = Schedule(dynamic=True, empirical=True).sigmas(given, 24, 50)
    steps = with_step(
        graph(), "levels", "sigmas", model="@load.model", latent="@empty.latent", levels_given=given, denoise=1.0
    )
    assert list(bench.good(steps, "levels").one("levels")) == pytest.approx(wanted)


def test_klein_base_is_guided_by_a_negative_of_its_own(bench: Bench) -> None:
    """By what its folder says it is not distilled: a true CFG of 4, with the references seen on both sides."""
    steps = with_step(
        graph("klein"), "away", "reference_image", conditioning="@none.conditioning", image="@show.image",
        vae="@load.vae",
    )  # fmt: skip
    steps["paint"][1]["negative"] = "@away.conditioning"
    ran = bench.good(steps, "paint", "shown", "away", "load")
    model: Model = ran.outputs["load"]["model"]
    assert (model.variant, model.defaults.steps, model.defaults.true_cfg) == ("klein", 50, 4.0)
    walk, x, solver = Schedule(dynamic=True, empirical=True).sigmas(2, 24), noise((1, 128, 4, 6), [4]), SOLVERS["euler"]
    net = model.load("cpu", resident(model.nbytes())).value
    sides = [velocity(net, ran.one(s).tensors, x.shape, visited(solver, walk), 0.0) for s in ("shown", "away")]
    *_, last = sample(cfg(sides[0], sides[1], 4.0), x, walk, solver)
    assert torch.allclose(ran.one("paint").samples, last.x, atol=1e-5) and "reference pictures" not in ran.logs
    steps["paint"][1]["negative"] = "@none.conditioning"
    assert "sees 1 reference pictures, the negative 0: show both the same" in bench.good(steps, "paint").logs


def test_references_may_be_looked_at_once(bench: Bench) -> None:
    steps = with_step(graph("klein"), "model", "references_once", model="@load.model")
    usual, steps["paint"][1]["model"] = bench.good(steps, "paint").one("paint").samples, "@model.model"
    once = bench.good(steps, "paint").one("paint").samples
    assert once.shape == usual.shape and not torch.equal(once, usual)
    steps["model"][1]["once"] = False
    assert torch.equal(bench.good(steps, "paint").one("paint").samples, usual)
    steps = {"load": ("load_checkpoint", {"file": "flux1"}), "model": ("references_once", {"model": "@load.model"})}
    assert "has no effect" in bench.good(steps, "model").logs


def test_several_references_by_a_batch_by_a_chain_or_as_latents(bench: Bench) -> None:
    steps = graph()
    steps["other"] = ("turn_image", {"image": "@show.image", "turn": "upside down"})
    steps["both"] = ("batch_images", {"images": ["@show.image", "@other.image"]})
    encoded = {"conditioning": "@words.conditioning", "vae": "@load.vae"}
    steps["batch"] = ("reference_image", {**encoded, "image": "@both.image"})
    steps["chain"] = ("reference_image", {**encoded, "conditioning": "@shown.conditioning", "image": "@other.image"})
    steps["one"], steps["two"] = (
        ("encode", {"image": f"@{name}.image", "vae": "@load.vae"}) for name in ("show", "other")
    )
    steps["pair"] = ("batch_latents", {"latents": ["@one.latent", "@two.latent"]})
    steps["latent"] = ("reference_image", {"conditioning": "@words.conditioning", "latent": "@pair.latent"})
    ran = bench.good(steps, "batch", "chain", "latent")
    first = ran.one("batch").tensors
    assert sorted(first) == ["reference.0", "reference.1", "text"]
    for name in ("chain", "latent"):
        found = ran.one(name).tensors
        assert found.keys() == first.keys() and all(torch.allclose(found[key], first[key], atol=1e-5) for key in first)


def test_a_batch_of_texts_sees_the_same_references_and_a_saved_text_keeps_them(bench: Bench) -> None:
    steps = graph()
    steps["texts"] = ("batch_conditionings", {"conditionings": ["@words.conditioning", "@none.conditioning"]})
    steps["shown"][1]["conditioning"] = "@texts.conditioning"
    steps["keep"] = ("save_conditioning", {"conditioning": "@shown.conditioning", "name": "shown"})
    ran = bench.good(steps, "paint", "keep", "shown")
    assert len(ran.one("paint").samples) == 2 and ran.one("shown").tensors["reference.0"].shape[0] == 2
    path = Path(ran.one("keep").paths[0])
    kept, facts = read_tensors(path, path.name)
    assert facts["family"] == "flux2" and kept.keys() == ran.one("shown").tensors.keys()
    assert torch.equal(kept["reference.0"], ran.one("shown").tensors["reference.0"])


def test_large_pictures_are_scaled_down_and_odd_ones_cut(bench: Bench) -> None:
    steps = graph()
    steps["large"] = ("scale_image", {"image": "@show.image", "width": 150, "height": 100})
    steps["shown"][1].update(image="@large.image", megapixels=100 * 70 / 1024**2)
    ran = bench.good(steps, "shown")
    # 15,000 pixels to at most 7,000: 102 × 68, of which the middle 96 × 64 is used.
    assert ran.one("shown").tensors["reference.0"].shape == (1, 128, 4, 6)
    assert "102×68 is not a multiple of 16: the middle 96×64 is used" in ran.logs


REFUSED = {
    "neither": ({"image": None, "vae": None}, "neither an image nor a latent"),
    "no vae": ({"vae": None}, "no VAE to encode it"),
    "too small": ({"image": "@tiny.image"}, "48×64 is too small or too narrow"),
    "too narrow": ({"image": "@narrow.image"}, "64×640 is too small or too narrow"),
    "text of flux1": ({"conditioning": "@other_words.conditioning"}, "flux1, whose models see no reference pictures"),
    "vae of flux1": ({"vae": "@other.vae"}, "the VAE is flux1's"),
    "latent of flux1": ({"latent": "@other_latent.latent"}, "16×4×6 flux1, the text was encoded for flux2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_a_reference_is_refused_in_words(kind: str, bench: Bench) -> None:
    changes, said = REFUSED[kind]
    steps = graph()
    steps["other"] = ("load_checkpoint", {"file": "flux1"})
    steps["other_words"] = ("encode_text", {"text_encoder": "@other.text_encoder", "prompt": "a", "max_length": 8})
    steps["other_latent"] = ("empty_latent", {"model": "@other.model", "width": 48, "height": 32})
    steps["tiny"] = ("scale_image", {"image": "@show.image", "width": 48, "height": 64})
    steps["narrow"] = ("scale_image", {"image": "@show.image", "width": 64, "height": 640})
    inputs = {**steps["shown"][1], **changes}
    steps["shown"] = ("reference_image", {name: value for name, value in inputs.items() if value is not None})
    assert said in problem(bench.run(steps, "shown"))


def test_layers_are_chosen_and_no_more_are_loaded(bench: Bench) -> None:
    reader: TextEncoder = bench.good(graph(), "load").outputs["load"]["text_encoder"]
    assert len(reader.load("cpu", resident(reader.nbytes())).value.language.layers) == 30
    few, whole = reader.reaching(17), reader.reaching(-1)
    assert few.size < reader.size < whole.size and few.key() != reader.key()
    assert len(few.load("cpu", resident(few.nbytes())).value.language.layers) == 17
    for recipe in (few, reader, whole):
        assert recipe.size == sum(
            p.numel() * 4 for p in recipe.load("cpu", resident(recipe.nbytes())).value.parameters()
        )
    words = {"text_encoder": "@load.text_encoder", "prompt": "a red circle", "max_length": 200}
    steps = with_step(graph(), "usual", "encode_text_mistral", **words)
    steps["same"] = ("encode_text_mistral", {**words, "layers": [10, 20, 30]})
    steps["low"] = ("encode_text_mistral", {**words, "layers": [4, 9, 17], "guidance": 2.5})
    ran = bench.good(steps, "usual", "same", "low", "words")
    usual, same, low, words = (ran.one(name).tensors for name in ("usual", "same", "low", "words"))
    assert torch.equal(usual["text"], same["text"]) and torch.equal(usual["text"], words["text"])
    assert low["text"].shape == usual["text"].shape and not torch.allclose(low["text"], usual["text"])
    assert low["guidance"].tolist() == [2.5]


def test_layers_that_are_not_there_and_encoders_without_layers_are_refused(bench: Bench) -> None:
    words = {"text_encoder": "@load.text_encoder", "prompt": "a"}
    steps = with_step(graph(), "bad", "encode_text_mistral", **words, layers=[10, 20, 40])
    assert "has 0 to 31" in problem(bench.run(steps, "bad"))
    steps = with_step(graph("flux1"), "bad", "encode_text_mistral", **words)
    assert "reads for flux1 with no language model" in problem(bench.run(steps, "bad"))


def test_a_prompt_is_rewritten_with_and_without_pictures(bench: Bench) -> None:
    asked = {"text_encoder": "@load.text_encoder", "prompt": "make it green", "temperature": 1.0, "max_tokens": 6}
    steps = with_step(graph(), "plain", "rewrite_prompt", **asked, seed=1)
    steps["again"] = ("rewrite_prompt", {**asked, "seed": 1, "max_tokens": 5})
    steps["one"] = ("rewrite_prompt", {**asked, "seed": 1, "images": ["@show.image"]})
    steps["wide"] = ("scale_image", {"image": "@show.image", "width": 200, "height": 40})
    steps["two"] = ("rewrite_prompt", {**asked, "seed": 1, "images": ["@show.image", "@wide.image"]})
    steps["then"] = ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "@one.string", "max_length": 200})
    ran = bench.good(steps, "plain", "again", "one", "two", "then")
    plain, again, one = (ran.one(name) for name in ("plain", "again", "one"))
    assert isinstance(ran.one("two"), str)
    assert isinstance(plain, str) and plain.startswith(again[:2]) and one != plain
    assert [(e.done, e.total) for e in ran.events if isinstance(e, Progress) and e.step == "plain"][:2] == [
        (1, 6),
        (2, 6),
    ]


def test_klein_s_text_encoder_rewrites_nothing(bench: Bench) -> None:
    steps = with_step(graph("klein"), "bad", "rewrite_prompt", text_encoder="@load.text_encoder", prompt="a")
    assert "was not taught to rewrite prompts" in problem(bench.run(steps, "bad"))


def test_a_picture_is_changed_in_part_and_by_a_degree(bench: Bench) -> None:
    steps = graph()
    steps["known"] = ("encode", {"image": "@show.image", "vae": "@load.vae"})
    steps["mask"] = ("shape_mask", {"width": 96, "height": 64, "left": 0.5, "top": 0, "right": 1, "bottom": 1})
    steps["masked"] = ("set_latent_mask", {"latent": "@known.latent", "mask": "@mask.mask"})
    steps["paint"][1].update(latent="@masked.latent", steps=3)
    ran = bench.good(steps, "paint", "known")
    known, painted = ran.one("known").samples, ran.one("paint").samples
    assert known.shape == (1, 128, 4, 6)
    assert torch.allclose(painted[..., :3], known[..., :3], atol=1e-4)
    assert not torch.allclose(painted[..., 3:], known[..., 3:], atol=0.1)
    distances = []
    for denoise in (0.25, 0.5, 1.0):
        steps["paint"][1].update(latent="@known.latent", steps=4, denoise=denoise)
        distances.append(float((bench.good(steps, "paint").one("paint").samples - known).norm()))
    assert distances == sorted(distances)


def test_latents_become_pictures_again_whole_and_in_tiles(bench: Bench) -> None:
    steps = graph()
    steps["tiles"] = ("decode_tiled", {"latent": "@first.latent", "vae": "@load.vae", "tile": 64})
    steps["whole"] = ("decode_tiled", {"latent": "@first.latent", "vae": "@load.vae", "tile": 1024})
    steps["back"] = ("encode_tiled", {"image": "@show.image", "vae": "@load.vae", "tile": 1024})
    steps["known"] = ("encode", {"image": "@show.image", "vae": "@load.vae"})
    ran = bench.good(steps, "tiles", "whole", "back", "known", "show")
    assert ran.one("tiles").size == ran.one("show").size == (96, 64)
    assert torch.allclose(ran.one("whole").pixels, ran.one("show").pixels, atol=1e-5)
    assert torch.allclose(ran.one("back").samples, ran.one("known").samples, atol=1e-5)


def test_a_latent_of_comfyui_is_one_of_flux2_by_its_channels(bench: Bench) -> None:
    steps = graph()
    steps["keep"] = ("save_latent", {"latent": "@first.latent", "name": "f2", "format": "comfyui"})
    ran = bench.good(steps, "keep", "first")
    assert Path(ran.one("keep").paths[0]).suffix == ".latent" and ran.one("first").family == "flux2"


def test_a_batch_of_seeds_is_each_of_them_with_references_too(bench: Bench) -> None:
    steps = graph()
    steps["three"] = ("repeat_latent", {"latent": "@empty.latent", "times": 3})
    steps["paint"][1]["latent"] = "@three.latent"
    batch = bench.good(steps, "paint").one("paint").samples
    for i in range(3):
        assert torch.allclose(batch[i], bench.good(graph(seed=4 + i), "paint").one("paint").samples[0], atol=1e-5)


def test_packed_weights_paint_and_read_nearly_the_same(bench: Bench) -> None:
    steps = with_step(graph(), "packed", "load_quantized", file="dev", method="int8")
    usual = bench.good(steps, "paint", "words")
    steps["paint"][1]["model"] = "@packed.model"
    steps["reader"] = ("quantize_text_encoder", {"text_encoder": "@load.text_encoder", "method": "int8"})
    steps["read"] = (
        "encode_text",
        {"text_encoder": "@reader.text_encoder", "prompt": "a red circle", "max_length": 200},
    )
    asked = {"text_encoder": "@reader.text_encoder", "prompt": "a", "temperature": 0.0, "max_tokens": 3}
    steps["write"] = ("rewrite_prompt", {**asked, "images": ["@show.image"]})
    ran = bench.good(steps, "paint", "read", "write", "packed", "reader", "load")
    assert relative(ran.one("paint").samples, usual.one("paint").samples) < 0.05
    assert relative(ran.one("read").tensors["text"], usual.one("words").tensors["text"]) < 0.05
    assert isinstance(ran.one("write"), str)
    reader, plain = ran.one("reader"), ran.outputs["load"]["text_encoder"]
    assert reader.size < plain.size and ran.one("packed").size < ran.outputs["load"]["model"].size


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    assert not torch.equal(one, other)
    return float((one - other).norm() / other.norm())


def test_a_lora_is_applied_and_the_model_stays_as_it_was(bench: Bench) -> None:
    shelf = Path(bench.worker.settings.model_dirs[0]) / "loras"
    shelf.mkdir(exist_ok=True)
    stem = "lora_unet_single_blocks_0_linear1"
    model: Model = bench.good(graph(), "load").outputs["load"]["model"]
    rows = 3 * model.config.width + 2 * model.config.mlp
    halves = {"lora_down": torch.randn(2, model.config.width), "lora_up": torch.randn(rows, 2)}
    save_file({f"{stem}.{n}.weight": t for n, t in halves.items()}, shelf / "style.safetensors")
    steps = with_step(graph(), "styled", "apply_lora", model="@load.model", file="style.safetensors")
    usual = bench.good(steps, "paint").one("paint").samples
    steps["paint"][1]["model"] = "@styled.model"
    ran = bench.good(steps, "paint")
    assert "style.safetensors changes 1 matrices of the model" in ran.logs
    assert relative(ran.one("paint").samples, usual) > 1e-3
    assert torch.equal(bench.good(graph(seed=4), "paint").one("paint").samples, usual)


def test_sizes_follow_the_model_s_cells(bench: Bench) -> None:
    steps = graph()
    steps["odd"] = ("empty_latent", {"model": "@load.model", "width": 112, "height": 80})
    steps["usual"] = ("empty_latent", {"model": "@load.model"})
    ran = bench.good(steps, "odd", "usual")
    assert ran.one("odd").samples.shape == (1, 128, 5, 7) and ran.one("usual").samples.shape == (1, 128, 64, 64)
