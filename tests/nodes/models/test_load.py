from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from graph_runtime.problem import Refused
from nodes.models.encoders import umt5
from nodes.models.family import FAMILIES, Found, _parts, detect, find
from nodes.models.load import load_autoencoder, load_encoder, load_text_encoder, load_transformer
from nodes.models.weights.header import Header, read_header

from . import checkpoints as made
from .checkpoints import State


def holds(module: nn.Module, truth: State, dtype: torch.dtype = torch.float32) -> None:
    """The module's parameters are exactly these numbers, each of them, rounded once."""
    found = dict(module.named_parameters())
    assert found.keys() == truth.keys()
    for name, wanted in truth.items():
        assert torch.equal(found[name], wanted.to(dtype)), name
        assert not found[name].requires_grad and found[name].device.type == "cpu"
    assert not module.training


FLUX_FILES: dict[str, Callable[[Path], tuple[Path, State]]] = {}


def layout(make: Callable[[Path], tuple[Path, State]]) -> Callable[[Path], tuple[Path, State]]:
    FLUX_FILES[make.__name__] = make
    return make


def one_file(folder: Path, state: State, truth: State) -> tuple[Path, State]:
    return made.save(folder / "m.safetensors", state, {"config": json.dumps(made.AXES)}), truth


@layout
def original(folder: Path) -> tuple[Path, State]:
    return one_file(folder, made.flux_state(), made.flux_state())


@layout
def original_under_model(folder: Path) -> tuple[Path, State]:
    return one_file(folder, made.under("model.", made.flux_state()), made.flux_state())


@layout
def original_in_bfloat16(folder: Path) -> tuple[Path, State]:
    state = {name: tensor.bfloat16() for name, tensor in made.flux_state().items()}
    return one_file(folder, state, {name: tensor.float() for name, tensor in state.items()})


@layout
def diffusers_in_one_file(folder: Path) -> tuple[Path, State]:
    return one_file(folder, made.under("transformer.", made.flux_to_diffusers(made.flux_state())), made.flux_state())


@layout
def diffusers_in_shards(folder: Path) -> tuple[Path, State]:
    state = made.flux_to_diffusers(made.flux_state())
    return made.shards(folder / "transformer", state, 3, "diffusion_pytorch_model", made.AXES), made.flux_state()


@layout
def plain_fp8(folder: Path) -> tuple[Path, State]:
    state = {name: tensor.to(made.E4) for name, tensor in made.flux_state().items()}
    return one_file(folder, state, {name: tensor.float() for name, tensor in state.items()})


@layout
def scaled_fp8(folder: Path) -> tuple[Path, State]:
    return one_file(folder, *made.scaled_fp8(made.flux_state()))


@layout
def fp8_with_scales_per_layer(folder: Path) -> tuple[Path, State]:
    return one_file(folder, *made.comfy_quant(made.flux_state()))


@layout
def int8_rows_under_diffusers_names(folder: Path) -> tuple[Path, State]:
    stored, _ = made.int8_rows(made.flux_to_diffusers(made.flux_state()))
    _, truth = made.int8_rows(made.flux_state())  # rows keep their scales when q, k and v are joined
    swapped = "final_layer.adaLN_modulation.1.weight"
    return one_file(folder, stored, truth | {swapped: made.int8_rows(made.flux_state())[1][swapped]})


@layout
def all_in_one(folder: Path) -> tuple[Path, State]:
    file, flux, *_ = made.all_in_one()
    return one_file(folder, file, flux)


@layout
def all_in_one_scaled_fp8(folder: Path) -> tuple[Path, State]:
    file, flux, *_ = made.all_in_one(fp8=True)
    return one_file(folder, file, flux)


