"""Lumina-Next's files as their authors keep them, and its relatives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graph_runtime.problem import Refused
from nodes.models.family import detect
from nodes.models.load import load_transformer
from nodes.models.lumina import keys

from .. import checkpoints as made
from ..families import EXAMPLES
from ..headers import header

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
    [({"context_refiner.0.attention.qkv.weight": (1, 1)}, "Lumina-Image 2.0"), ({"eol_token": (64,)}, "Flag-DiT")],
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
