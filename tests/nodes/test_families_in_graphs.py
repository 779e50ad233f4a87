"""One graph for all families: only its loader changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import WRITERS
from workbench import Bench

from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.family import find
from nodes.models.load import load_autoencoder, load_transformer


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each family, the same in one file as ComfyUI keeps it, and its parts."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("families")
    for name, write in WRITERS.items():
        folder = write(root / name)
        found = find(folder)
        everything = {
            f"model.diffusion_model.{key}": t for key, t in load_transformer(found, torch.float32).state_dict().items()
        }
        vae = load_autoencoder(found.parts["vae"], torch.float32).state_dict()
        text = load_file(folder / "text_encoder" / "model.safetensors")
        everything |= {f"vae.{key}": t for key, t in vae.items()}
        everything |= {f"text_encoders.one.transformer.{key}": t for key, t in text.items()}
        parts = ("transformer", "text_encoder")
        config = {k: v for part in parts for k, v in json.loads((folder / part / "config.json").read_text()).items()}
        config |= {"norm_num_groups": 4, "num_attention_heads": 2}
        home = root / f"{name}_file"
        home.mkdir()
        save_file(everything, home / "all.safetensors", {"config": json.dumps(config)})
        shutil.copytree(folder / "tokenizer", home / "tokenizer")
    return root


@pytest.fixture(scope="module")
def bench(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(data_dir=home, model_dirs=(shelf,), custom_nodes_dirs=(), device="cpu", threads=1)
    return Bench(Worker(settings), home)


def graph(file: str, **sample: Any) -> dict[str, Any]:
    return {
        "load": ("load_checkpoint", {"file": file}),
        "text": ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "a red circle"}),
        "none": ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": ""}),
        "empty": ("empty_latent", {"model": "@load.model", "width": 48, "height": 32}),
        "paint": ("sample", {
            "model": "@load.model", "positive": "@text.conditioning", "negative": "@none.conditioning",
            "latent": "@empty.latent", "steps": 2, "seed": 3, **sample,
        }),
        "show": ("decode", {"latent": "@paint.latent", "vae": "@load.vae"}),
        "again": ("encode", {"image": "@show.image", "vae": "@load.vae"}),
    }  # fmt: skip


@pytest.fixture(params=WRITERS)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_graph_changes_its_family_by_its_loader(family: str, bench: Bench) -> None:
    ran = bench.good(graph(family), "show", "again", "paint")
    latent = ran.one("paint")
    assert latent.family == family and latent.samples.isfinite().all()
    assert ran.one("show").size == (48, 32) and ran.one("again").samples.shape == latent.samples.shape
    assert "best used" not in ran.logs and "no effect" not in ran.logs


def test_guidance_by_a_negative_is_on_by_default_and_counts(family: str, bench: Bench) -> None:
    usual, none = (bench.good(graph(family, **knobs), "paint").one("paint").samples for knobs in ({}, {"true_cfg": 1}))
    assert not torch.allclose(usual, none)


def test_one_file_of_everything_paints_what_the_folder_paints(family: str, bench: Bench) -> None:
    whole = bench.good(graph(f"{family}_file/all.safetensors"), "show", "paint")
    apart = bench.good(graph(family), "show", "paint")
    assert torch.allclose(whole.one("paint").samples, apart.one("paint").samples, atol=1e-5)
    assert torch.allclose(whole.one("show").pixels, apart.one("show").pixels, atol=1e-5)


def parts(name: str, **encoder: Any) -> dict[str, Any]:
    """The same graph with a loader for each part of family `name`."""
    steps = graph(name)
    del steps["load"]
    file = f"{name}_file/all.safetensors"
    steps["model"] = ("load_model", {"file": f"{name}/transformer"})
    steps["reader"] = ("load_text_encoder", {"file": file, **encoder})
    steps["vae"] = ("load_vae", {"file": file})
    text = json.dumps(steps)
    for kind, step in (("model", "model"), ("vae", "vae"), ("text_encoder", "reader")):
        text = text.replace(f"@load.{kind}", f"@{step}.{kind}")
    return {id: tuple(step) for id, step in json.loads(text).items()}


def test_its_parts_paint_what_the_whole_paints(family: str, bench: Bench) -> None:
    """The family of the text encoder is told from what is in its file."""
    apart = bench.good(parts(family), "show", "paint", "again")
    whole = bench.good(graph(family), "show", "paint")
    assert torch.allclose(apart.one("paint").samples, whole.one("paint").samples, atol=1e-5)
    assert torch.allclose(apart.one("show").pixels, whole.one("show").pixels, atol=1e-5)


@pytest.mark.parametrize("where", ["tokenizer", ""])
def test_a_folder_of_tokenizers_may_be_named(where: str, family: str, bench: Bench) -> None:
    folder = f"{family}_file/{where}".rstrip("/")
    named = bench.good(parts(family, tokenizers=folder, family=family), "paint")
    assert torch.equal(named.one("paint").samples, bench.good(parts(family), "paint").one("paint").samples)


def test_a_text_encoder_of_another_family_is_refused_with_what_is_there(family: str, bench: Bench) -> None:
    ran = bench.run(parts(family, family="flux1"), "paint")
    assert "flux1 reads with clip and t5" in str(ran.problems[0])


def test_pictures_started_from_one_that_is_there(family: str, bench: Bench) -> None:
    steps = graph(family)
    steps["other"] = ("sample", {**steps["paint"][1], "latent": "@again.latent", "denoise": 0.5, "steps": 4, "seed": 9})
    ran = bench.good(steps, "other", "again")
    assert ran.one("other").samples.shape == ran.one("again").samples.shape


def test_a_saved_text_is_read_again(family: str, bench: Bench) -> None:
    steps = graph(family)
    steps["keep"] = ("save_conditioning", {"conditioning": "@text.conditioning", "name": family})
    kept = bench.good(steps, "keep", "text")
    assert Path(kept.one("keep").paths[0]).is_file()
    both = graph(family)
    both["both"] = ("batch_conditionings", {"conditionings": ["@text.conditioning", "@none.conditioning"]})
    both["paint"][1]["positive"] = "@both.conditioning"
    samples = bench.good(both, "paint").one("paint").samples
    assert len(samples) == 2 and not torch.allclose(samples[0], samples[1])


def test_texts_of_any_length_are_mixed(family: str, bench: Bench) -> None:
    steps = graph(family)
    steps["long"] = ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "a red circle on a blue square"})
    steps["mix"] = ("mix_conditionings", {"a": "@text.conditioning", "b": "@long.conditioning", "amount": 0.0})
    usual = bench.good(steps, "paint").one("paint").samples
    steps["paint"][1]["positive"] = "@mix.conditioning"
    mixed = []
    for amount in (0.5, 1.0):
        steps["mix"][1]["amount"] = amount
        mixed.append(bench.good(steps, "paint").one("paint").samples)
    steps["paint"][1]["positive"] = "@long.conditioning"
    assert torch.allclose(mixed[1], bench.good(steps, "paint").one("paint").samples, atol=1e-4)
    assert mixed[0].isfinite().all() and not torch.allclose(mixed[0], usual, atol=1e-4)


def test_chosen_positions_change_the_picture_or_say_that_they_cannot(family: str, bench: Bench) -> None:
    ways = {"auraflow": "stretched", "lumina": "none"}
    steps = graph(family)
    steps["empty"][1].update(width=192, height=96)
    steps["scaled"] = ("scale_positions", {"model": "@load.model", "positions": ways[family], "watershed": 0.5})
    usual = bench.run(steps, "paint")
    steps["paint"][1]["model"] = "@scaled.model"
    ran = bench.good(steps, "paint")
    assert ("watershed has no effect" in ran.logs) == (family != "lumina")
    if usual.status == "succeeded":
        assert not torch.allclose(ran.one("paint").samples, usual.one("paint").samples)
    else:
        assert "at most 128 pixels" in str(usual.problems[0])
    other = next(way for name, way in ways.items() if name != family)
    steps["scaled"][1]["positions"] = other
    assert f"no positions called {other}" in str(bench.run(steps, "paint").problems[0])


def test_a_latent_goes_from_one_family_to_another_that_paints_in_the_same_space(bench: Bench) -> None:
    """Both have SDXL's autoencoder: no decoding between them, and an autoencoder alone belongs to neither."""
    steps: dict[str, Any] = {}
    for prefix, name in (("aura", "auraflow"), ("lumina", "lumina")):
        named = json.loads(json.dumps(graph(name)).replace("@", f"@{prefix}_"))
        steps |= {f"{prefix}_{id}": tuple(step) for id, step in named.items()}
    steps["lumina_paint"][1].update(latent="@aura_paint.latent", denoise=0.5, steps=4)
    ran = bench.good(steps, "lumina_show")
    assert ran.one("lumina_show").size == (48, 32)
    steps["vae"] = ("load_vae", {"file": "auraflow/vae"})
    assert bench.good(steps, "vae").one("vae").family == ""


