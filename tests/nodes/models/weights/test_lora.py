from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.problem import Refused
from nodes.models.encoders import clip
from nodes.models.family import detect
from nodes.models.flux1.keys import aliases
from nodes.models.flux1.transformer import Transformer, velocity
from nodes.models.layers.lowrank import LowRank, attached
from nodes.models.load import load_transformer
from nodes.models.weights import lora
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import Target
from nodes.models.weights.storage import linears

from .. import checkpoints as made
from .. import lora_files

SCALE = lora_files.ALPHA / lora_files.RANK
STATE = made.flux_state()


def network(state: made.State) -> Transformer:
    with torch.device("meta"):
        net = Transformer(made.FLUX)
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False)


def painted(net: nn.Module) -> Tensor:
    g = torch.Generator().manual_seed(0)
    text, pooled = torch.randn(1, 5, 48, generator=g) * 0.1, torch.randn(1, 32, generator=g)
    x = torch.randn(1, 16, 4, 4, generator=g)
    return velocity(net, {"text": text, "pooled": pooled}, x.shape, [0.7])(x, 0.7)  # type: ignore[arg-type]


def found(path: Path, net: nn.Module, part: str = "transformer") -> lora.Changes:
    names = (aliases(made.FLUX) if part == "transformer" else {}) | {name: Target(name) for name, _ in linears(net)}
    changes = lora.placed(lora.pairs(read_header(path)), part, names)
    lora.check(net, changes)
    return changes


def near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=2e-4, atol=2e-4 * other.abs().max().item())