@pytest.mark.parametrize("name", FLUX_FILES)
def test_a_transformer_is_the_same_from_every_layout(name: str, tmp_path: Path) -> None:
    path, truth = FLUX_FILES[name](tmp_path)
    found = detect(path)
    assert (found.family and found.family.name, found.variant, found.config) == ("flux1", "dev", made.FLUX)
    holds(load_transformer(found, torch.float32), truth)
    holds(load_transformer(found, torch.bfloat16), truth, torch.bfloat16)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_a_transformer_is_what_gguf_dequantises(kind: str, tmp_path: Path) -> None:
    path, truth = made.save_gguf(tmp_path / "m.gguf", made.flux_state(), kind)
    found = detect(path, config=made.AXES)
    assert found.format == "gguf" and found.config == made.FLUX
    holds(load_transformer(found, torch.float32), truth)


@pytest.mark.parametrize("fp8", [False, True])
def test_everything_in_one_file_is_found_and_loaded(fp8: bool, tmp_path: Path) -> None:
    file, _, text, long, vae = made.all_in_one(fp8)
    found = find(made.save(tmp_path / "m.safetensors", file), config=made.AXES)
    assert sorted(found.parts) == ["clip", "t5", "transformer", "vae"]
    holds(load_encoder(found.parts["clip"], torch.float32), text)
    holds(load_encoder(found.parts["t5"], torch.float32), long)
    holds(load_autoencoder(found.parts["vae"], torch.float32), vae)


@pytest.mark.parametrize("prefix", ["", "vae.", "first_stage_model."])
def test_an_autoencoder_is_the_same_under_both_namings(prefix: str, tmp_path: Path) -> None:
    for i, state in enumerate((made.vae_state(), made.vae_to_diffusers(made.vae_state()))):
        found = find(made.save(tmp_path / f"{i}.safetensors", made.under(prefix, state)))
        module = load_autoencoder(found.parts["vae"], torch.float32)
        holds(module, made.vae_state())
        assert (module.config.scale, module.config.shift, found.family) == (0.3611, 0.1159, None)


def test_scale_and_shift_come_from_the_config_beside_the_weights(tmp_path: Path) -> None:
    config: dict[str, object] = {"scaling_factor": 0.13025, "shift_factor": None, "sample_size": 64}
    state = made.vae_to_diffusers(made.vae_state())
    found = find(made.shards(tmp_path / "vae", state, 1, "diffusion_pytorch_model", config))
    module = load_autoencoder(found.parts["vae"], torch.float32)
    assert (module.config.scale, module.config.shift, module.config.sample_size) == (0.13025, 0.0, 64)
    assert module.config.factor == 4


@pytest.mark.parametrize("tied", ["shared.weight", "encoder.embed_tokens.weight"])
def test_t5_is_the_same_with_either_embedding_and_without_its_decoder(tied: str, tmp_path: Path) -> None:
    state = made.t5_state()
    embedding = state.pop("shared.weight")
    extra = {"decoder.block.0.layer.0.SelfAttention.q.weight": torch.ones(2, 2), "lm_head.weight": torch.ones(2, 2)}
    path = made.save(tmp_path / "t5.safetensors", state | extra | {tied: embedding})
    module = load_encoder(find(path).parts["t5"], torch.float32)
    holds(module, made.t5_state())
    assert module.shared.weight is module.encoder.embed_tokens.weight  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_t5_is_read_from_llama_cpps_names(kind: str, tmp_path: Path) -> None:
    path, truth = made.save_gguf(tmp_path / "t5.gguf", made.t5_state(), kind, made.t5_gguf_name, "t5encoder")
    found = find(path)
    assert found.parts["t5"].layout == "gguf"
    holds(load_encoder(found.parts["t5"], torch.float32), truth)


def test_in_float16_t5_keeps_its_widest_layers_in_float32(tmp_path: Path) -> None:
    module = load_encoder(find(made.save(tmp_path / "t5.safetensors", made.t5_state())).parts["t5"], torch.float16)
    kept = {name for name, p in module.named_parameters() if p.dtype == torch.float32}
    assert kept == {name for name in made.t5_state() if name.endswith("DenseReluDense.wo.weight")}


