"""The files of Lumina-Next and Lumina-T2I as their authors keep them, and their relatives."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.family import detect, inspect
from nodes.models.load import load_transformer
from nodes.models.lumina import keys
from nodes.models.lumina.config import Config

from .. import checkpoints as made
from ..families import EXAMPLES
from ..headers import Shapes, header, shapes_of

LUMINA = EXAMPLES["lumina"]


@pytest.mark.parametrize("name", ["consolidated_ema.00-of-01.safetensors", "consolidated.00-of-01.safetensors"])
def test_a_consolidated_file_is_read_alone_and_in_its_folder(name: str, tmp_path: Path) -> None:
    """The pickle beside it is not opened: everything is in the tensors."""
    made.save(tmp_path / name, LUMINA.state())
    (tmp_path / "model_args.pth").write_bytes(b"\x80\x04\x95no pickle is read")
    for path in (tmp_path / name, tmp_path):
        found = detect(path)
        assert found.config == LUMINA.family.transformer.Config.tiny(side=128)
        assert torch.equal(load_transformer(found, torch.float32).pad_token, LUMINA.state()["pad_token"])  # type: ignore


def test_a_folder_of_pickles_alone_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "consolidated_ema.00-of-01.pth").write_bytes(b"\x80\x04")
    with pytest.raises(Refused, match="a pickle, but no safetensors"):
        detect(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"context_refiner.0.attention.qkv.weight": (1, 1)}, "Lumina-Image 2.0"),
        ({"eol_token": (64,)}, "part of a Lumina-T2I 5B"),
    ],
)
def test_a_relative_is_called_by_its_name(change: dict[str, tuple[int, ...]], said: str, tmp_path: Path) -> None:
    """They share names with it, but not the norms in front of attention."""
    shared = {name: tensor for name, tensor in LUMINA.state().items() if "attention_norm1" not in name}
    shared |= {name: torch.zeros(shape) for name, shape in change.items()}
    with pytest.raises(Refused, match=said):
        detect(made.save(tmp_path / "m.safetensors", shared))


def test_copies_are_named_block_by_block() -> None:
    shapes = {name: tuple(t.shape) for name, t in LUMINA.diffusers(LUMINA.state(), LUMINA.config).items()}
    part = keys.match(header(shapes))
    assert part is not None
    found = keys.copies(part)
    assert len(found) == 3 * 2 and found["layers.1.attn2.norm_q.bias"] == "layers.1.attn1.norm_q.bias"


def test_heads_without_shared_keys_have_another_name() -> None:
    config = LUMINA.family.transformer.Config.tiny(kv_heads=4)
    with torch.device("meta"):
        state = LUMINA.family.transformer.Transformer(config).state_dict()
    part = keys.match(header({name: tuple(t.shape) for name, t in state.items()}, {"sample_size": 16}))
    assert part is not None and part.config == config and "without shared heads" in part.variant


def published_of_t2i(layers: int = 32) -> Shapes:
    """Names and shapes of `DiT_Llama_5B_patch2`, as its authors' class has them: 688 tensors."""
    width, text, inner = 3072, 4096, 8192
    shapes: Shapes = {"eol_token": (width,), "pad_token": (width,)}

    def linear(name: str, rows: int, columns: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (rows, columns)
        if bias:
            shapes[f"{name}.bias"] = (rows,)

    def norm(name: str, features: int, bias: bool = False) -> None:
        shapes[f"{name}.weight"] = (features,)
        if bias:
            shapes[f"{name}.bias"] = (features,)

    linear("x_embedder", width, 2 * 2 * 4)
    linear("t_embedder.mlp.0", 1024, 256)
    linear("t_embedder.mlp.2", 1024, 1024)
    norm("cap_embedder.0", text, bias=True)
    linear("cap_embedder.1", 1024, text)
    for i in range(layers):
        block = f"layers.{i}."
        shapes[f"{block}attention.gate"] = (32,)
        for name in ("wq", "wk", "wv", "wo"):
            linear(f"{block}attention.{name}", width, width, bias=False)
        for name in ("wk_y", "wv_y"):
            linear(f"{block}attention.{name}", width, text, bias=False)
        for name in ("q_norm", "k_norm", "ky_norm"):
            norm(f"{block}attention.{name}", width, bias=True)
        for name in ("w1", "w3"):
            linear(f"{block}feed_forward.{name}", inner, width, bias=False)
        linear(f"{block}feed_forward.w2", width, inner, bias=False)
        for name in ("attention_norm", "ffn_norm"):
            norm(block + name, width)
        norm(f"{block}attention_y_norm", text)
        linear(f"{block}adaLN_modulation.1", 6 * width, 1024)
    linear("final_layer.linear", 2 * 2 * 8, width)
    linear("final_layer.adaLN_modulation.1", 2 * width, 1024)
    return shapes


def test_t2i_5b_is_known_and_filled_by_the_published_names() -> None:
    shapes = published_of_t2i()
    assert len(shapes) == 688 and sum(math.prod(shape) for shape in shapes.values()) == 5_046_643_744
    part = keys.match(header(shapes))
    assert part is not None and part.config == Config.flag_dit() and part.variant == "Lumina-T2I (Flag-DiT)"
    with torch.device("meta"):
        module = LUMINA.family.transformer.Transformer(part.config)
    assert shapes_of(module) == shapes and keys.rename(part).keys() == shapes.keys()
    assert keys.aliases(part.config) == {}


def test_t2i_without_norms_of_queries_is_read_as_such() -> None:
    norms = ("attention.q_norm", "attention.k_norm", "attention.ky_norm")
    shapes = {name: shape for name, shape in published_of_t2i(2).items() if not any(norm in name for norm in norms)}
    part = keys.match(header(shapes))
    assert part is not None and not part.config.qk_norm
    with torch.device("meta"):
        assert shapes_of(LUMINA.family.transformer.Transformer(part.config)) == shapes


def test_inspection_tells_the_relatives_apart(tmp_path: Path) -> None:
    for name, variant in (("lumina", "Lumina-Next"), ("flag_dit", "Lumina-T2I (Flag-DiT)")):
        seen = inspect(made.save(tmp_path / f"{name}.safetensors", EXAMPLES[name].state()))
        assert (seen["family"], seen["variant"]) == ("lumina", variant)
