"""LoRAs through the nodes: on the model and its text encoders, stacked, beside packed weights; what is read again."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from models import checkpoints as made
from models import lora_files
from safetensors.torch import load_file, save_file
from tiny_model import write_checkpoint
from torch import Tensor
from workbench import SCHNELL, Bench

from graph_runtime.plans import resident
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.family import detect
from nodes.models.load import load_transformer

SCALE = lora_files.ALPHA / lora_files.RANK


@pytest.fixture(scope="session")
def loras(models: Path) -> Path:
    """a and b for the tiny transformer in two spellings, text for its CLIP; and checkpoints with them merged."""
    found = detect(models / SCHNELL / "transformer")
    state = {name: tensor.clone() for name, tensor in load_transformer(found, torch.float32).state_dict().items()}
    both = [lora_files.matrices(state, seed) for seed in (1, 2)]
    made.save(models / "loras" / "a.safetensors", *lora_files.kohya(both[0], found.config))
    made.save(models / "loras" / "b.safetensors", *lora_files.peft(both[1], found.config))
    save_file(lora_files.merged(state, both[0], SCALE), _beside(models, "a", found.path))
    save_file(
        lora_files.merged(lora_files.merged(state, both[0], SCALE), both[1], -0.5 * SCALE),
        _beside(models, "ab", found.path),
    )
    clip = models / SCHNELL / "text_encoder" / "model.safetensors"
    stored = {name.removeprefix("text_model."): tensor for name, tensor in load_file(clip).items()}
    text = lora_files.matrices(stored, 3, only=lambda name: name.endswith("_proj"))
    names = {name.replace(".", "_"): halves for name, halves in text.items()}
    file = {f"lora_te1_text_model_{n}.{k}.weight": t for n, (d, u) in names.items()
            for k, t in (("lora_down", d), ("lora_up", u))}  # fmt: skip
    unet, _ = lora_files.kohya(both[0], found.config)
    made.save(models / "loras" / "text.safetensors", file | unet)
    changed = write_checkpoint(models / "merged-clip", seed=0, guidance=False) / "text_encoder" / "model.safetensors"
    told = lora_files.merged(stored, text, 1.0)
    save_file({f"text_model.{name}": told[name].contiguous() for name in told}, changed)
    return models


def _beside(models: Path, name: str, like: Path) -> Path:
    folder = models / f"merged-{name}"
    folder.mkdir()
    (folder / "config.json").write_text((like / "config.json").read_text())
    return folder / "diffusion_pytorch_model.safetensors"


def graph(*loras: dict[str, Any], load: Any = None, encoder: str = SCHNELL) -> dict[str, Any]:
    """Paint with a model; each of `loras` is the inputs of one more apply_lora."""
    steps = {
        "clips": ("load_checkpoint", {"file": encoder}),
        "model": load or ("load_model", {"file": f"{SCHNELL}/transformer"}),
    }
    model, text = "@model.model", "@clips.text_encoder"
    for number, inputs in enumerate(loras):
        wires = {"model": model} | ({"text_encoder": text} if inputs.pop("text", False) else {})
        steps[f"lora{number}"] = ("apply_lora", {**wires, **inputs})
        model = f"@lora{number}.model"
        text = f"@lora{number}.text_encoder" if "text_encoder" in wires else text
    return {
        **steps,
        "text": ("encode_text", {"text_encoder": text, "prompt": "a red circle", "max_length": 8}),
        "empty": ("empty_latent", {"model": model, "width": 48, "height": 32}),
        "paint": (
            "sample", {"model": model, "positive": "@text.conditioning", "latent": "@empty.latent", "steps": 3},
        ),
    }  # fmt: skip


def painted(bench: Bench, *loras: dict[str, Any], **more: Any) -> Tensor:
    return bench.good(graph(*loras, **more), "paint").one("paint").samples  # type: ignore[no-any-return]


def near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=2e-4 * other.abs().max().item())


def titles(bench: Bench) -> list[str]:
    return [one["title"] for one in bench.worker.residency.report()["models"]]


def test_a_picture_with_loras_is_the_picture_of_merged_weights(loras: Path, bench: Bench) -> None:
    one = painted(bench, {"file": "a.safetensors"})
    assert near(one, painted(bench, load=("load_model", {"file": "merged-a"})))
    two = painted(bench, {"file": "a.safetensors"}, {"file": "b.safetensors", "strength": -0.5})
    assert near(two, painted(bench, load=("load_model", {"file": "merged-ab"})))
    assert not near(one, painted(bench)) and not near(two, one)


def test_the_text_encoder_is_changed_where_it_is_wired(loras: Path, bench: Bench) -> None:
    lora = {"file": "text.safetensors", "strength": 0.0}
    wired = painted(bench, {**lora, "text": True})
    assert near(wired, painted(bench, encoder="merged-clip"))
    assert torch.equal(painted(bench, dict(lora)), painted(bench))
    assert torch.equal(painted(bench, {**lora, "text": True, "text_strength": 0.0}), painted(bench))


@pytest.mark.parametrize("method", ["int8", "nf4"])
def test_a_lora_stands_beside_packed_weights(method: str, loras: Path, bench: Bench) -> None:
    packed = ("load_quantized", {"file": f"{SCHNELL}/transformer", "method": method})
    near_it = painted(bench, {"file": "a.safetensors"}, load=packed)
    exact = painted(bench, {"file": "a.safetensors"})
    off = (near_it - exact).norm() / exact.norm()
    assert 0 < off < (0.05 if method == "int8" else 0.6)
    assert (near_it - painted(bench, load=packed)).norm() > off * exact.norm()


def test_the_model_is_read_once_for_all_loras_and_strengths(loras: Path, bench: Bench) -> None:
    """Only LoRAs come beside it in memory; a strength costs nothing, and afterwards nothing of them is on the model."""
    painted(bench)
    with bench.worker.residency.use(recipe(bench)) as net:
        for file, strength in (("a", 1.0), ("a", 0.3), ("b", 1.0)):
            painted(bench, {"file": f"{file}.safetensors", "strength": strength})
            with bench.worker.residency.use(recipe(bench)) as again:
                assert again is net
    assert sorted(titles(bench)) == sorted(["a (LORA)", "b (LORA)", "transformer (MODEL)", f"{SCHNELL} (TEXT_ENCODER)"])
    assert not any(module._forward_hooks for module in net.modules())


def test_a_model_that_fills_the_memory_leaves_room_for_its_loras(loras: Path, bench: Bench, tmp_path: Path) -> None:
    """The model would fit as a whole, and then the LoRA would not fit beside it."""
    wanted, held = painted(bench, {"file": "a.safetensors"}), recipe(bench).nbytes()
    settings = Settings(
        data_dir=tmp_path / "small", model_dirs=(loras,), custom_nodes_dirs=(), device="cpu", threads=1,
        host_memory=held + 1000, cache_disk=0,
    )  # fmt: skip
    small = Bench(Worker(settings), tmp_path / "small")
    assert torch.equal(painted(small, {"file": "a.safetensors"}), wanted)
    plans = {one["title"]: one["plan"] for one in small.worker.residency.report()["models"]}
    small.worker.close()
    assert plans["a (LORA)"] == "resident" and plans["transformer (MODEL)"] in ("lean", "disk")


def recipe(bench: Bench, *loras: dict[str, Any]) -> Any:
    name = f"lora{len(loras) - 1}" if loras else "model"
    return bench.good(graph(*loras), name).one(name, "model")


def test_a_recipe_with_loras_is_another_and_loads_as_a_whole_where_it_is_used_as_one(loras: Path, bench: Bench) -> None:
    """What a pack gets that knows nothing of LoRAs: the changed model, under a key of its own, its bytes counted."""
    plain, changed = recipe(bench), recipe(bench, {"file": "a.safetensors"})
    other = recipe(bench, {"file": "a.safetensors", "strength": 0.5})
    assert len({plain.key(), changed.key(), other.key()}) == 3
    assert pickle.loads(pickle.dumps(changed)) == changed and "a × 1" in changed.summary()
    lora = changed.loras[0].lora
    assert changed.nbytes() == plain.nbytes() + lora.nbytes() and lora.nbytes() > 0
    merged = bench.good({"m": ("load_model", {"file": "merged-a"})}, "m").one("m")
    x = torch.randn(2, 64)
    with bench.worker.residency.use(changed) as net, bench.worker.residency.use(merged) as wanted:
        assert near(net.img_in(x), wanted.img_in(x))
        assert near(net.double_blocks[0].img_attn.qkv(x[:, :32]), wanted.double_blocks[0].img_attn.qkv(x[:, :32]))
    loaded = changed.load("cpu", resident(changed.nbytes()))
    assert loaded.nbytes == changed.nbytes()
    loaded.move("meta")
    assert loaded.value.img_in.weight.is_meta
    loaded.close()
    assert loaded.value is None


def test_what_it_changes_is_told(loras: Path, bench: Bench) -> None:
    said = bench.good(graph({"file": "text.safetensors", "text": True}), "paint").logs
    assert "text.safetensors changes 21 matrices of the model and 4 of the text encoders." in said


def test_a_lora_for_another_model_is_refused(loras: Path, bench: Bench) -> None:
    wide = {"img_in.lora_A.weight": torch.ones(2, 64), "img_in.lora_B.weight": torch.ones(3072, 2)}
    made.save(loras / "loras" / "wide.safetensors", wide)
    other = {"layers.0.q.lora_A.weight": torch.ones(2, 64), "layers.0.q.lora_B.weight": torch.ones(3072, 2)}
    made.save(loras / "loras" / "other.safetensors", other)
    for file, words in (("wide", "but the matrix that it is added to is [32, 64]"), ("other", "it changes nothing")):
        ran = bench.run(graph({"file": f"{file}.safetensors"}), "paint")
        assert ran.status == "failed" and words in str(ran.problems[0])
    no_lora = bench.run(graph({"file": f"{SCHNELL}/transformer/diffusion_pytorch_model.safetensors"}), "paint")
    assert no_lora.status == "failed"


def test_names_without_a_place_are_named_and_may_be_left_out(loras: Path, bench: Bench) -> None:
    """dev's guidance, in either naming, on schnell; and what is no part of a LoRA."""
    halves = {"lora_A.weight": torch.randn(2, 64), "lora_B.weight": torch.randn(32, 2)}
    names = ("x_embedder", "time_text_embed.guidance_embedder.linear_1", "guidance_in.out_layer")
    file = {f"transformer.{name}.{half}": tensor.clone() for name in names for half, tensor in halves.items()}
    made.save(loras / "loras" / "dev.safetensors", file | {"norm.diff": torch.ones(1)})
    refused = bench.run(graph({"file": "dev.safetensors"}), "paint")
    said = str(refused.problems[0])
    assert refused.status == "failed" and all(word in said for word in (*names[1:], "norm.diff", "apply it partly"))
    only = {name: tensor for name, tensor in file.items() if "x_embedder" in name}
    made.save(loras / "loras" / "only.safetensors", only)
    partly = bench.good(graph({"file": "dev.safetensors", "partly": True}), "paint")
    assert torch.equal(partly.one("paint").samples, painted(bench, {"file": "only.safetensors"}))
    assert "has no effect on what transformer does not have" in partly.logs


def test_a_lora_that_has_changed_since_is_not_used(loras: Path, bench: Bench) -> None:
    changed = recipe(bench, {"file": "b.safetensors"})
    assert changed.fresh()
    stale = replace(changed.loras[0].lora, stored=replace(changed.loras[0].lora.stored, stamp="0"))
    assert not replace(changed, loras=(replace_lora(changed.loras[0], stale),)).fresh()


def replace_lora(applied: Any, lora: Any) -> Any:
    return applied._replace(lora=lora)
