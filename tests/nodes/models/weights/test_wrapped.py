"""Folders that quanto or torchao packed, as diffusers writes them: what they mean, and what is not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graph_runtime.problem import Refused
from nodes.models.family import find, inspect
from nodes.models.load import load_transformer
from nodes.models.weights.fill import read_tensor
from nodes.models.weights.header import read_header

from .. import checkpoints as made
from ..families import EXAMPLES

NAMES = {"quanto": (".weight._data", ".weight._scale"), "torchao": ("._weight_qdata", "._weight_scale")}


def packed(state: dict[str, Tensor], who: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every matrix of Linears so, with a scale per row, and what it means."""
    file, truth = {}, {}
    for name, tensor in state.items():
        stem = name.removesuffix(".weight")
        if tensor.ndim != 2 or stem == name:
            file[name] = truth[name] = tensor
            continue
        most = 127.0 if dtype == torch.int8 else torch.finfo(dtype).max
        scale = tensor.abs().amax(1, keepdim=True).clamp_min(1e-9) / most
        codes = (tensor / scale).round().to(dtype) if dtype == torch.int8 else (tensor / scale).to(dtype)
        data, scales = NAMES[who]
        file |= {stem + data: codes, stem + scales: scale}
        if who == "quanto":
            file |= {f"{stem}.{end}_scale": torch.ones(()) for end in ("input", "output")}
        elif dtype == torch.int8:
            file[f"{stem}._weight_zero_point"] = torch.zeros(len(tensor), 1, dtype=torch.int8)
        truth[name] = codes.float() * scale
    return file, truth


@pytest.mark.parametrize("who", NAMES)
@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
@pytest.mark.parametrize("family", ["flux1", "auraflow"])
def test_a_transformer_is_what_its_codes_and_scales_mean(
    family: str, dtype: torch.dtype, who: str, tmp_path: Path
) -> None:
    """In the original's names and in diffusers', where matrices of several parts and swapped halves are among them."""
    example = EXAMPLES[family]
    theirs = example.diffusers(example.state(), example.config)
    file, truth = packed(theirs, who, dtype)
    told = {"quantization_config": {"quant_method": who}, **example.beside}
    path = made.shards(tmp_path / "transformer", file, 2, "diffusion_pytorch_model", told)
    net = load_transformer(find(path), torch.float32)
    plain = made.shards(tmp_path / "plain", truth, 1, "diffusion_pytorch_model", example.beside)
    wanted = dict(load_transformer(find(plain), torch.float32).named_parameters())
    for name, parameter in net.named_parameters():
        assert torch.allclose(parameter, wanted[name], rtol=1e-6, atol=1e-9), name
    kind = "int8" if dtype == torch.int8 else "fp8"
    assert inspect(path)["parts"]["transformer"]["packing"] == f"scaled {kind}"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"a.weight._data._data": torch.ones(2, 4, dtype=torch.uint8)}, "kind of quanto's matrices"),
        ({"a.weight._data": torch.ones(2, 4, dtype=torch.uint8)}, "as quanto keeps what is no int8 or float8"),
        ({"a.weight._data": torch.ones(2, 4, dtype=torch.int8), "a.weight._shift": torch.ones(2, 1)}, "'a.weight._sh"),
        ({"a._weight_qdata": torch.ones(2, 4, dtype=torch.int32)}, "as torchao keeps what is no int8 or float8"),
        ({"a._weight_qdata": torch.ones(2, 4, dtype=torch.int8), "a._weight_zero_point": torch.ones(2)}, "torchao's"),
        ({"a._weight_qdata": torch.ones(2, 4, dtype=torch.int8), "a.weight": torch.ones(2, 4)}, "are the same matrix"),
    ],
)
def test_other_kinds_of_theirs_are_refused_by_their_names(file: dict[str, Tensor], words: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=words):
        read_header(made.save(tmp_path / "m.safetensors", file))


@pytest.mark.parametrize("kind", ["qint8", "qfloat8"])
def test_a_file_of_quanto_means_what_quanto_says(kind: str, tmp_path: Path) -> None:
    quanto: Any = pytest.importorskip("optimum.quanto", reason="optimum-quanto is not installed")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 48))
    quanto.quantize(net, weights=getattr(quanto, kind))
    quanto.freeze(net)
    state = {name: tensor.clone().contiguous() for name, tensor in net.state_dict().items()}
    header = read_header(made.save(tmp_path / "m.safetensors", state))
    assert {"0.weight", "0.weight_scale", "0.bias"} <= header.tensors.keys()
    codes, scale = (read_tensor(header.tensors[f"0.{name}"]) for name in ("weight", "weight_scale"))
    assert torch.allclose(codes * scale, net[0].weight.dequantize(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["Int8WeightOnlyConfig", "Float8WeightOnlyConfig"])
def test_a_file_of_torchao_means_what_torchao_says(kind: str, tmp_path: Path) -> None:
    quantization: Any = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    support: Any = pytest.importorskip("torchao.prototype.safetensors.safetensors_support")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 48))
    quantization.quantize_(net, getattr(quantization, kind)())
    tensors, told = support.flatten_tensor_state_dict({name: t.detach() for name, t in net.state_dict().items()})
    header = read_header(made.save(tmp_path / "m.safetensors", tensors, told))
    codes, scale = (read_tensor(header.tensors[f"0.{name}"]) for name in ("weight", "weight_scale"))
    assert torch.allclose(codes * scale.view(-1, 1), net[0].weight.dequantize(), rtol=1e-6)
