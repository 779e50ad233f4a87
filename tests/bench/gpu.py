"""What packed weights cost on a GPU: unpacking beside a copy, and a step of Flux.1 at 1024 × 1024 in each packing.

    python tests/bench/gpu.py [--only unpack step] [--weights unpacked fp8 …] [--compiled] [--folder DIR]
    python tests/bench/gpu.py --device cpu --tiny        # that it runs to its end, where there is no GPU

unpack   GB/s, packed bytes read and bfloat16 written, as a share of a copy on the same device: one kernel, torch's own
         operations, and one operation after another on whole tensors as ComfyUI-GGUF publishes it (written anew here,
         for four types). Before it is timed, a kernel's numbers are compared with torch's bit for bit
step     milliseconds of one evaluation with 512 tokens of text and random normal weights, the most memory, and with
         --folder the seconds until a written model is loaded again; diffusers' model in bfloat16 beside it, where it is
         installed. --compiled: once more when torch has compiled the blocks

Medians, by the device's own clock. Prints Markdown, and how long it takes in the end; a machine without a GPU says so.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import safetensors.torch
import torch
from torch import Tensor, nn
from weights import SCALES

from nodes.models.family import detect
from nodes.models.flux1 import keys
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer, velocity
from nodes.models.layers.compiled import using
from nodes.models.layers.multiplied import Fp8Linear, lacking
from nodes.models.layers.packed import PackedLinear, settle
from nodes.models.load import load_transformer
from nodes.models.weights import fused
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.packing import METHODS, MULTIPLIED, PACKINGS, unpack
from nodes.models.weights.storage import LINEARS, PACKED, UNPACKED

TERA = 74.385  # of floating-point operations in such a step of Flux.1-dev: two for each product
STORAGES = (UNPACKED, "fp8", *MULTIPLIED, "Q8_0", "Q4_K", "Q2_K")
BF16 = torch.bfloat16


def milliseconds(run: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Of one call, the median; a few go before."""
    found = []
    for number in range(rounds + 3):
        if device.type == "cuda":
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begun.record()
            run()
            ended.record()
            torch.cuda.synchronize()
            taken = begun.elapsed_time(ended)
        else:
            start = time.perf_counter()
            run()
            taken = (time.perf_counter() - start) * 1000
        if number > 2:
            found.append(taken)
    return statistics.median(found)


@contextmanager
def by_torch() -> Iterator[None]:
    """Without kernels."""
    devices, fused.DEVICES = fused.DEVICES, ()  # type: ignore[assignment]
    try:
        yield
    finally:
        fused.DEVICES = devices