def test_a_caption_is_cleaned_where_it_is_asked_for(bench: Bench) -> None:
    steps = graph("lumina")
    asked = {"text_encoder": "@load.text_encoder", "prompt": "山中有一座古老的寺庙, misty", "clean": True}
    steps["gemma"] = ("encode_text_gemma", asked)
    ran = bench.good(steps, "gemma")
    assert "left “misty”" in ran.logs
    steps["plain"] = ("encode_text", {"text_encoder": "@load.text_encoder", "prompt": "misty"})
    both = bench.good(steps, "gemma", "plain")
    assert torch.equal(both.one("gemma").tensors["text"], both.one("plain").tensors["text"])
    steps["load"] = ("load_checkpoint", {"file": "auraflow"})
    assert "without Gemma" in str(bench.run(steps, "gemma").problems[0])


def test_a_negative_keeps_its_capitals_where_the_released_pipeline_leaves_them(family: str, bench: Bench) -> None:
    def said(kind: str, prompt: str, **how: bool) -> torch.Tensor:
        steps = {"load": graph(family)["load"]}
        steps["text"] = (kind, {"text_encoder": "@load.text_encoder", "prompt": prompt, **how})
        tensor: torch.Tensor = bench.good(steps, "text").one("text").tensors["text"]
        return tensor

    loud = "a BAD hand"
    prompt, negative = said("encode_text", loud), said("encode_text", loud, negative=True)
    assert torch.equal(prompt, negative) == (family != "lumina")
    assert torch.equal(said("encode_text", loud.lower(), negative=True), said("encode_text", loud.lower()))
    if family == "lumina":
        assert torch.equal(negative, said("encode_text_gemma", loud, lower=False))


def test_guided_channels_are_the_family_s_or_what_is_asked(family: str, bench: Bench) -> None:
    usual, all_, three = (
        bench.good(graph(family, steps=1, **knobs), "paint").one("paint").samples
        for knobs in ({}, {"guided_channels": 0}, {"guided_channels": 3})
    )
    assert not torch.allclose(all_, three)
    assert torch.equal(usual, three if family == "lumina" else all_)
