"""Whole pipelines of every family from GGUF files paint what the same numbers unpacked paint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from models import checkpoints as made
from models.encoders.languages import llama_cpp
from safetensors.torch import load_file, save_file
from tiny_families import write_auraflow, write_lumina
from tiny_flux2 import write_dev
from tiny_model import write_checkpoint
from torch import Tensor
from workbench import Bench

from graph_runtime.settings import Settings
from graph_runtime.worker import Worker
from nodes.models.family import find
from nodes.models.load import load_transformer

KINDS = ("Q8_0", "Q4_0", "Q5_1")


@dataclass(frozen=True)
class Reader:
    """A text encoder that people have as GGUF.

    folder  of it in the pipeline;  arch, named  llama.cpp's architecture and its names
    other   the folder of the other text encoder, for families with two
    """

    folder: str
    arch: str
    named: Callable[[dict[str, Tensor]], dict[str, Tensor]]
    other: str = ""


def t5(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {made.t5_gguf_name(name): tensor for name, tensor in state.items() if name != "encoder.embed_tokens.weight"}


def mistral(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Queries and keys in llama.cpp's order; without the eye."""
    inside = "language_model."
    return llama_cpp(
        {n.removeprefix(inside).removeprefix("model."): t for n, t in state.items() if n.startswith(inside)}, 2, 1
    )


READERS = {
    "flux1": Reader("text_encoder_2", "t5encoder", t5, "text_encoder"),
    "auraflow": Reader("text_encoder", "t5encoder", t5),
    "flux2": Reader("text_encoder", "llama", mistral),
}
WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "flux1": write_checkpoint, "auraflow": write_auraflow, "lumina": write_lumina, "flux2": write_dev,
}  # fmt: skip


def written(path: Path, state: Mapping[str, Tensor], kind: str, arch: str, config: dict[str, Any]) -> dict[str, Tensor]:
    """Save a GGUF file with matrices in blocks where they divide; what gguf itself reads out of it."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_string("config", json.dumps(config))
    for name, tensor in state.items():
        stored = gguf.GGMLQuantizationType[kind if tensor.ndim == 2 and tensor.shape[1] % 32 == 0 else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(tensor.float().numpy(), stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in gguf.GGUFReader(path).tensors}
    return {name: torch.from_numpy(np.array(read[name], np.float32)).reshape(t.shape) for name, t in state.items()}


def config_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each family a folder, and of each kind of blocks a transformer and a text encoder, packed and as numbers."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("gguf")
    for family, write in WRITERS.items():
        folder = write(root / family)
        state = {name: t.clone() for name, t in load_transformer(find(folder), torch.float32).state_dict().items()}
        config = config_of(folder / "transformer")
        for kind in KINDS:
            truth = written(root / f"{family}.{kind}.gguf", state, kind, "pig", config)
            save_file(truth, root / f"{family}.{kind}.safetensors", {"config": json.dumps(config)})
        if family in READERS:
            reader = READERS[family]
            state = reader.named(load_file(folder / reader.folder / "model.safetensors"))
            told = config_of(folder / reader.folder)
            told = told | {"text_config": {**told.get("text_config", {}), "model_type": "mistral"}} if reader.arch == (
                "llama") else told  # fmt: skip
            for kind in KINDS:
                truth = written(root / f"{family}.text.{kind}.gguf", state, kind, reader.arch, told)
                if kind == KINDS[0]:
                    written(root / f"{family}.text.numbers.gguf", truth, "F32", reader.arch, told)
    return root


@pytest.fixture(scope="module")
def bench(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(data_dir=home, model_dirs=(shelf,), custom_nodes_dirs=(), device="cpu", threads=1)
    return Bench(Worker(settings), home)


def painted(bench: Bench, family: str, model: tuple[str, dict[str, Any]], text: str = "") -> tuple[Tensor, Tensor]:
    """The latent, and the picture. `text` is a text encoder's file instead of the folder's."""
    steps: dict[str, Any] = {"load": ("load_checkpoint", {"file": family}), "model": model}
    encoder = "@load.text_encoder"
    if text:
        reader, encoder = READERS[family], "@reader.text_encoder"
        files = {"file": text} | ({"second_file": f"{family}/{reader.other}"} if reader.other else {})
        steps["reader"] = ("load_text_encoder", {**files, "tokenizers": family, "family": family})
    steps |= {
        "text": ("encode_text", {"text_encoder": encoder, "prompt": "a red circle", "max_length": 64}),
        "none": ("encode_text", {"text_encoder": encoder, "prompt": "", "max_length": 64}),
        "empty": ("empty_latent", {"model": "@model.model", "width": 48, "height": 32}),
        "paint": ("sample", {
            "model": "@model.model", "positive": "@text.conditioning", "latent": "@empty.latent", "steps": 2, "seed": 3,
            **({} if family == "flux2" else {"negative": "@none.conditioning"}),
        }),
        "show": ("decode", {"latent": "@paint.latent", "vae": "@load.vae"}),
    }  # fmt: skip
    ran = bench.good(steps, "paint", "show")
    return ran.one("paint").samples, ran.one("show").pixels


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", WRITERS)
def test_a_picture_from_gguf_is_the_picture_of_its_numbers(family: str, kind: str, bench: Bench) -> None:
    """Whether they stay packed in memory or not. gguf itself says what the numbers are."""
    wanted = painted(bench, family, ("load_model", {"file": f"{family}.{kind}.safetensors"}))
    assert wanted[0].std() > 0.1
    for method in ("packed", "unpacked"):
        model = ("load_quantized", {"file": f"{family}.{kind}.gguf", "method": method})
        assert same(painted(bench, family, model), wanted)
    assert not same(painted(bench, family, ("load_model", {"file": f"{family}/transformer"})), wanted)


@pytest.mark.parametrize("family", READERS)
def test_a_pipeline_whose_transformer_and_text_encoder_are_gguf(family: str, bench: Bench) -> None:
    numbers = ("load_model", {"file": f"{family}.{KINDS[0]}.safetensors"})
    packed = ("load_quantized", {"file": f"{family}.{KINDS[0]}.gguf", "method": "packed"})
    wanted = painted(bench, family, numbers, f"{family}.text.numbers.gguf")
    assert same(painted(bench, family, packed, f"{family}.text.{KINDS[0]}.gguf"), wanted)
    assert not same(painted(bench, family, packed, f"{family}.text.Q4_0.gguf"), wanted)


@pytest.mark.parametrize("family", READERS)
def test_numbers_in_llama_cpp_s_names_read_as_transformers_does(family: str, shelf: Path, bench: Bench) -> None:
    """T5 and UMT5 by their blocks; Mistral's queries and keys stand in another order there."""
    folder = shelf / family / READERS[family].folder
    state = READERS[family].named(load_file(folder / "model.safetensors"))
    told = config_of(folder)
    told |= {"text_config": {**told.get("text_config", {}), "model_type": "mistral"}} if family == "flux2" else {}
    written(shelf / f"{family}.text.plain.gguf", state, "F32", READERS[family].arch, told)
    model = ("load_model", {"file": f"{family}/transformer"})
    one, other = (painted(bench, family, model, text) for text in ("", f"{family}.text.plain.gguf"))
    assert same(one, other)
