"""Models that stay packed in memory, through the nodes: the same pictures, fewer bytes, other keys."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from models import checkpoints as made
from models.gguf_files import save_blocks
from safetensors.torch import load_file, save_file
from torch import Tensor
from workbench import DEV, SCHNELL, Bench

from nodes.models.family import detect
from nodes.models.flux1.config import Config
from nodes.models.layers import multiplied
from nodes.models.load import load_transformer
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.packing import METHODS

# As wide as K's blocks, with the text encoders of the tiny checkpoint.
WIDE = Config.tiny(
    width=256, heads=2, axes=(16, 56, 56), double_blocks=1, single_blocks=1, text_width=48, guidance=False
)


@pytest.fixture(scope="session")
def blocks(models: Path) -> Path:
    """In the folder of models: wide.<type>.gguf, and the same numbers unpacked in wide.<type>.safetensors."""
    for kind in BLOCKS:
        path = save_blocks(models / f"wide.{kind}.gguf", made.flux_state(WIDE), kind)
        save_file(load_transformer(detect(path), torch.float32).state_dict(), models / f"wide.{kind}.safetensors")
    return models


@pytest.fixture(scope="session")
def t5_gguf(models: Path) -> Path:
    """The tiny checkpoint's T5 in Q8_0 and Q4_0 under llama.cpp's names, and unpacked beside it."""
    state = {
        name: tensor for name, tensor in load_file(models / SCHNELL / "text_encoder_2/model.safetensors").items()
        if name != "encoder.embed_tokens.weight"
    }  # fmt: skip
    for kind in ("Q8_0", "Q4_0"):
        writer, truth = gguf.GGUFWriter(models / f"t5.{kind}.gguf", "t5encoder"), {}
        for name, tensor in state.items():
            stored = gguf.GGMLQuantizationType[kind if tensor.ndim == 2 and tensor.shape[1] % 32 == 0 else "F32"]
            data = gguf.quants.quantize(tensor.numpy(), stored)
            writer.add_tensor(made.t5_gguf_name(name), data, raw_dtype=stored)
            truth[name] = torch.from_numpy(gguf.quants.dequantize(data, stored)).reshape(tensor.shape)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        save_file(truth, models / f"t5.{kind}.safetensors")
    return models


def graph(load: tuple[str, dict[str, Any]], encoder: dict[str, Any] | None = None, **sample: Any) -> dict[str, Any]:
    found = {"clips": ("load_checkpoint", {"file": SCHNELL})}
    text = "@clips.text_encoder"
    if encoder:
        method = encoder.pop("method", "unpacked")
        given = {"file": f"{SCHNELL}/text_encoder", "tokenizers": SCHNELL, "family": "flux1", **encoder}
        found["encoders"] = ("load_text_encoder", given)
        found["small"] = ("quantize_text_encoder", {"text_encoder": "@encoders.text_encoder", "method": method})
        text = "@small.text_encoder"
    return {
        **found,
        "load": load,
        "text": ("encode_text", {"text_encoder": text, "prompt": "a red circle", "max_length": 8}),
        "empty": ("empty_latent", {"model": "@load.model", "width": 48, "height": 32}),
        "paint": (
            "sample",
            {"model": "@load.model", "positive": "@text.conditioning", "latent": "@empty.latent", "steps": 3, **sample},
        ),
        "decode": ("decode", {"latent": "@paint.latent", "vae": "@clips.vae"}),
    }


def painted(bench: Bench, *load: Any, **more: Any) -> tuple[Tensor, Tensor]:
    """The latent and the picture."""
    ran = bench.good(graph(load, **more), "paint", "decode")  # type: ignore[arg-type]
    return ran.one("paint").samples, ran.one("decode").pixels


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_a_picture_from_gguf_is_the_picture_of_its_numbers(kind: str, blocks: Path, bench: Bench) -> None:
    wanted = painted(bench, "load_model", {"file": f"wide.{kind}.safetensors"})
    assert wanted[0].std() > 0.1
    for method in ("packed", "unpacked"):
        came = painted(bench, "load_quantized", {"file": f"wide.{kind}.gguf", "method": method})
        for one, other in zip(came, wanted, strict=True):
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_a_text_encoder_from_gguf_says_what_its_numbers_say(kind: str, t5_gguf: Path, bench: Bench) -> None:
    model = ("load_checkpoint", {"file": SCHNELL})
    wanted = painted(bench, *model, encoder={"second_file": f"t5.{kind}.safetensors"})
    for method in ("packed", "unpacked"):
        came = painted(bench, *model, encoder={"second_file": f"t5.{kind}.gguf", "method": method})
        assert torch.allclose(came[0], wanted[0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(painted(bench, *model)[0], wanted[0], atol=1e-6)  # the tiny T5 in full is another


def recipe(bench: Bench, kind: str, **inputs: Any) -> tuple[Any, str]:
    ran = bench.good({"load": (kind, inputs)}, "load")
    return ran.one("load"), ran.logs


@pytest.mark.parametrize("method", METHODS)
def test_it_is_said_what_is_packed_and_what_it_takes(method: str, bench: Bench) -> None:
    file = f"{DEV}/transformer"
    plain, _ = recipe(bench, "load_model", file=file)
    small, said = recipe(bench, "load_quantized", file=file, method=method)
    assert small.nbytes() < plain.nbytes() * 0.6  # the tiny model is mostly what is kept
    matrices = 2 * 5 + 3  # of a double block: modulation, qkv, proj, two of the MLP; of a single block three
    assert f"{file}: {matrices} matrices in {method}, " in said
    assert f"{plain.nbytes() / 1e6:.2f} MB would be all in float32, {small.nbytes() / 1e6:.2f} MB it takes" in said
    assert small.key() != plain.key() and method in small.summary()
    assert pickle.loads(pickle.dumps(small)) == small
    with bench.worker.residency.use(small) as net:
        assert net is not None
        used = next(one for one in bench.worker.residency.report()["models"] if one["in_use"])
        assert used["host_bytes"] + used["device_bytes"] <= small.nbytes() * 1.01


@pytest.mark.parametrize(("method", "off"), [("int8", 0.05), ("fp8", 0.15), ("nf4", 0.6), ("int4", 0.6)])
def test_a_picture_of_packed_weights_is_near_the_exact_one(method: str, off: float, bench: Bench) -> None:
    exact, _ = painted(bench, "load_model", {"file": f"{DEV}/transformer"})
    near, _ = painted(bench, "load_quantized", {"file": f"{DEV}/transformer", "method": method})
    assert 0 < (near - exact).norm() / exact.norm() < off


def test_without_float8_products_a_picture_is_that_of_fp8_and_it_is_said_once(bench: Bench) -> None:
    file = f"{DEV}/transformer"
    _, said = recipe(bench, "load_quantized", file=file, method="fp8-matmul")
    assert said.count("multiplies nothing in float8 here: cpu has no products of float8") == 1
    assert "multiplies nothing" not in recipe(bench, "load_quantized", file=file, method="fp8")[1]
    ours, theirs = (painted(bench, "load_quantized", {"file": file, "method": one}) for one in ("fp8-matmul", "fp8"))
    assert torch.equal(ours[0], theirs[0])


def test_a_picture_multiplied_in_float8_is_near_the_exact_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU's own products, with a LoRA's room beside them: not as near as unpacked fp8, nor far off."""
    monkeypatch.setattr(multiplied, "DEVICES", ("cpu",))
    multiplied.lacking.cache_clear()
    file = {"file": f"{DEV}/transformer"}
    if not multiplied.lacking("cpu"):
        exact, unpacked, near = (
            painted(bench, *load)[0]
            for load in (
                ("load_model", file),
                ("load_quantized", file | {"method": "fp8"}),
                ("load_quantized", file | {"method": "fp8-matmul", "dtype": "float32"}),
            )
        )
        assert 0 < (near - exact).norm() / exact.norm() < 0.25
        assert not torch.equal(near, unpacked)
    multiplied.lacking.cache_clear()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_packed_weights_compute_in_half_too(dtype: str, bench: Bench) -> None:
    latent, _ = painted(bench, "load_quantized", {"file": f"{DEV}/transformer", "method": "nf4", "dtype": dtype})
    assert latent.isfinite().all()


