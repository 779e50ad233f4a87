"""Language models in every naming: known, cut down to what is read, and loaded to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.encoders import decoder, language_keys, pixtral
from nodes.models.encoders.language import Language, build
from nodes.models.encoders.language_keys import check_layers, usual_layers, within
from nodes.models.family import FAMILIES, family_named, find, inspect
from nodes.models.load import load_encoder, load_text_encoder
from nodes.models.weights.part import Part

from .. import checkpoints as made
from ..headers import header, shapes_of
from . import languages

CONFIG = {"config": json.dumps(languages.MISTRAL)}


def full_mistral(reach: int = 40, sees: bool = True) -> Language:
    config = decoder.Config(layers=reach, final_norm=sees, writes=sees)
    with torch.device("meta"):
        return Language("mistral", 40, config, pixtral.Config() if sees else None)


def full_qwen3(width: int, inner: int, layers: int = 36, tied: bool = False) -> Language:
    config = decoder.Config(
        vocabulary=151936, width=width, inner=inner, layers=layers, theta=1e6, eps=1e-6, qk_norm=True,
        writes=layers == 36, final_norm=layers == 36, tied=tied,
    )  # fmt: skip
    with torch.device("meta"):
        return Language("qwen3", 36, config)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_full_sizes_are_the_published_ones() -> None:
    """Mistral-Small-3.2 with its eye, Qwen3-4B (whose output layer is its embedding) and Qwen3-8B."""
    assert count(full_mistral()) == 24_011_361_280
    heads = {"heads": 32, "kv_heads": 8}
    assert heads["heads"] == full_qwen3(2560, 9728).config.heads
    assert count(full_qwen3(2560, 9728, tied=True)) == 4_022_468_096
    assert count(full_qwen3(4096, 12288)) == 8_190_735_360


def test_of_the_published_file_only_what_is_read_is_loaded() -> None:
    """Exact keys and sizes: 30 of 40 layers, no output layer, no eye: 17.3 of 24.0 thousand million numbers."""
    for named in (languages.on_disk, languages.in_memory):
        whole = named(full_mistral().state_dict())
        part = language_keys.match(header({name: tuple(t.shape) for name, t in whole.items()}))
        assert part is not None and part.variant == "Mistral 24B" and part.header.parameters == 24_011_361_280
        wanted = full_mistral(30, sees=False)
        read = within(part, 0)
        assert count(wanted) == read.header.parameters == 17_343_754_240
        assert language_keys.rename(read).keys() == wanted.state_dict().keys()
        assert shapes_of(build(read.config)) == shapes_of(wanted)
        assert language_keys.rename(within(part, -1)).keys() == full_mistral().state_dict().keys()
        assert within(part, -1).config["vision"]["side"] == 1540


def test_klein_reads_twenty_seven_layers() -> None:
    shapes = {f"model.{n}": tuple(t.shape) for n, t in full_qwen3(2560, 9728, tied=True).state_dict().items()}
    part = language_keys.match(header(shapes))
    assert part is not None and (part.variant, part.config["decoder"]["layers"]) == ("Qwen3 4B", 36)
    read = within(part, 0)
    assert read.config["decoder"]["layers"] == 27 and count(build(read.config)) == read.header.parameters


def holds(module: torch.nn.Module, truth: dict[str, torch.Tensor]) -> None:
    found = dict(module.named_parameters())
    assert found.keys() == truth.keys()
    assert [name for name in truth if not torch.equal(found[name], truth[name])] == []


def part_of(path: Path, config: dict[str, object] | None = None) -> Part:
    return find(path, config).parts["language"]


NAMINGS = {"on disk": languages.on_disk, "in memory": languages.in_memory, "plain": dict}


@pytest.mark.parametrize("prefix", ["", "text_encoders.mistral3_24b.transformer."])
@pytest.mark.parametrize("naming", NAMINGS)
def test_mistral_is_the_same_from_every_naming(naming: str, prefix: str, tmp_path: Path) -> None:
    truth = languages.mistral()
    path = made.save(tmp_path / "m.safetensors", made.under(prefix, NAMINGS[naming](truth)), CONFIG)
    part = part_of(path)
    assert (part.prefix, part.config["type"], part.config["total"]) == (prefix, "mistral", 4)
    holds(load_encoder(within(part, -1), torch.float32), truth)
    three = {n: t for n, t in languages.comfy(truth, 3).items() if n != "tekken_model"}
    holds(load_encoder(within(part, 0), torch.float32), {n.removeprefix("model."): t for n, t in three.items()})


@pytest.mark.parametrize("cut", [0, 3])
def test_comfyui_s_files_bring_their_tokenizer(cut: int, tmp_path: Path) -> None:
    path = made.save(tmp_path / "m.safetensors", languages.comfy(languages.mistral(), cut), CONFIG)
    part = part_of(path)
    assert part.tokenizer == path and part.config["decoder"]["final_norm"] == (not cut)
    text = load_text_encoder(family_named("flux2"), {"language": part}, torch.float32)
    folder = languages.tokenizer_folder(tmp_path / "tokenizer")
    whole = part_of(made.save(tmp_path / "whole" / "m.safetensors", languages.on_disk(languages.mistral()), CONFIG))
    other = load_text_encoder(
        family_named("flux2"), {"language": Part(**{**vars(whole), "tokenizer": folder})}, torch.float32
    )
    prompt = ["a hermit crab, Grüße 42 山中 [INST]"]
    for layers in ((1, 2, 3), (0, 1, 2)):
        one, two = (encoder(prompt, layers=layers).tensors["text"] for encoder in (text, other))
        assert torch.equal(one, two)


def test_comfyui_s_fp8_is_multiplied_by_its_scales(tmp_path: Path) -> None:
    plain = {n: t for n, t in languages.comfy(languages.mistral()).items() if n != "tekken_model"}
    stored, truth = made.comfy_quant(plain)
    tekken = {"tekken_model": languages.bytes_of(languages.tekken(languages.words()))}
    part = part_of(made.save(tmp_path / "m.safetensors", stored | tekken, CONFIG))
    kept = {n.removeprefix("model."): t for n, t in truth.items()}
    kept = {n: t for n, t in kept.items() if languages.below(n, 3) and not n.startswith("norm.")}
    holds(load_encoder(within(part, 0), torch.float32), kept)
    fp4 = made.save(
        tmp_path / "fp4.safetensors", plain | {"model.layers.0.mlp.up_proj.weight_scale_2": torch.ones(1)}, CONFIG
    )
    with pytest.raises(Refused, match="NVFP4"):
        load_encoder(within(part_of(fp4), 0), torch.float32)


def test_a_file_that_was_cut_gives_its_last_layer_without_a_norm(tmp_path: Path) -> None:
    """With the norm there, as the whole model has it, the last layer's features would be normed."""
    cut = part_of(made.save(tmp_path / "a.safetensors", languages.comfy(languages.mistral(), 3), CONFIG))
    whole = part_of(made.save(tmp_path / "b.safetensors", languages.comfy(languages.mistral()), CONFIG))
    ids = torch.arange(20, 30)
    raw, same, last = (
        load_encoder(within(part, reach), torch.float32).hidden(ids, (min(reach, 4),))  # type: ignore[operator]
        for part, reach in ((cut, 3), (whole, 3), (whole, 4))
    )
    assert torch.equal(raw, same)
    sizes = [float(one.square().mean()) for one in (raw, last)]
    assert sizes[1] < 3 < sizes[0], "weights of a norm are about 0.5 here"


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_mistral_from_llama_cpp_s_file(kind: str, tmp_path: Path) -> None:
    """Rows of queries and keys stay in llama.cpp's order; they are turned accordingly, and features are the same."""
    truth = languages.mistral()
    plain = {n: t for n, t in truth.items() if not n.startswith(("vision", "multi"))}
    config = languages.MISTRAL
    path, stored = made.save_gguf(tmp_path / "m.gguf", languages.llama_cpp(plain, 4, 2), kind, arch="llama")
    part = part_of(path, config)
    assert part.layout == "gguf" and part.config["decoder"]["interleaved"]
    found = load_encoder(within(part, 0), torch.float32)
    usual = part_of(made.save(tmp_path / "m.safetensors", plain, CONFIG))
    expected = load_encoder(within(usual, 0), torch.float32)
    if kind == "F32":
        ids = torch.arange(20, 33)
        one, two = (module.hidden(ids, (1, 2, 3), start=7) for module in (found, expected))  # type: ignore[operator]
        assert torch.allclose(one, two, atol=1e-4)
    assert torch.equal(found.embed_tokens.weight, stored["token_embd.weight"])  # type: ignore[union-attr]


