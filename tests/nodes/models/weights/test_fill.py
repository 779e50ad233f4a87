from __future__ import annotations

import os
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from graph_runtime.problem import Refused
from nodes.models.weights import gguf as blocks
from nodes.models.weights.fill import fill
from nodes.models.weights.header import Header, read_header
from nodes.models.weights.pieces import Piece, same_names, whole
from nodes.models.weights.quantized import NOT_READ

from .raw import gguf as gguf_file
from .raw import info, written


class Net(nn.Module):
    """A matrix and a bias, a saved buffer of integers, and a second name for the matrix."""

    def __init__(self, rows: int = 4, columns: int = 6) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, rows)
        self.tied = nn.Linear(columns, rows, bias=False)
        self.tied.weight = self.linear.weight
        self.register_buffer("steps", torch.zeros(2, dtype=torch.int64))


def on_meta(module: type[Net] = Net) -> Net:
    with torch.device("meta"):
        net = module()
        net.tied.weight = net.linear.weight
        return net


def stored(folder: Path, tensors: dict[str, Tensor]) -> Header:
    save_file(tensors, folder / "m.safetensors")
    return read_header(folder / "m.safetensors")


STATE = {
    "linear.weight": torch.randn(4, 6, generator=torch.Generator().manual_seed(0)),
    "linear.bias": torch.arange(4.0),
    "steps": torch.tensor([3, 5]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_parameter_is_the_stored_number_rounded_once(dtype: torch.dtype, tmp_path: Path) -> None:
    header, net = stored(tmp_path, STATE), on_meta()
    fill(net, header, same_names(header), dtype)
    assert torch.equal(net.linear.weight, STATE["linear.weight"].to(dtype))
    assert torch.equal(net.linear.bias, STATE["linear.bias"].to(dtype))
    assert net.steps.tolist() == [3, 5] and net.steps.dtype == torch.int64
    assert net.tied.weight is net.linear.weight and not net.linear.weight.requires_grad


def test_a_dtype_may_be_chosen_by_name(tmp_path: Path) -> None:
    header, net = stored(tmp_path, STATE), on_meta()
    fill(net, header, same_names(header), lambda name: torch.float64 if name.endswith("bias") else torch.float16)
    assert (net.linear.weight.dtype, net.linear.bias.dtype) == (torch.float16, torch.float64)


def test_a_parameter_may_be_pieces_of_several_tensors(tmp_path: Path) -> None:
    """Rows of two tensors joined, a slice of a third, halves the other way round; in both ways of reading."""
    parts = {"top": torch.randn(3, 6), "rest": torch.randn(9, 6), "halves": torch.arange(4.0), "steps": STATE["steps"]}
    header = stored(tmp_path, parts)
    rename = {
        "linear.weight": (Piece("top"), Piece("rest", 5, 6)),
        "linear.bias": (Piece("halves", 2, 4), Piece("halves", 0, 2)),
        "steps": whole("steps"),
    }
    for dtype in (torch.float32, torch.float64):
        net = on_meta()
        fill(net, header, rename, dtype)
        assert torch.equal(net.linear.weight.float(), torch.cat((parts["top"], parts["rest"][5:6])))
        assert net.linear.bias.tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("shape", [(), (1,), (4,), (4, 1)])
def test_a_scale_is_of_the_tensor_or_of_its_rows(shape: tuple[int, ...], tmp_path: Path) -> None:
    scale = torch.rand(shape) + 0.5
    weight = (torch.randn(8, 6)).to(torch.float8_e4m3fn)
    tensors = {"x.weight": weight[:4], "x.weight_scale": scale}
    tensors |= {"y.weight": weight[4:], "y.scale_weight": torch.tensor(3.0)}
    header, net = stored(tmp_path, {**tensors, "linear.bias": STATE["linear.bias"], "steps": STATE["steps"]}), on_meta()
    rename = same_names(header) | {"linear.weight": (Piece("x.weight", 1, 3), Piece("y.weight", 0, 2))}
    del rename["x.weight"], rename["y.weight"]
    fill(net, header, rename, torch.float32)
    rows = weight[1:3].float() * (scale.reshape(-1, 1)[1:3] if scale.numel() == 4 else scale.reshape(()))
    assert torch.equal(net.linear.weight, torch.cat((rows, weight[4:6].float() * 3)))


KINDS = sorted(name for name, (count, _) in blocks.BLOCKS.items() if count > 1 and name not in NOT_READ)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # random bytes are not always numbers
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_every_type_are_what_gguf_says(kind: str, tmp_path: Path) -> None:
    """Random bytes, whole and by rows, against the library's own numbers."""
    elements, nbytes = blocks.BLOCKS[kind]
    number = next(i for i, (name, *_) in blocks.TYPES.items() if name == kind)
    data = np.random.default_rng(number).integers(0, 256, (6, 2 * nbytes), np.uint8)
    truth = torch.from_numpy(gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind]))
    header = read_header(written(tmp_path, gguf_file([], [info(b"w", [2 * elements, 6], number)], data.tobytes())))
    swapped = (Piece("w", 3, 6), Piece("w", 0, 3))
    for source, wanted in ((whole("w"), truth), (swapped, torch.cat((truth[3:], truth[:3])))):
        with torch.device("meta"):
            net = nn.Linear(2 * elements, 6, bias=False)
        fill(net, header, {"weight": source}, torch.float32)
        assert torch.equal(net.weight.nan_to_num(), wanted.nan_to_num())


