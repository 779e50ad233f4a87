"""LoRAs against diffusers', which applies them through peft: the same file, the same picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import oracle_auraflow
import oracle_flux2
import pytest
import test_parity_auraflow
import test_parity_flux2
import torch
from oracle import Pair, pair
from safetensors.torch import save_file
from test_parity_pipelines import LIMIT, PROMPTS, ours, seeded, theirs, worst
from torch import nn

from nodes.models.family import family_named
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.sampling.noise import noise
from nodes.models.weights import lora
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import Target
from nodes.models.weights.storage import linears

pytest.importorskip("peft", reason="diffusers applies LoRAs through peft, which is not installed")
RANK = 3


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Its own, since diffusers changes its modules when it loads a LoRA."""
    return pair(tmp_path_factory.mktemp("lora"), seed=3, guidance=True)


def written(path: Path, model: nn.Module, seed: int, alpha: float) -> Path:
    """A LoRA of every Linear of diffusers' transformer."""
    g, tensors = torch.Generator().manual_seed(seed), {}
    for name, linear in model.named_modules():
        if isinstance(linear, nn.Linear):
            tensors[f"transformer.{name}.lora_A.weight"] = torch.randn(RANK, linear.in_features, generator=g) * 0.1
            tensors[f"transformer.{name}.lora_B.weight"] = torch.randn(linear.out_features, RANK, generator=g) * 0.1
    names = sorted({name.split(".", 1)[1].rsplit(".lora_", 1)[0] for name in tensors})
    told = {"transformer.r": RANK, "transformer.lora_alpha": alpha, "transformer.target_modules": names}
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(told)})
    return path


def loaded(path: Path, net: Any, family: str = "flux1") -> LowRank:
    aliases = family_named(family).keys.aliases(net.config)
    names = aliases | {name: Target(name) for name, _ in linears(net)}
    found = lora.placed(lora.pairs(read_header(path)), "transformer", names)
    assert not found.left
    lora.check(net, found)
    return lora.load(found, torch.float32)


def test_one_lora_and_two_at_other_strengths(both: Pair, tmp_path: Path) -> None:
    one = written(tmp_path / "one.safetensors", both.pipe.transformer, seed=1, alpha=3)
    two = written(tmp_path / "two.safetensors", both.pipe.transformer, seed=2, alpha=6)
    text = both.text(PROMPTS[:1], max_length=24).tensors
    start = noise((1, 16, 12, 8), 5)
    arguments = {"prompt": PROMPTS[0], "num_inference_steps": 4}
    plain = theirs(both.pipe, 96, 64, **arguments, generator=seeded(5))
    both.pipe.load_lora_weights(one, adapter_name="one")
    expected = theirs(both.pipe, 96, 64, **arguments, generator=seeded(5))
    changes = loaded(one, both.net), loaded(two, both.net)
    with attached(both.net, changes[0], 1.0):
        assert worst(ours(both, start, text), expected) <= LIMIT
    assert worst(expected, plain) > 0.05
    both.pipe.load_lora_weights(two, adapter_name="two")
    both.pipe.set_adapters(["one", "two"], [0.7, -0.4])
    expected = theirs(both.pipe, 96, 64, **arguments, generator=seeded(5))
    with attached(both.net, changes[0], 0.7), attached(both.net, changes[1], -0.4):
        assert worst(ours(both, start, text), expected) <= LIMIT
    assert worst(ours(both, start, text), plain) <= LIMIT


@pytest.mark.parametrize("family", ["auraflow", "flux2"])
def test_loras_on_the_transformers_of_other_families(family: str, tmp_path: Path) -> None:
    """One, and two at other strengths, on every Linear."""
    oracle: Any = {"auraflow": oracle_auraflow.pair, "flux2": oracle_flux2.dev_pair}[family]
    compare: Any = {"auraflow": test_parity_auraflow.both, "flux2": test_parity_flux2.both}[family]
    it = oracle(tmp_path / "pipe", seed=4)
    one = written(tmp_path / "one.safetensors", it.pipe.transformer, seed=1, alpha=3)
    two = written(tmp_path / "two.safetensors", it.pipe.transformer, seed=2, alpha=6)
    it.pipe.load_lora_weights(tmp_path, weight_name=one.name, adapter_name="one")
    changes = loaded(one, it.net, family), loaded(two, it.net, family)
    assert compare(it.pipe.transformer, it.net) > 0.05
    with attached(it.net, changes[0], 1.0):
        assert compare(it.pipe.transformer, it.net) <= 2e-5
    it.pipe.load_lora_weights(tmp_path, weight_name=two.name, adapter_name="two")
    it.pipe.set_adapters(["one", "two"], [0.7, -0.4])
    with attached(it.net, changes[0], 0.7), attached(it.net, changes[1], -0.4):
        assert compare(it.pipe.transformer, it.net) <= 2e-5