@pytest.mark.parametrize("prefix", ["model.", "", "text_encoders.qwen3_4b.transformer.model."])
def test_qwen3_is_told_by_the_norms_of_its_queries(prefix: str, tmp_path: Path) -> None:
    truth = languages.qwen3()
    part = part_of(made.save(tmp_path / "m.safetensors", made.under(prefix, truth)))
    assert part.config["type"] == "qwen3" and part.config["decoder"]["head"] == 12
    kept = {n: t for n, t in truth.items() if languages.below(n, 3) and not n.startswith("norm.")}
    holds(load_encoder(within(part, 0), torch.float32), kept)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.pre_feedforward_layernorm.weight", "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.mlp.experts.0.gate_proj.weight",
    ],
)  # fmt: skip
def test_other_language_models_are_not_taken_for_one_of_these(name: str) -> None:
    for state in (languages.on_disk(languages.mistral()), made.under("model.", languages.qwen3())):
        shapes = {n: tuple(t.shape) for n, t in state.items()}
        assert language_keys.match(header(shapes, languages.MISTRAL)) is not None
        assert language_keys.match(header(shapes | {name: (1,)}, languages.MISTRAL)) is None
    shapes = {f"model.{n}": tuple(t.shape) for n, t in languages.mistral().items()}
    gemma = {"model_type": "gemma", "hidden_size": 32, "head_dim": 12}
    assert language_keys.match(header(shapes, gemma)) is None