def test_axes_of_length_one_do_not_count(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = nn.Conv2d(6, 4, 1)
    header = stored(tmp_path, {"weight": STATE["linear.weight"], "bias": STATE["linear.bias"]})
    fill(net, header, same_names(header), torch.float32)
    assert torch.equal(net.weight.flatten(1), STATE["linear.weight"])


def refusal(folder: Path, tensors: dict[str, Tensor]) -> str:
    header = stored(folder, tensors)
    with pytest.raises(Refused) as refused:
        fill(on_meta(), header, same_names(header), torch.float32)
    return str(refused.value)


def test_all_that_does_not_fit_is_said_at_once_with_both_shapes(tmp_path: Path) -> None:
    wrong = {"linear.weight": torch.ones(6, 4), "extra.weight": torch.ones(1), "steps": STATE["steps"]}
    said = refusal(tmp_path, wrong)
    assert "m.safetensors: 'linear.bias' is missing." in said
    assert "'extra.weight' has no place in this model." in said
    assert "'linear.weight' is [4, 6], but linear.weight is [6, 4]." in said


def test_a_hundred_left_over_tensors_are_counted(tmp_path: Path) -> None:
    said = refusal(tmp_path, STATE | {f"lora.{i:03d}": torch.ones(1) for i in range(100)})
    assert "'lora.000'" in said and "and 95 more have no place" in said.replace("has", "have") and len(said) < 400


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"linear.weight": torch.ones(4, 6, dtype=torch.int8)}, "stored as I8"),
        ({"linear.weight_scale": torch.ones(2, 3)}, "no scale per row"),
        ({"other.SCB": torch.ones(4)}, "which is not there"),
        ({"linear.weight.quant_state.bitsandbytes__nf4": torch.ones(4)}, "it is no JSON"),
        ({"linear.wscales": torch.ones(4)}, "Nunchaku"),
        ({"linear.weight_scale_2": torch.ones(1)}, "NVFP4"),
    ],
)
def test_packings_that_are_not_read_are_refused_by_name(extra: dict[str, Tensor], words: str, tmp_path: Path) -> None:
    save_file(STATE | extra, tmp_path / "m.safetensors")
    with pytest.raises(Refused, match=words):
        header = read_header(tmp_path / "m.safetensors")
        fill(on_meta(), header, same_names(header), torch.float32)


def test_a_file_that_shrinks_between_header_and_data_is_refused_by_name(tmp_path: Path) -> None:
    header = stored(tmp_path, STATE)
    os.truncate(header.path, header.path.stat().st_size - 30)
    for dtype in (torch.float32, torch.bfloat16):
        with pytest.raises(Refused, match=r"ended inside '.*': \d+ bytes wanted, \d+ came"):
            fill(on_meta(), header, same_names(header), dtype)


def test_what_no_file_fills_does_not_stay_on_meta_unnoticed(tmp_path: Path) -> None:
    class WithTable(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(3.0), persistent=False)

    header = stored(tmp_path, STATE)
    with pytest.raises(Refused, match="table of WithTable came from no file"):
        fill(on_meta(WithTable), header, same_names(header), torch.float32)


def resident(reset: bool = False) -> tuple[int, int]:
    """Bytes this process has in memory now and has had at most since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    facts = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(facts["VmRSS"]) << 10, int(facts["VmHWM"]) << 10


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's account of memory")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_never_holds_the_model_twice(dtype: torch.dtype, tmp_path: Path) -> None:
    """64 MiB in the file: while it is read, memory grows by the model and a few megabytes."""
    save_file({f"{i}.weight": torch.zeros(1024, 1024) for i in range(16)}, tmp_path / "m.safetensors")
    header = read_header(tmp_path / "m.safetensors")
    with torch.device("meta"):
        net = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(16)))
    before, _ = resident(reset=True)
    fill(net, header, same_names(header), dtype)
    model = sum(p.numel() * p.element_size() for p in net.parameters())
    assert resident()[1] - before < model + (40 << 20)
