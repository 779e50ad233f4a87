"""LoRAs of every family in every naming that trainers write: each adds the same product to the same matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.problem import Refused
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.sampling.noise import noise
from nodes.models.weights import lora
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import Target
from nodes.models.weights.storage import linears

from .. import checkpoints as made
from ..families import EXAMPLES, Example
from ..lora_files import ALPHA, RANK, Matrices, matrices, merged

SCALE = ALPHA / RANK
AB, DOWN_UP = (".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight")
# What stands before a name, how its halves are called, and with dots as underscores or not.
ORIGINAL = {
    "bare": ("", AB, False),
    "comfyui": ("diffusion_model.", DOWN_UP, False),
    "comfyui, A and B": ("diffusion_model.", AB, False),
    "peft": ("base_model.model.", AB, False),
    "kohya": ("lora_unet_", DOWN_UP, True),
}
DIFFUSERS = {
    "diffusers": ("transformer.", AB, False),
    "diffusers, bare": ("", AB, False),
    "onetrainer": ("lora_transformer_", DOWN_UP, True),
    "lycoris": ("lycoris_", DOWN_UP, True),
    "kohya of diffusers' names": ("lora_unet_", DOWN_UP, True),
}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def net_of(example: Example, state: dict[str, Tensor]) -> nn.Module:
    net: nn.Module = example.family.transformer.Transformer(example.config)
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def linear_matrices(example: Example, seed: int = 0) -> Matrices:
    """down and up of every Linear."""
    names = {name for name, _ in linears(net_of(example, example.state()))}
    return matrices(example.state(), seed, only=names.__contains__)


def in_diffusers_names(example: Example, found: Matrices) -> Matrices:
    """Where diffusers has several matrices for one of ours, up is cut and down is in each of the parts."""
    out, beside = {}, {name: tensor for name, tensor in example.state().items() if name == "pad_token"}
    for module, (down, up) in found.items():
        parts = example.diffusers({f"{module}.weight": up} | beside, example.config)
        out |= {name.removesuffix(".weight"): (down, part) for name, part in parts.items() if name not in beside}
    return out


def written(found: Matrices, prefix: str, halves: tuple[str, str], flat: bool, alpha: bool = True) -> dict[str, Tensor]:
    file = {}
    for name, (down, up) in found.items():
        stem = prefix + (name.replace(".", "_") if flat else name)
        file |= {stem + halves[0]: down.clone(), stem + halves[1]: up.contiguous().clone()}
        file |= {f"{stem}.alpha": torch.tensor(ALPHA)} if alpha else {}
    return file


def changes_of(example: Example, path: Path, net: nn.Module) -> lora.Changes:
    own = {name: Target(name) for name, _ in linears(net)}
    aliases = {name: t for name, t in example.family.keys.aliases(example.config).items() if t.module in own}
    found = lora.placed(lora.pairs(read_header(path)), "transformer", aliases | own)
    lora.check(net, found)
    return found


def loaded(example: Example, tensors: dict[str, Tensor], path: Path, net: nn.Module, told: Any = None) -> LowRank:
    changes = changes_of(example, made.save(path, tensors, told), net)
    assert not changes.left and {target.module for target, _ in changes.changes} == linear_matrices(example).keys()
    return lora.load(changes, torch.float32)


def painted(example: Example, net: nn.Module) -> Tensor:
    x, told = noise((1, example.config.latent_channels, 4, 6), 1), example.told(1, 5)
    v: Tensor = example.family.transformer.velocity(net, told, x.shape, [0.5], 2.0)(x, 0.5)
    return v


def off(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("naming", [*ORIGINAL, *DIFFUSERS])
def test_every_naming_gives_what_merged_weights_give(naming: str, example: Example, tmp_path: Path) -> None:
    """The last modulation among them, whose halves diffusers stores in the other order."""
    found, net = linear_matrices(example), net_of(example, example.state())
    spelt = written(found, *ORIGINAL[naming]) if naming in ORIGINAL else written(
        in_diffusers_names(example, found), *DIFFUSERS[naming])  # fmt: skip
    changes = loaded(example, spelt, tmp_path / "l.safetensors", net)
    plain = painted(example, net)
    for strength in (1.0, -0.5):
        wanted = painted(example, net_of(example, merged(example.state(), found, strength * SCALE)))
        with attached(net, changes, strength):
            assert off(painted(example, net), wanted) < 2e-4
        assert off(plain, wanted) > 0.01
    assert torch.equal(painted(example, net), plain)


def test_alpha_may_be_in_the_header_and_is_the_rank_where_nothing_tells_it(example: Example, tmp_path: Path) -> None:
    found, net = linear_matrices(example), net_of(example, example.state())
    spelt = written(in_diffusers_names(example, found), *DIFFUSERS["diffusers"], alpha=False)
    told = {"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": ALPHA, "transformer.r": RANK})}
    for metadata, scale in ((told, SCALE), (None, 1.0)):
        changes = loaded(example, spelt, tmp_path / "l.safetensors", net, metadata)
        with attached(net, changes, 1.0):
            wanted = net_of(example, merged(example.state(), found, scale))
            assert off(painted(example, net), painted(example, wanted)) < 2e-4


def test_loras_in_different_namings_add_up(example: Example, tmp_path: Path) -> None:
    net, both = net_of(example, example.state()), [linear_matrices(example, seed) for seed in (1, 2)]
    one = loaded(example, written(both[0], *ORIGINAL["kohya"]), tmp_path / "1.safetensors", net)
    spelt = written(in_diffusers_names(example, both[1]), *DIFFUSERS["diffusers"])
    two = loaded(example, spelt, tmp_path / "2.safetensors", net)
    weights = merged(merged(example.state(), both[0], 0.7 * SCALE), both[1], -0.4 * SCALE)
    with attached(net, one, 0.7), attached(net, two, -0.4):
        assert off(painted(example, net), painted(example, net_of(example, weights))) < 2e-4


def test_names_without_a_place_are_told(example: Example, tmp_path: Path) -> None:
    net, found = net_of(example, example.state()), linear_matrices(example)
    name, pair = next(iter(found.items()))
    file = written({name: pair, "blocks.7.nothing": pair}, *ORIGINAL["comfyui"]) | {"more.diff": torch.ones(1)}
    path = made.save(tmp_path / "l.safetensors", file)
    changes = changes_of(example, path, net)
    assert changes.left == ("blocks.7.nothing",) and [t.module for t, _ in changes.changes] == [name]
    assert lora.others(read_header(path)) == ("more.diff",)


def test_lumina_has_one_matrix_where_diffusers_has_two(tmp_path: Path) -> None:
    """They are read when a file changes both alike, and refused when not."""
    example = EXAMPLES["lumina"]
    net, name = net_of(example, example.state()), "layers.0.attention.wq"
    alike = written(in_diffusers_names(example, {name: linear_matrices(example)[name]}), *DIFFUSERS["diffusers"])
    changes = changes_of(example, made.save(tmp_path / "a.safetensors", alike), net)
    assert lora.load(changes, torch.float32).names == [name]
    apart = alike | {"transformer.layers.0.attn2.to_q.alpha": torch.tensor(1.0)}
    alone = {n: tensor for n, tensor in alike.items() if "attn2" in n}
    for number, file in enumerate((apart, alone)):
        changes = changes_of(example, made.save(tmp_path / f"{number}.safetensors", file), net)
        with pytest.raises(Refused, match="in another way than the same matrix's other name"):
            lora.load(changes, torch.float32)