def test_a_config_of_another_model_in_the_same_file_says_nothing() -> None:
    """The base of a transformer's turns must not become that of the text encoder's."""
    shapes = {f"model.{n}": tuple(t.shape) for n, t in languages.qwen3().items()}
    part = language_keys.match(header(shapes, {"rope_theta": 2000, "axes_dims_rope": [8, 8, 8, 8]}))
    assert part is not None and part.config["decoder"]["theta"] == 1e6


def test_sizes_that_cannot_be_are_refused() -> None:
    shapes = {n: tuple(t.shape) for n, t in languages.on_disk(languages.mistral()).items()}
    base = "language_model.model."
    for name, wrong in (
        ("embed_tokens.weight", (64,)), ("layers.0.self_attn.q_proj.weight", (50, 32)), ("layers.9.x.weight", (1,)),
        ("layers.0.self_attn.k_proj.weight", (36, 32)), ("layers.0.mlp.gate_proj.weight", (0, 0)),
    ):  # fmt: skip
        with pytest.raises(Refused):
            language_keys.match(header(shapes | {base + name: wrong}, languages.MISTRAL))
    with pytest.raises(Refused, match="in heads of 128"):
        language_keys.match(header(shapes))


def test_what_cannot_write_or_is_not_so_deep_is_refused(tmp_path: Path) -> None:
    part = part_of(made.save(tmp_path / "a.safetensors", languages.comfy(languages.mistral(), 3), CONFIG))
    with pytest.raises(Refused, match="only reads"):
        within(part, -1)
    with pytest.raises(Refused, match="layer 4 was asked for, but it has 3"):
        within(part, 4)
    for layers in ((1, 2, 5), (2, 1), (-1, 2), (1, 1), ()):
        with pytest.raises(Refused, match="0 to 3"):
            check_layers(part, layers)


def test_the_layers_that_are_read_are_the_published_or_the_same_quarters() -> None:
    assert usual_layers("mistral", 40) == usual_layers("mistral", 30) == (10, 20, 30)
    assert usual_layers("qwen3", 36) == (9, 18, 27)
    assert usual_layers("mistral", 4) == (1, 2, 3)


def test_a_text_encoder_without_a_tokenizer_is_refused_with_where_to_put_one(tmp_path: Path) -> None:
    part = part_of(made.save(tmp_path / "m.safetensors", languages.on_disk(languages.mistral()), CONFIG))
    with pytest.raises(Refused, match=r"tokenizer[\s\S]*Put the tokenizer folder"):
        load_text_encoder(family_named("flux2"), {"language": part}, torch.float32)


def test_inspection_names_it_and_no_family_paints_with_it(tmp_path: Path) -> None:
    seen = inspect(made.save(tmp_path / "m.safetensors", languages.on_disk(languages.mistral()), CONFIG))
    assert seen["family"] == "" and seen["parts"]["language"]["kind"] == "Mistral"
    assert [one.name for one in FAMILIES if "language" in one.defaults.ENCODERS] == ["flux2"]