def drawn(packing: str, rows: int, columns: int, device: torch.device) -> Tensor:
    """Packed rows about as weights are: random integers in blocks with small scales, or packed normal numbers."""
    if packing not in BLOCKS:
        pack = PACKINGS[packing].pack
        assert pack is not None
        return pack(torch.randn(rows, columns, device=device) * 0.02)
    _, nbytes, size = BLOCKS[packing]
    data = torch.randint(0, 256, (rows * columns // size, nbytes), dtype=torch.uint8, device=device)
    for at in SCALES[packing]:
        small = torch.randn(len(data), 1, device=device) * 2e-3 / (256 if packing in ("Q6_K", "IQ4_XS") else 16)
        data[:, at : at + 2] = small.half().view(torch.uint8)
    return data.view(rows, -1)


def halves(blocks: Tensor, at: int) -> Tensor:
    return blocks[:, at : at + 2].contiguous().view(torch.float16).to(BF16)


def published(kind: str, rows: Tensor) -> Tensor:
    """ComfyUI-GGUF's manner for four types: whole tensors, each operation in a launch of its own, in bfloat16."""
    blocks = rows.view(-1, BLOCKS[kind][1])
    d, shifts = halves(blocks, 0), torch.tensor([0, 4], dtype=torch.uint8, device=rows.device)[:, None]
    if kind == "Q8_0":
        return d * blocks[:, 2:].contiguous().view(torch.int8)
    if kind == "Q4_0":
        q = (blocks[:, 2:].reshape(-1, 1, 1, 16) >> shifts) & 15
        return d * (q.reshape(-1, 32).to(torch.int8) - 8)
    if kind == "Q4_K":
        first, second, third = (part.contiguous() for part in blocks[:, 4:16].split(4, 1))
        scale = torch.cat((first & 63, (third & 15) | ((first >> 2) & 48)), 1)
        least = torch.cat((second & 63, (third >> 4) | ((second >> 2) & 48)), 1)
        q = ((blocks[:, 16:].reshape(-1, 4, 1, 32) >> shifts) & 15).reshape(-1, 8, 32)
        return (d * scale)[..., None] * q - (halves(blocks, 2) * least)[..., None]
    low, high, scale = blocks[:, :128], blocks[:, 128:192], blocks[:, 192:208].contiguous().view(torch.int8)
    low = ((low.reshape(-1, 2, 1, 64) >> shifts) & 15).reshape(-1, 8, 32)
    twos = torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=rows.device)[:, None]
    q = (low | (((high.reshape(-1, 2, 1, 32) >> twos) & 3).reshape(-1, 8, 32) << 4)).to(torch.int8) - 32
    return (halves(blocks, 208) * scale)[..., None] * q.reshape(-1, 16, 16)


MANNERS = ("Q8_0", "Q4_0", "Q4_K", "Q6_K")


def unpacking(device: torch.device, tiny: bool, rounds: int) -> None:
    rows, columns = (64, 512) if tiny else (12288, 3072)
    out, other = (torch.empty(rows, columns, dtype=BF16, device=device) for _ in range(2))
    copy = 2 * out.nbytes / milliseconds(lambda: out.copy_(other.normal_()), device, 3) / 1e6
    copy = max(copy, 2 * out.nbytes / milliseconds(lambda: out.copy_(other), device, rounds) / 1e6)
    print(f"{rows} × {columns} to bfloat16; a copy of that size: {copy:,.0f} GB/s\n")
    print("| packing | kernel GB/s | of a copy | torch | of a copy | published manner | same bits |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for packing in (*BLOCKS, *METHODS):
        packed = drawn(packing, rows, columns, device)
        size = (packed.numel() + out.nbytes) / 1e6
        same = compared(packing, packed, rows, columns)
        with by_torch():
            slow = size / milliseconds(lambda one=packed, kind=packing: unpack(one, kind, out), device, rounds)
        fast = ""
        if same:
            quick = size / milliseconds(lambda one=packed, kind=packing: unpack(one, kind, out), device, rounds)
            fast = f"{quick:,.0f} | {quick / copy:.0%}"
        theirs = ""
        if packing in MANNERS:
            near = published(packing, packed).view(rows, columns).float()
            assert (near - out.float()).norm() < 0.02 * out.float().norm(), packing
            taken = milliseconds(lambda one=packed, kind=packing: published(kind, one), device, rounds)
            theirs = f"{size / taken:,.0f}"
        print(f"| {packing} | {fast or ' |'} | {slow:,.1f} | {slow / copy:.0%} | {theirs} | {same or 'no kernel'} |")


def compared(packing: str, packed: Tensor, rows: int, columns: int) -> str:
    """Whether a kernel's numbers are torch's in each dtype; "" where there is no kernel."""
    right = []
    for dtype, bits in ((torch.float32, torch.int32), (BF16, torch.int16), (torch.float16, torch.int16)):
        ours, theirs = (torch.zeros(rows, columns, dtype=dtype, device=packed.device) for _ in range(2))
        if not fused.fill(packed, packing, ours):
            return ""
        with by_torch():
            unpack(packed, packing, theirs)
        right.append(torch.equal(ours.view(bits), theirs.view(bits)))
    return "yes" if all(right) else "NO"


def made(config: Config, storage: str, device: torch.device) -> Transformer:
    """A transformer with random weights that keep numbers about as large as they come."""
    with torch.device("meta"):
        net = Transformer(config)
        for name, one in list(net.named_modules()):
            inside = type(one) is nn.Linear and not name.startswith(keys.KEPT) and not name.endswith(keys.KEPT)
            if inside and storage != UNPACKED:
                kind = LINEARS.get(storage, PackedLinear)
                net.set_submodule(name, kind(one.in_features, one.out_features, storage, one.bias is not None))
    for module in net.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                tensor = torch.randn(parameter.shape, dtype=BF16, device=device) * 0.02 + (name == "scale")
                module._parameters[name] = nn.Parameter(tensor, requires_grad=False)
        if isinstance(module, PackedLinear):
            packed = drawn(storage, module.out_features, module.in_features, device)
            module.weight = packed.view(torch.int8)
    settle(net)
    return net.eval()


def written(net: Transformer, storage: str, folder: Path) -> Path:
    """The model as a file that is read again: blocks as GGUF, all else in bfloat16."""
    path = folder / ("model.gguf" if storage in BLOCKS else "model.safetensors")
    if storage not in BLOCKS:
        safetensors.torch.save_file({name: one.cpu() for name, one in net.state_dict().items()}, path)
        return path
    writer = gguf.GGUFWriter(path, "flux", use_temp_file=True)
    for name, one in net.state_dict().items():
        packed = one.dtype == torch.int8
        data = one.cpu().view(torch.uint8).numpy() if packed else one.cpu().float().numpy()
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[storage if packed else "F32"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def loaded(path: Path, storage: str, device: torch.device, config: Config) -> tuple[nn.Module, float]:
    """Until every weight is on the device; the file lies in the machine's cache."""
    start = time.perf_counter()
    sizes = {"heads": config.heads, "axes": config.axes}
    net = load_transformer(detect(path, config=sizes), BF16, str(device), PACKED if storage in BLOCKS else storage)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return net, time.perf_counter() - start


def empty(device: torch.device) -> None:
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def steps(
    device: torch.device, tiny: bool, rounds: int, folder: Path | None, compiled: bool, storages: list[str]
) -> None:
    """A row for each packing. With a folder each is written, loaded again, and what was loaded is timed."""
    config = Config.tiny(width=256, heads=2, axes=(16, 56, 56), text_width=256) if tiny else Config.dev()
    cells, words = (8, 5) if tiny else (128, 512)
    given = {
        "text": torch.randn(1, words, config.text_width, device=device),
        "pooled": torch.randn(1, config.pooled_width, device=device),
    }
    x = torch.randn(1, config.latent_channels, cells, cells, device=device)
    floor = 0.0
    if device.type == "cuda":
        a = torch.randn(8192, 8192, dtype=BF16, device=device)
        rate = 2 * 8192**3 / milliseconds(lambda: a @ a, device, rounds) / 1e9  # TFLOP/s
        floor = TERA / rate * 1000
        print(f"\nA product of 8192³ in bfloat16: {rate:,.0f} TFLOP/s, so a step takes {floor:.1f} ms at the least")
    print("\n| weights | ms a step | of the floor | compiled | peak GB | load s |\n|---|---:|---:|---:|---:|---:|")
    plain: Path | None = None
    for storage in storages:
        empty(device)
        took = ""
        if folder is None:
            net: Any = made(config, storage, device)
        else:
            if storage in BLOCKS or plain is None:
                path = written(made(config, storage if storage in BLOCKS else UNPACKED, device), storage, folder)
                plain = plain or path
            empty(device)
            net, seconds = loaded(path if storage in BLOCKS else plain, storage, device, config)
            took = f"{seconds:.1f}"
        with torch.no_grad():
            v = velocity(net, given, x.shape, [0.7, 0.5], dtype=BF16)
            assert v(x, 0.7).isfinite().all(), "numbers that overflow say nothing of a GPU's rate"
            eager = milliseconds(lambda step=v: step(x, 0.7), device, rounds)
            after = after_compiling(net, given, x, device, rounds) if compiled else ""
        multiplied = any(isinstance(one, Fp8Linear) for one in net.modules()) and lacking(str(device))
        told(f"{storage} ({multiplied})" if multiplied else storage, eager, floor, after, device, took)
        del net, v
    if importlib.util.find_spec("diffusers"):
        empty(device)
        told("bfloat16, diffusers", theirs(config, words, cells, device, rounds), floor, "", device, "")


def told(name: str, eager: float, floor: float, compiled: str, device: torch.device, load: str) -> None:
    peak = f"{torch.cuda.max_memory_allocated() / 1e9:.1f}" if device.type == "cuda" else ""
    share = f"{floor / eager:.0%}" if floor else ""
    print(f"| {name} | {eager:,.1f} | {share} | {compiled} | {peak} | {load} |", flush=True)


def after_compiling(net: Any, given: dict[str, Tensor], x: Tensor, device: torch.device, rounds: int) -> str:
    """Milliseconds when the blocks run compiled, or what became of it."""
    with using(net, ()) as held:
        velocity(net, given, x.shape, [0.7], dtype=BF16)(x, 0.7)
    held.wait()
    with using(net, ()) as held:
        v = velocity(net, given, x.shape, [0.7], dtype=BF16)
        taken = milliseconds(lambda: v(x, 0.7), device, rounds)
    return f"{taken:,.1f}" if held.compiled else held.told().splitlines()[0][:100]


def theirs(config: Config, words: int, cells: int, device: torch.device, rounds: int) -> float:
    """Milliseconds of diffusers' model of the same sizes."""
    from diffusers import FluxTransformer2DModel  # only this part needs it

    tokens = (cells // 2) ** 2
    with torch.device("meta"):
        net = FluxTransformer2DModel(
            num_layers=config.double_blocks, num_single_layers=config.single_blocks, guidance_embeds=True,
            num_attention_heads=config.heads, attention_head_dim=config.width // config.heads,
            joint_attention_dim=config.text_width, pooled_projection_dim=config.pooled_width,
            axes_dims_rope=config.axes,
        ).to(BF16)  # fmt: skip
    net = net.to_empty(device=device).requires_grad_(False)
    for parameter in net.parameters():
        parameter.normal_().mul_(0.02)
    asked = {
        "hidden_states": torch.randn(1, tokens, config.in_channels, dtype=BF16, device=device),
        "encoder_hidden_states": torch.randn(1, words, config.text_width, dtype=BF16, device=device),
        "pooled_projections": torch.randn(1, config.pooled_width, dtype=BF16, device=device),
        "timestep": torch.full((1,), 0.7, dtype=BF16, device=device),
        "guidance": torch.full((1,), 3.5, device=device),
        "img_ids": torch.zeros(tokens, 3, device=device), "txt_ids": torch.zeros(words, 3, device=device),
    }  # fmt: skip
    with torch.no_grad():
        return milliseconds(lambda: net(**asked), device, rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time packed weights on a GPU.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=["unpack", "step"], default=["unpack", "step"])
    parser.add_argument("--weights", nargs="+", choices=STORAGES, default=list(STORAGES))
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--folder", type=Path, help="where models are written, to time how they are loaded: 24 GB")
    arguments = parser.parse_args()
    here = torch.device(arguments.device)
    if here.type == "cuda" and not torch.cuda.is_available():
        print("This machine has no CUDA GPU, so there is nothing to measure.")
        sys.exit(0)
    begin = time.perf_counter()
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else str(here)
    print(f"{name}, torch {torch.__version__}\n")
    if "unpack" in arguments.only:
        unpacking(here, arguments.tiny, arguments.rounds)
    if "step" in arguments.only and arguments.folder is None:
        steps(here, arguments.tiny, arguments.rounds, None, arguments.compiled, arguments.weights)
    elif "step" in arguments.only:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
            steps(here, arguments.tiny, arguments.rounds, Path(place), arguments.compiled, arguments.weights)
    print(f"\n{time.perf_counter() - begin:.0f} seconds in all")