def test_a_text_encoder_can_be_packed_in_any_method(bench: Bench) -> None:
    steps = {"load": ("load_checkpoint", {"file": DEV})}
    for method in METHODS:
        steps[method] = ("quantize_text_encoder", {"text_encoder": "@load.text_encoder", "method": method})
        steps[f"text {method}"] = ("encode_text", {"text_encoder": f"@{method}.text_encoder", "max_length": 8})
    steps["exact"] = ("encode_text", {"text_encoder": "@load.text_encoder", "max_length": 8})
    ran = bench.good(steps, "exact", *(f"text {method}" for method in METHODS))
    exact = ran.one("exact").tensors["text"]
    for method in METHODS:
        off = (ran.one(f"text {method}").tensors["text"] - exact).norm() / exact.norm()
        assert 0 < off < (0.05 if method in ("int8", "fp8") else 0.3)


def test_nothing_to_keep_packed_is_refused(bench: Bench) -> None:
    ran = bench.run({"load": ("load_quantized", {"file": f"{DEV}/transformer", "method": "packed"})}, "load")
    assert ran.status == "failed"
    assert "nothing in it is packed" in str(ran.problems[0])


def test_auto_keeps_a_file_packed_where_its_numbers_would_not_leave_room(
    blocks: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, _ = recipe(bench, "load_model", file="wide.Q4_K.gguf")
    assert large.storage == "unpacked"
    monkeypatch.setattr("nodes.recipes.memory_of", lambda device: large.nbytes())
    small, _ = recipe(bench, "load_model", file="wide.Q6_K.gguf")
    assert small.storage == "packed" and small.nbytes() < large.nbytes() / 2
    exact, _ = recipe(bench, "load_model", file="wide.Q6_K.safetensors")
    assert exact.storage == "unpacked"


@pytest.mark.parametrize(("method", "off"), [("bnb-int8", 0.1), ("bnb-nf4", 0.6)])
def test_bitsandbytes_computes_what_it_packed(method: str, off: float, blocks: Path, bench: Bench) -> None:
    """Where it is installed."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install latentloom[bnb]")
    exact, _ = painted(bench, "load_model", {"file": "wide.Q8_0.safetensors"})
    near, _ = painted(bench, "load_quantized", {"file": "wide.Q8_0.safetensors", "method": method})
    assert 0 < (near - exact).norm() / exact.norm() < off


def test_bitsandbytes_is_asked_for_where_it_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.quantized.installed", lambda: False)
    ran = bench.run({"load": ("load_quantized", {"file": f"{DEV}/transformer", "method": "bnb-nf4"})}, "load")
    assert ran.status == "failed" and "pip install latentloom[bnb]" in str(ran.problems[0])