@pytest.mark.parametrize("write", lora_files.SPELLINGS, ids=lambda write: write.__name__)
def test_every_spelling_adds_the_same_product(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Every matrix of the model is changed; the picture is that of weights with the products added."""
    matrices = lora_files.matrices(STATE)
    path = made.save(tmp_path / "lora.safetensors", *write(matrices, made.FLUX))
    net = network(STATE)
    changes = found(path, net)
    assert changes.left == () and {target.module for target, _ in changes.changes} == matrices.keys()
    plain, loaded = painted(net), lora.load(changes, torch.float32)
    assert sum(p.numel() * 4 for p in loaded.buffers()) == changes.nbytes(4)
    for strength in (1.0, -0.5):
        with attached(net, loaded, strength):
            changed = painted(net)
        assert near(changed, painted(network(lora_files.merged(STATE, matrices, strength * SCALE))))
        assert not near(changed, plain)
    assert torch.equal(painted(net), plain)


def test_only_rows_that_a_part_means_are_changed(tmp_path: Path) -> None:
    """diffusers' to_v alone: the last third of qkv, and of a single block the rows before the MLP's."""
    down, width = torch.randn(2, 64), made.FLUX.width
    up = torch.randn(width, 2)
    names = ("transformer_blocks.1.attn.to_v", "single_transformer_blocks.0.attn.to_v")
    file = {f"transformer.{n}.lora_{k}.weight": t.clone() for n in names for k, t in (("A", down), ("B", up))}
    net = network(STATE)
    changes = found(made.save(tmp_path / "l.safetensors", file), net)
    rows = slice(2 * width, 3 * width)
    wanted = dict(STATE)
    for name in ("double_blocks.1.img_attn.qkv.weight", "single_blocks.0.linear1.weight"):
        wanted[name] = wanted[name].clone()
        wanted[name][rows] += up @ down
    with attached(net, lora.load(changes, torch.float32), 1.0):
        assert near(painted(net), painted(network(wanted)))


def test_x_labs_names_are_found(tmp_path: Path) -> None:
    r, width = 2, made.FLUX.width
    shapes = {
        "double_blocks.0.processor.qkv_lora1": (3 * width, width, "double_blocks.0.img_attn.qkv", 0),
        "double_blocks.1.processor.proj_lora2": (width, width, "double_blocks.1.txt_attn.proj", 0),
        "single_blocks.0.processor.qkv_lora": (3 * width, width, "single_blocks.0.linear1", 0),
    }
    file, wanted = {}, dict(STATE)
    for name, (rows, columns, module, start) in shapes.items():
        file[f"{name}.down.weight"], file[f"{name}.up.weight"] = torch.randn(r, columns), torch.randn(rows, r)
        weight = wanted[f"{module}.weight"].clone()
        weight[start : start + rows] += file[f"{name}.up.weight"] @ file[f"{name}.down.weight"]
        wanted[f"{module}.weight"] = weight
    net = network(STATE)
    changes = found(made.save(tmp_path / "l.safetensors", file), net)
    with attached(net, lora.load(changes, torch.float32), 1.0):
        assert near(painted(net), painted(network(wanted)))


def test_several_add_up_in_any_order_and_leave_no_trace(tmp_path: Path) -> None:
    two = [lora_files.matrices(STATE, seed) for seed in (1, 2)]
    net = network(STATE)
    plain = painted(net)
    loaded: list[LowRank] = []
    for number, matrices in enumerate(two):
        path = made.save(tmp_path / f"{number}.safetensors", *lora_files.original(matrices, made.FLUX))
        loaded.append(lora.load(found(path, net), torch.float32))
    wanted = painted(network(lora_files.merged(lora_files.merged(STATE, two[0], SCALE), two[1], SCALE * 0.5)))
    with attached(net, loaded[0], 1.0), attached(net, loaded[1], 0.5):
        one = painted(net)
    with attached(net, loaded[1], 0.5), attached(net, loaded[0], 1.0):
        other = painted(net)
    assert near(one, wanted) and near(other, one)
    with attached(net, loaded[0], 0.0):
        assert torch.equal(painted(net), plain)
    assert torch.equal(painted(net), plain)


@pytest.mark.parametrize("storage", ["int8", "nf4", "packed"])
def test_a_lora_stands_beside_packed_weights(storage: str, tmp_path: Path) -> None:
    """As if it had been added to the unpacked numbers: packing does not touch it."""
    matrices = lora_files.matrices(STATE)
    if storage == "packed":
        path = made.save_gguf(tmp_path / "m.gguf", STATE, "Q4_0")[0]
    else:
        path = made.save(tmp_path / "m.safetensors", STATE)
    net = load_transformer(detect(path, config=made.AXES), torch.float32, storage=storage)
    numbers = {
        f"{name}.weight": one.weight if isinstance(one, nn.Linear) else one.unpacked(torch.float32)
        for name, one in linears(net)
    }
    rest = dict(net.named_parameters()) | numbers
    file = made.save(tmp_path / "lora.safetensors", *lora_files.kohya(matrices, made.FLUX))
    with attached(net, lora.load(found(file, net), torch.float32), 1.0):
        assert near(painted(net), painted(network(lora_files.merged(rest, matrices, SCALE))))


@pytest.mark.parametrize(
    "prefix",
    ["text_encoder.text_model.", "text_encoder.", "lora_te1_text_model_", "lora_te_text_model_",
     "text_encoders.clip_l.transformer.text_model."],
)  # fmt: skip
def test_clip_is_changed_too(prefix: str, tmp_path: Path) -> None:
    net = clip.build(made.CLIP)
    matrices = lora_files.matrices(made.clip_state(), only=lambda name: name.endswith(("q_proj", "fc2")))
    flat = prefix.startswith("lora_te")
    file = {}
    for name, (down, up) in matrices.items():
        stem = prefix + (name.replace(".", "_") if flat else name)
        file |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
    changes = found(made.save(tmp_path / "l.safetensors", file), net, "clip")
    assert {target.module for target, _ in changes.changes} == matrices.keys()
    assert found(made.save(tmp_path / "l.safetensors", file), network(STATE)).changes == ()


CHANGED = ("img_in", "double_blocks.0.img_attn.qkv")


def test_metadata_may_give_alphas_by_name_and_the_square_root(tmp_path: Path) -> None:
    names = ("x_embedder", "transformer_blocks.0.attn.to_q")
    file = {f"transformer.{n}.lora_A.weight": torch.eye(64)[:4] for n in names}
    file |= {f"transformer.{n}.lora_B.weight": torch.eye(64)[:, :4] for n in names}
    told = {"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"to_q": 2}, "transformer.r": 4}
    for more, scales in (({}, (2.0, 0.5)), ({"transformer.use_rslora": True}, (4.0, 1.0))):
        path = made.save(tmp_path / "l.safetensors", file, {"lora_adapter_metadata": json.dumps(told | more)})
        loaded = lora.load(found(path, network(STATE)), torch.float32)
        assert {name: float(one.up.abs().max()) for name, one in loaded} == dict(zip(CHANGED, scales, strict=True))


REFUSALS = {
    "a DoRA": {"transformer.x_embedder.dora_scale": torch.ones(1)},
    "a LoKr": {"lora_unet_img_in.lokr_w1": torch.ones(2, 2)},
    "a LoHa": {"lora_unet_img_in.hada_w1_a": torch.ones(2, 2)},
    "with biases": {"img_in.lora_B.bias": torch.ones(1)},
    "only one half": {"img_in.lora_A.weight": torch.ones(2, 2)},
    "There is no LoRA in it": {"img_in.weight": torch.ones(2, 2)},
    "which is no matrix": {"img_in.lora_A.weight": torch.ones(2), "img_in.lora_B.weight": torch.ones(2, 2)},
    "not one number": {"img_in.lora_A.weight": torch.ones(2, 64), "img_in.lora_B.weight": torch.ones(64, 2),
                       "img_in.alpha": torch.ones(3)},
    "but the matrix that it is added to is [64, 64]": {
        "img_in.lora_A.weight": torch.ones(2, 65), "img_in.lora_B.weight": torch.ones(64, 2)},
    "[64, 3] × [2, 64]": {"img_in.lora_A.weight": torch.ones(2, 64), "img_in.lora_B.weight": torch.ones(64, 3)},
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSALS)
def test_what_cannot_be_applied_is_refused(words: str, tmp_path: Path) -> None:
    path = made.save(tmp_path / "l.safetensors", REFUSALS[words])
    with pytest.raises(Refused) as refused:
        found(path, network(STATE))
    assert words in str(refused.value) and all(problem.fix for problem in refused.value.problems)


def test_names_that_the_model_has_not_are_told(tmp_path: Path) -> None:
    file = {}
    for name in ("img_in", "double_blocks.7.img_attn.proj"):
        file |= {f"{name}.lora_A.weight": torch.ones(2, 64), f"{name}.lora_B.weight": torch.ones(64, 2)}
    changes = found(made.save(tmp_path / "l.safetensors", file), network(STATE))
    assert changes.left == ("double_blocks.7.img_attn.proj",)
    assert [target.module for target, _ in changes.changes] == ["img_in"]