@pytest.mark.parametrize("prefix", ["text_model.", "", "cond_stage_model.transformer.text_model."])
def test_clip_is_read_with_and_without_its_prefix(prefix: str, tmp_path: Path) -> None:
    path = made.save(tmp_path / "clip.safetensors", made.under(prefix, made.clip_state()))
    module = load_encoder(find(path).parts["clip"], torch.float32)
    holds(module, made.clip_state())
    assert torch.equal(module.embeddings.position_ids, torch.arange(77)[None])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
def test_umt5_is_read_from_both_namings_and_keeps_its_widest_layers(kind: str, tmp_path: Path) -> None:
    state = made.drawn(umt5.build(made.T5), 5)
    tied = {"encoder.embed_tokens.weight": state["shared.weight"]}
    stored = {name: tensor for name, tensor in state.items() if name != "shared.weight"}
    module = load_encoder(find(made.save(tmp_path / "a.safetensors", stored | tied)).parts["umt5"], torch.float32)
    holds(module, state)
    path, truth = made.save_gguf(tmp_path / "b.gguf", state, kind, made.t5_gguf_name, "t5encoder")
    holds(load_encoder(find(path).parts["umt5"], torch.float32), truth)
    half = load_encoder(find(path).parts["umt5"], torch.float16)
    kept = {name for name, p in half.named_parameters() if p.dtype == torch.float32}
    assert kept == {name for name in state if name.endswith("DenseReluDense.wo.weight")}


def test_t5_with_a_bias_in_every_block_is_not_taken_for_t5(tmp_path: Path) -> None:
    state = made.t5_state()
    bias = "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight"
    found = find(made.save(tmp_path / "umt5.safetensors", state | {bias.format(1): state[bias.format(0)].clone()}))
    assert list(found.parts) == ["umt5"]
    with pytest.raises(Refused, match="flux1 does not read with"):
        load_text_encoder(FAMILIES[0], found.parts, torch.float32)


def test_a_text_encoder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    found = find(made.save(tmp_path / "m.safetensors", made.all_in_one()[0]), config=made.AXES)
    assert found.family
    with pytest.raises(Refused, match="tokenizer"):
        load_text_encoder(found.family, {kind: found.parts[kind] for kind in ("clip", "t5")}, torch.float32)


def damaged(header: Header, r: random.Random) -> Header:
    """One to three tensors exchanged, left out, renumbered or given a shape that no model has."""
    names, tensors = list(header.tensors), dict(header.tensors)
    for _ in range(r.randint(1, 3)):
        name, kind = r.choice(names), r.random()
        if kind < 0.4:
            tensors[name] = header.tensors[r.choice(names)]
        elif kind < 0.6:
            tensors.pop(name, None)
        elif kind < 0.8:
            tensors[name.replace(".0.", f".{r.choice([1, 2, 7, 127, 99999])}.", 1)] = header.tensors[name]
        else:
            shape = tuple(r.choice([0, 1, 3, 16, 64, 10**9, 2**62]) for _ in range(r.randint(0, 5)))
            tensors[name] = replace(header.tensors[name], shape=shape)
    return replace(header, tensors=tensors)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_is_refused_or_loaded_and_nothing_else(seed: int, tmp_path: Path) -> None:
    file = made.save(tmp_path / "m.safetensors", made.all_in_one(fp8=True)[0])
    header, r = replace(read_header(file), config=made.AXES), random.Random(seed)
    refused = 0
    for _ in range(8):
        try:
            family, parts = _parts(damaged(header, r), FAMILIES)
            for kind, part in parts.items():
                if kind == "transformer":
                    load_transformer(Found(file, "safetensors", family, parts), torch.float32)
                else:
                    (load_autoencoder if kind == "vae" else load_encoder)(part, torch.float32)
        except Refused as error:
            refused += 1
            assert all(problem.place and problem.fix for problem in error.problems)
    assert refused
