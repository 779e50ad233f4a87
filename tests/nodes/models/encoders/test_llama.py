"""LLaMA 2 as Lumina-T2I reads it, against transformers': after the last norm, begun and ended, capitals as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, LlamaForCausalLM

from graph_runtime.problem import Refused
from nodes.models.encoders import decoder, language_keys
from nodes.models.encoders.language import Language
from nodes.models.encoders.language_keys import usual_layers, within
from nodes.models.family import family_named, find, inspect
from nodes.models.load import load_encoder, load_text_encoder
from nodes.models.weights.part import Part

from .. import checkpoints as made
from ..headers import Shapes, header
from . import languages

PROMPTS = ["A fluffy Mouse holding a watermelon", "", "an eagle soldier, 1914"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return languages.write_llama(tmp_path_factory.mktemp("shelf") / "Llama-2-7b-hf")


def authors(folder: Path, prompts: list[str]) -> tuple[Tensor, Tensor]:
    """Features and mask as `lumina_t2i/demo.py` makes them: no mask is given, and texts are filled up with zeroes."""
    tokenizer = AutoTokenizer.from_pretrained(folder, add_bos_token=True, add_eos_token=True)
    ids = [tokenizer.encode(prompt, truncation=False) for prompt in prompts]
    table = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(table)
    for row, one in enumerate(ids):
        table[row, : len(one)], mask[row, : len(one)] = torch.tensor(one), 1
    with torch.no_grad():
        return AutoModel.from_pretrained(folder)(input_ids=table).last_hidden_state, mask


def read(folder: Path, **changes: Any) -> Any:
    part = find(folder).parts["llama"]
    return load_text_encoder(family_named("lumina"), {"llama": Part(**(vars(part) | changes))}, torch.float32)


def test_features_are_those_of_the_authors_programs(folder: Path) -> None:
    features, mask = authors(folder, PROMPTS)
    came = read(folder)(PROMPTS).tensors
    length = features.shape[1]
    assert came["text"].shape[1] % 8 == 0 and torch.equal(came["mask"][:, :length], mask)
    assert not came["mask"][:, length:].any() and not came["text"][came["mask"] == 0].any()
    off = (came["text"][:, :length] - features)[mask.bool()].norm() / features[mask.bool()].norm()
    assert off <= 1e-5


def test_a_text_begins_and_ends_and_keeps_its_capitals(folder: Path) -> None:
    encoder = read(folder)
    tokens = encoder.llama_tokenizer.read(["a Mouse", ""], 64)
    begin, end = encoder.llama_tokenizer.inner.convert_tokens_to_ids(["<s>", "</s>"])
    for ids, mask in zip(tokens.ids, tokens.mask, strict=True):
        text = ids[mask.bool()].tolist()
        assert (text[0], text[-1]) == (begin, end)
    assert tokens.mask.sum(1)[1] == 2
    loud, small = (encoder(["a Mouse"], **how).tensors["text"] for how in ({}, {"lower": True}))
    assert not torch.equal(loud, small) and torch.equal(small, encoder(["a mouse"]).tensors["text"])


def test_a_long_text_is_cut_before_its_end_and_that_is_said(folder: Path) -> None:
    encoded = read(folder)(["a mouse " * 20], max_length=16)
    assert encoded.tensors["mask"].sum() == 16 and "LLaMA reads 16 tokens" in encoded.notes[0]


def test_a_tokenizer_is_found_in_the_folder_of_its_model_or_beside_it(folder: Path, tmp_path: Path) -> None:
    assert find(folder).parts["llama"].tokenizer == folder
    apart = languages.write_llama(tmp_path / "text_encoder", beside=False)
    assert find(apart).parts["llama"].tokenizer == tmp_path / "tokenizer"
    assert torch.equal(read(apart)(PROMPTS).tensors["text"], read(folder)(PROMPTS).tensors["text"])
    with pytest.raises(Refused, match="Put LLaMA's tokenizer folder"):
        read(folder, tokenizer=None)


def plain(folder: Path) -> dict[str, Tensor]:
    """All of the model under the names it has in memory."""
    state = LlamaForCausalLM.from_pretrained(folder).state_dict()
    return {name.removeprefix("model."): tensor.clone() for name, tensor in state.items()}


@pytest.mark.parametrize("prefix", ["", "model.", "text_encoders.llama.transformer.model."])
def test_names_of_transformers_under_any_prefix(prefix: str, folder: Path, tmp_path: Path) -> None:
    state = made.under(prefix, {n: t for n, t in plain(folder).items() if n != "lm_head.weight"})
    state[f"{prefix}layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(6)  # in files of old
    path = made.save(tmp_path / "m.safetensors", state, {"config": (folder / "config.json").read_text()})
    shutil.copytree(folder, tmp_path / "llama_tokenizer", ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    assert torch.equal(read(path)(PROMPTS).tensors["text"], read(folder)(PROMPTS).tensors["text"])


def test_llama_cpp_s_file_has_queries_in_another_order(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    path, _ = made.save_gguf(tmp_path / "m.gguf", languages.llama_cpp(plain(folder), 4, 4), "F32", arch="llama")
    part = find(path, config).parts["llama"]
    assert part.layout == "gguf" and part.config["decoder"]["interleaved"]
    ids = torch.arange(3, 20)
    ours, usual = (
        load_encoder(within(one, 0), torch.float32).hidden(ids, (3,))  # type: ignore[operator]
        for one in (part, find(folder).parts["llama"])
    )
    assert torch.allclose(ours, usual, atol=1e-4)


def full(**changes: Any) -> Shapes:
    """LLaMA-2-7B as it was published."""
    sizes = {"vocabulary": 32000, "width": 4096, "inner": 11008, "layers": 32, "heads": 32, "kv_heads": 32}
    config = decoder.Config(**(sizes | {"theta": 1e4, "writes": True} | changes))  # type: ignore[arg-type]
    with torch.device("meta"):
        state = Language("llama", config.layers, config).state_dict()
    return {n if n.startswith("lm_head") else f"model.{n}": tuple(t.shape) for n, t in state.items()}


def test_the_published_model_is_told_by_its_shapes_and_all_but_its_output_layer_is_read() -> None:
    part = language_keys.match(header(full()))
    assert part is not None and (part.kind, part.variant) == ("llama", "LLaMA 7B")
    assert part.header.parameters == 6_738_415_616 and usual_layers("llama", 32) == (32,)
    config = within(part, 0).config["decoder"]
    assert within(part, 0).header.parameters == 6_607_343_616 == 6_738_415_616 - 32000 * 4096
    found = (config["layers"], config["heads"], config["kv_heads"], config["head"], config["theta"], config["eps"])
    assert found == (32, 32, 32, 128, 1e4, 1e-5) and config["final_norm"] and not config["writes"]


def test_its_relatives_are_not_taken_for_it() -> None:
    assert language_keys.match(header(full(kv_heads=8, inner=14336))) is None  # Mistral 7B has as many words
    llama3 = header(full(vocabulary=128256, kv_heads=8, inner=14336), {"model_type": "llama"})
    assert language_keys.match(llama3) is None


def test_without_the_norm_it_is_read_through_it_is_refused() -> None:
    shapes = {name: shape for name, shape in full().items() if name != "model.norm.weight"}
    with pytest.raises(Refused, match="the norm after the last layer was left out"):
        language_keys.match(header(shapes))


def test_each_family_refuses_the_other_s_reader(folder: Path, tmp_path: Path) -> None:
    part = find(folder).parts["llama"]
    with pytest.raises(Refused, match="LLaMA is a text encoder that flux2 does not read with"):
        load_text_encoder(family_named("flux2"), {"llama": part}, torch.float32)
    other = made.save(
        tmp_path / "m.safetensors", languages.on_disk(languages.mistral()), {"config": json.dumps(languages.MISTRAL)}
    )
    with pytest.raises(Refused, match="Mistral is a text encoder that lumina does not read with"):
        load_text_encoder(family_named("lumina"), {"language": find(other).parts["language"]}, torch.float32)


def test_inspection_names_it(folder: Path) -> None:
    seen = inspect(folder)
    assert seen["family"] == "" and seen["parts"]["llama"]["kind"] == "LLaMA"
