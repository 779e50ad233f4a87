"""Files that bitsandbytes packed in 4 bits: what they mean is written out by hand here, and asked of it where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graph_runtime.problem import Refused
from nodes.models.family import detect, find
from nodes.models.load import load_encoder, load_transformer
from nodes.models.weights.fill import read_tensor
from nodes.models.weights.header import read_header
from nodes.models.weights.packing import NF4

from .. import checkpoints as made


def group(name: str, shape: tuple[int, int], nested: bool, seed: int = 0, blocksize: int = 64) -> tuple[Any, Tensor]:
    """The tensors of one matrix as a file has them, and its numbers, one by one."""
    g = torch.Generator().manual_seed(seed)
    count = shape[0] * shape[1]
    codes = torch.randint(0, 16, (count,), generator=g, dtype=torch.uint8)
    blocks = -(-count // blocksize)
    table = torch.tensor(NF4)
    told: dict[str, Any] = {"quant_type": "nf4", "blocksize": blocksize, "dtype": "bfloat16", "shape": list(shape)}
    file = {f"{name}.quant_map": table}
    if nested:
        stored = torch.randint(0, 256, (blocks,), generator=g, dtype=torch.uint8)
        inner = torch.linspace(-1, 1, 256)
        outer = torch.rand(-(-blocks // 256), generator=g)
        told |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04}
        file |= {f"{name}.nested_quant_map": inner, f"{name}.nested_absmax": outer}
        scales = torch.stack([inner[int(byte)] * outer[i // 256] + 0.04 for i, byte in enumerate(stored)])
    else:
        stored = scales = torch.rand(blocks, generator=g)
    file[f"{name}.absmax"] = stored
    file[f"{name}.quant_state.bitsandbytes__nf4"] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
    file[name] = (codes[::2] << 4 | codes[1::2])[:, None].clone()
    numbers = torch.stack([table[int(code)] * scales[i // blocksize] for i, code in enumerate(codes)])
    return file, numbers.view(shape)


def packed(state: made.State, nested: bool) -> tuple[made.State, made.State]:
    """A whole model with its matrices so, and what they mean."""
    file, truth = {}, {}
    for number, (name, tensor) in enumerate(state.items()):
        if tensor.ndim == 2 and "mlp" not in name and tensor.shape[1] % 2 == 0 and "shared" not in name:
            one, truth[name] = group(name, (tensor.shape[0], tensor.shape[1]), nested, number)
            file |= one
        else:
            file[name] = truth[name] = tensor
    return file, truth


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("shape", [(3, 64), (5, 70), (300, 128), (1, 2)])
def test_numbers_are_the_table_s_times_the_scale_of_their_block(
    shape: tuple[int, int], nested: bool, tmp_path: Path
) -> None:
    """Also where a block goes on into the next row."""
    file, truth = group("x.weight", shape, nested)
    header = read_header(made.save(tmp_path / "m.safetensors", file))
    assert list(header.tensors) == ["x.weight"] and header.shape("x.weight") == shape
    assert torch.allclose(read_tensor(header.tensors["x.weight"]), truth, rtol=1e-6, atol=0)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("storage", ["unpacked", "nf4"])
def test_a_transformer_is_read_and_may_be_packed_again(nested: bool, storage: str, tmp_path: Path) -> None:
    config = made.FLUX
    file, truth = packed(made.flux_state(config), nested)
    found = detect(made.save(tmp_path / "m.safetensors", file), config=made.AXES)
    assert found.config == config
    net = load_transformer(found, torch.float32, storage=storage)
    for name, parameter in net.named_parameters():
        assert torch.allclose(parameter, truth[name], rtol=1e-6, atol=1e-9), name
    assert any(info.dtype == "NF4" for info in found.parts["transformer"].header.tensors.values())


def test_a_text_encoder_in_a_folder_is_read(tmp_path: Path) -> None:
    file, truth = packed(made.t5_state(), nested=True)
    path = made.shards(tmp_path / "text_encoder_2", file, 2, "model", {"quantization_config": {"load_in_4bit": True}})
    module = load_encoder(find(path).parts["t5"], torch.float32)
    for name, parameter in module.named_parameters():
        assert torch.allclose(parameter, truth[name], rtol=1e-6, atol=1e-9), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x.weight.absmax": None}, "'.absmax' is missing"),
        ({"x.weight.absmax": torch.ones(1)}, "'.absmax' is F32 [1]"),
        ({"x.weight.quant_map": torch.ones(15)}, "'.quant_map' is F32 [15]"),
        ({"x.weight": torch.zeros(3, 1, dtype=torch.uint8)}, "its bytes are not those of 192 numbers"),
        ({"x.weight": None}, "its bytes are not those of 192 numbers"),
        ({"shape": [3, 2**40]}, "not that of a matrix"),
        ({"shape": [192]}, "not that of a matrix"),
        ({"blocksize": 0}, "of no use"),
        ({"quant_type": "int3"}, "its type is nf4"),
        ({"nested_blocksize": "many"}, "not told how they are packed"),
        ({"x.weight.quant_state.bitsandbytes__nf4": torch.ones(5000, dtype=torch.uint8)}, "it is no JSON"),
    ],
)
def test_what_is_not_as_bitsandbytes_writes_it_is_refused(change: Any, words: str, tmp_path: Path) -> None:
    file, _ = group("x.weight", (3, 64), nested=False)
    state = "x.weight.quant_state.bitsandbytes__nf4"
    told = json.loads(bytes(file[state].tolist())) | {k: v for k, v in change.items() if "." not in k}
    file[state] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
    file |= {name: tensor for name, tensor in change.items() if "." in name}
    path = made.save(tmp_path / "m.safetensors", {n: t for n, t in file.items() if t is not None})
    with pytest.raises(Refused) as refused:
        read_header(path)
    assert words in str(refused.value)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_file_of_bitsandbytes_means_what_bitsandbytes_says(kind: str, nested: bool, tmp_path: Path) -> None:
    bnb: Any = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install latentloom[bnb]")
    weight = torch.randn(96, 192, generator=torch.Generator().manual_seed(0)) * 0.05
    codes, state = bnb.functional.quantize_4bit(weight, quant_type=kind, compress_statistics=nested)
    file = {"x.weight": codes} | {f"x.weight.{name}": tensor for name, tensor in state.as_dict(packed=True).items()}
    header = read_header(made.save(tmp_path / "m.safetensors", file))
    wanted = bnb.functional.dequantize_4bit(codes, state)
    assert torch.allclose(read_tensor(header.tensors["x.weight"]), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["gptq", "awq", "quark", 7])
def test_a_folder_that_something_else_packed_is_refused_by_its_name(method: Any, tmp_path: Path) -> None:
    told = {"quantization_config": {"quant_method": method}, **made.AXES}
    path = made.shards(tmp_path / "transformer", made.flux_to_diffusers(made.flux_state()), 1, "model", told)
    with pytest.raises(Refused, match=f"packed by {method}, which is not read"):
        find(path)
