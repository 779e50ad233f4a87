"""Lumina-T2I in graphs, from the files in which it is kept: a consolidated file, LLaMA's folder, an autoencoder."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch
from models.encoders.languages import write_llama
from models.families import EXAMPLES
from safetensors.torch import load_file, save_file
from tiny_families import sdxl_autoencoder, write_lumina
from torch import Tensor
from workbench import Bench

from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.family import find
from nodes.models.load import load_autoencoder

CONSOLIDATED = "Lumina-T2I/consolidated_ema.00-of-01.safetensors"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A shelf with the parts, the same in one file, and a Lumina-Next."""
    torch.set_num_threads(1)
    shelf, home = tmp_path_factory.mktemp("shelf"), tmp_path_factory.mktemp("home")
    state = {name: one * (0.3 if one.ndim > 1 else 1) for name, one in EXAMPLES["flag_dit"].state().items()}
    told = {"config": json.dumps({"sample_size": 16})}
    (shelf / "Lumina-T2I").mkdir()
    save_file(state, shelf / CONSOLIDATED, told)
    (shelf / "Lumina-T2I" / "model_args.pth").write_bytes(b"\x80\x04\x95no pickle is read")
    llama = write_llama(shelf / "Llama-2-7b-hf")
    sdxl_autoencoder().save_pretrained(shelf / "vae")
    write_lumina(shelf / "next")
    vae = load_autoencoder(find(shelf / "vae").parts["vae"], torch.float32).state_dict()
    everything = {f"model.diffusion_model.{name}": one for name, one in state.items()}
    everything |= {f"vae.{name}": one for name, one in vae.items()}
    text = load_file(llama / "model.safetensors")
    everything |= {f"text_encoders.llama.transformer.{name}": one for name, one in text.items()}
    config = json.loads((llama / "config.json").read_text()) | {"sample_size": 16, "norm_num_groups": 4}
    (shelf / "one").mkdir()
    save_file(everything, shelf / "one" / "all.safetensors", {"config": json.dumps(config)})
    shutil.copytree(llama, shelf / "one" / "tokenizer", ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    settings = Settings(data_dir=home, model_dirs=(shelf,), custom_nodes_dirs=(), device="cpu", threads=1)
    return Bench(Worker(settings), home)


def parts(**sample: Any) -> dict[str, Any]:
    """A graph with a loader for each part."""
    return {
        "model": ("load_model", {"file": CONSOLIDATED}),
        "reader": ("load_text_encoder", {"file": "Llama-2-7b-hf"}),
        "vae": ("load_vae", {"file": "vae"}),
        "text": ("encode_text", {"text_encoder": "@reader.text_encoder", "prompt": "a Red circle"}),
        "none": ("encode_text", {"text_encoder": "@reader.text_encoder", "prompt": "", "negative": True}),
        "empty": ("empty_latent", {"model": "@model.model", "width": 48, "height": 32}),
        "paint": ("sample", {
            "model": "@model.model", "positive": "@text.conditioning", "negative": "@none.conditioning",
            "latent": "@empty.latent", "steps": 2, "seed": 3, **sample,
        }),
        "show": ("decode", {"latent": "@paint.latent", "vae": "@vae.vae"}),
        "again": ("encode", {"image": "@show.image", "vae": "@vae.vae"}),
    }  # fmt: skip


def painted(bench: Bench, steps: dict[str, Any]) -> Tensor:
    samples: Tensor = bench.good(steps, "paint").one("paint").samples
    assert samples.isfinite().all()
    return samples


def test_its_parts_paint_and_the_reader_s_family_is_told_from_its_file(bench: Bench) -> None:
    ran = bench.good(parts(), "show", "again", "paint", "reader")
    assert ran.one("show").size == (48, 32) and ran.one("again").samples.shape == ran.one("paint").samples.shape
    assert ran.one("paint").family == ran.one("reader").family == "lumina"
    assert "best used" not in ran.logs and "no effect" not in ran.logs


def test_one_file_of_everything_paints_the_same(bench: Bench) -> None:
    steps = json.loads(
        json.dumps(parts()).replace("@model.", "@load.").replace("@reader.", "@load.").replace("@vae.", "@load.")
    )
    steps = {name: tuple(step) for name, step in steps.items() if name not in ("model", "reader", "vae")}
    steps["load"] = ("load_checkpoint", {"file": "one/all.safetensors"})
    assert torch.allclose(painted(bench, steps), painted(bench, parts()), atol=1e-5)


def test_a_checkpoint_without_its_reader_says_which(bench: Bench) -> None:
    ran = bench.run({"load": ("load_checkpoint", {"file": CONSOLIDATED})}, "load")
    assert "no autoencoder and no llama text encoder" in str(ran.problems[0])


def test_guidance_leads_three_of_four_channels(bench: Bench) -> None:
    usual, three, all_, off = (
        painted(bench, parts(**{"steps": 1, **knobs}))
        for knobs in ({}, {"guided_channels": 3}, {"guided_channels": 0}, {"true_cfg": 1})
    )
    assert torch.equal(usual, three) and not torch.allclose(usual, all_)
    assert torch.allclose(usual[:, 3], off[:, 3], atol=1e-5) and not torch.allclose(usual, off)


def test_a_picture_can_be_begun_from_one_and_several_painted_at_once(bench: Bench) -> None:
    steps = parts()
    steps["other"] = ("sample", {**steps["paint"][1], "latent": "@again.latent", "denoise": 0.5, "steps": 4})
    assert bench.good(steps, "other").one("other").samples.isfinite().all()
    both = parts()
    both["both"] = ("batch_conditionings", {"conditionings": ["@text.conditioning", "@none.conditioning"]})
    both["paint"][1]["positive"] = "@both.conditioning"
    samples = painted(bench, both)
    assert len(samples) == 2 and not torch.allclose(samples[0], samples[1])


def test_positions_and_sharpness_of_other_sizes_can_be_chosen(bench: Bench) -> None:
    def wide(**knobs: Any) -> Tensor:
        steps = parts()
        steps["empty"][1].update(width=256, height=192)
        steps["scaled"] = ("scale_positions", {"model": "@model.model", **knobs})
        steps["paint"][1]["model"] = "@scaled.model"
        return painted(bench, steps)

    usual = wide()
    assert torch.equal(usual, wide(positions="ntk", proportional="on"))
    for knobs in ({"positions": "none"}, {"positions": "linear"}, {"proportional": "off"}):
        assert not torch.allclose(usual, wide(**knobs), atol=1e-4), knobs


@pytest.mark.parametrize(("method", "off"), [("int8", 0.05), ("nf4", 0.6)])
def test_both_networks_can_be_kept_packed(method: str, off: float, bench: Bench) -> None:
    exact = painted(bench, parts())
    model, reader = parts(), parts()
    model["model"] = ("load_quantized", {"file": CONSOLIDATED, "method": method})
    reader["packed"] = ("quantize_text_encoder", {"text_encoder": "@reader.text_encoder", "method": method})
    reader["text"][1]["text_encoder"] = "@packed.text_encoder"
    for steps in (model, reader):
        assert 0 < (painted(bench, steps) - exact).norm() / exact.norm() < off


def test_texts_of_lumina_next_do_not_fit_and_cleaning_is_gemma_s(bench: Bench) -> None:
    steps = parts()
    steps["other"] = ("load_text_encoder", {"file": "next/text_encoder"})
    steps["gemma"] = ("encode_text_gemma", {"text_encoder": "@other.text_encoder", "prompt": "a circle"})
    assert bench.good(steps, "gemma").one("gemma").family == "lumina"
    steps["gemma"][1]["text_encoder"] = "@reader.text_encoder"
    assert "without Gemma" in str(bench.run(steps, "gemma").problems[0])
