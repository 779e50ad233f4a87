"""How fast weights come from a file into a module, and how fast GGUF's blocks become numbers.

Beside ours, in the same run: the physical read past the machine's cache, safetensors' own loader, and for a diffusers
folder diffusers; gguf's numpy, and ComfyUI-GGUF's functions where a checkout of it is given.

    python tests/bench/weights.py [--megabytes 512] [--folder DIR] [--comfyui-gguf CHECKOUT]

Everything in one process with one torch thread (our loader reads with four threads of its own), in turn, least of
several rounds. Cold means that the file's pages were dropped (`posix_fadvise`) before it was read. Prints Markdown.
"""

from __future__ import annotations

import argparse
import mmap
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import gguf
import gguf.quants
import numpy as np
import safetensors.torch
import torch
from torch import nn

from nodes.models.family import detect
from nodes.models.load import load_transformer
from nodes.models.weights import blocks
from nodes.models.weights.fill import fill
from nodes.models.weights.header import read_header
from nodes.models.weights.packing import METHODS, PACKINGS, unpack
from nodes.models.weights.pieces import same_names
from nodes.models.weights.place import nbytes
from nodes.models.weights.storage import PACKED, UNPACKED, pack_linears

ROWS, COLUMNS = 2048, 4096
Case = tuple[str, Callable[[], object]]
SCALES = {
    "Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,),
    "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,),
}  # fmt: skip


def least(run: Callable[[], object], rounds: int, clock: Callable[[], float]) -> float:
    """Seconds of the fastest round, one more having gone before."""
    found = []
    for _ in range(rounds + 1):
        start = clock()
        run()
        found.append(clock() - start)
    return min(found[1:])


def random_blocks(kind: str, rows: int, columns: int) -> np.ndarray:
    """Packed rows of random integers with scales about as large as weights'."""
    _, nbytes, elements = blocks.BLOCKS[kind]
    r = np.random.default_rng(0)
    data = r.integers(0, 256, (rows * columns // elements, nbytes), np.uint8)
    for at in SCALES[kind]:
        data[:, at : at + 2] = (r.standard_normal((len(data), 1)) * 0.01).astype(np.float16).view(np.uint8)
    return data.reshape(rows, -1)


def functions_of(checkout: Path | None) -> Any:
    """ComfyUI-GGUF's module `dequant`; None without a checkout."""
    if checkout is None:
        return None
    spec = spec_from_file_location("comfyui_gguf_dequant", checkout / "dequant.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dequantisation(rounds: int, checkout: Path | None) -> None:
    """Bytes of float32 written per second, in processor time; beside them how long bfloat16 takes."""
    peer = functions_of(checkout)
    rows = 512
    source = torch.randn(rows, COLUMNS)
    out = torch.empty_like(source)
    size = out.numel() * 4 / 1e9
    copy = size / least(lambda: out.copy_(source), rounds, time.process_time)
    print(f"memcpy of the same size: {copy:.1f} GB/s\n")
    head = "| blocks | gguf numpy | ComfyUI-GGUF | ours | times the better | of memcpy | to bf16: ComfyUI-GGUF | ours |"
    print(head + "\n|---" + "|---:" * 7 + "|")
    for kind in blocks.BLOCKS:  # so that the allocator keeps what it is given back, and no side meets new pages
        each(kind, random_blocks(kind, rows, COLUMNS), 3, peer)
    for kind in blocks.BLOCKS:
        found = each(kind, random_blocks(kind, rows, COLUMNS), rounds, peer)
        theirs, ours, short, other, other_short = (size / one if one else 0.0 for one in found)
        cells = [kind, f"{theirs:.2f}", f"{other:.2f}", f"{ours:.2f}", f"{ours / max(theirs, other):.1f}"]
        cells += [f"{ours / copy:.0%}", f"{other_short:.2f}", f"{short:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    print("\n| own packings | pack | unpack | of memcpy |\n|---|---:|---:|---:|")
    for method in METHODS:
        there, back = (size / one for one in both_ways(method, source, rounds))
        print(f"| {method} | {there:.2f} | {back:.2f} | {back / copy:.0%} |", flush=True)


def each(kind: str, data: np.ndarray, rounds: int, peer: Any) -> list[float]:
    """Seconds of gguf's numpy, of ours to float32 and to bfloat16, of ComfyUI-GGUF's to both (0 without it), in turn so
    that all meet the same machine."""
    tensor, number = torch.from_numpy(data), gguf.GGMLQuantizationType[kind]
    single, half = (torch.empty(len(data), COLUMNS, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    runs: list[Callable[[], object]] = [
        lambda: gguf.quants.dequantize(data, number),
        lambda: unpack(tensor, kind, single),
        lambda: unpack(tensor, kind, half),
    ]
    for dtype in (torch.float32, torch.bfloat16) if peer else ():
        runs.append(lambda dtype=dtype: peer.dequantize(tensor, number, single.shape, dtype=dtype))
    turns = [[least(run, max(1, rounds // 3), time.process_time) for run in runs] for _ in range(3)]
    return [min(turn[i] for turn in turns) if i < len(runs) else 0.0 for i in range(5)]


def both_ways(method: str, source: torch.Tensor, rounds: int) -> tuple[float, float]:
    """Seconds of packing float32 and of unpacking it."""
    pack, out = PACKINGS[method].pack, torch.empty_like(source)
    assert pack is not None
    packed = pack(source)
    there = least(lambda: pack(source), rounds, time.process_time)
    return there, least(lambda: unpack(packed, method, out), rounds, time.process_time)


def stack(count: int) -> nn.Module:
    with torch.device("meta"):
        return nn.ModuleList(nn.Linear(COLUMNS, ROWS, bias=False) for _ in range(count))


def drop(path: Path) -> None:
    """Let the machine forget what it has of the file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def physical(path: Path, readers: int = 4, block: int = 4 << 20) -> None:
    """Read all of it past the machine's cache, into memory that is used again."""
    size = path.stat().st_size // block

    def part(number: int) -> None:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, block)
        for at in range(number, size, readers):
            os.preadv(file, [buffer], at * block)
        os.close(file)

    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(part, range(readers)))


def written(folder: Path, megabytes: int) -> tuple[Path, int]:
    count = max(2, megabytes * 1_000_000 // (ROWS * COLUMNS * 2))
    path = folder / "plain.safetensors"
    state = {f"{i}.weight": torch.randn(ROWS, COLUMNS).bfloat16() for i in range(count)}
    safetensors.torch.save_file(state, path)
    return path, count


def written_gguf(folder: Path, kind: str, count: int) -> Path:
    path = folder / f"{kind}.gguf"
    writer, data = gguf.GGUFWriter(path, "flux"), random_blocks(kind, ROWS, COLUMNS)
    for i in range(count):
        writer.add_tensor(f"{i}.weight", data, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def ours(path: Path, count: int, storage: str = UNPACKED) -> nn.Module:
    header, module = read_header(path), stack(count)
    rename = same_names(header)
    pack_linears(module, header, rename, storage)
    fill(module, header, rename, torch.bfloat16)
    return module


def theirs(path: Path, count: int) -> nn.Module:
    module = stack(count)
    module.load_state_dict(safetensors.torch.load_file(path), assign=True)
    return module


def copied(path: Path, count: int) -> nn.Module:
    """The usual way: memory is made first, and the file's numbers are copied into it."""
    module = stack(count).to(torch.bfloat16).to_empty(device="cpu")
    module.load_state_dict(safetensors.torch.load_file(path))
    return module


def touched(load: Callable[[], nn.Module]) -> None:
    """Load, and read every page: what is only mapped has not been loaded yet."""
    for tensor in load().state_dict().values():
        tensor.view(torch.uint8).view(-1)[::4096].max()


def peak(path: Path, count: int, storage: str) -> str:
    """MB that a process of its own takes at most, above what it takes before it loads."""
    program = (
        "import sys, pathlib, torch; sys.path.insert(0, sys.argv[1]); torch.set_num_threads(1); import weights\n"
        "most = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = most()\n"
        "kept = weights.ours(pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])\n"
        "print(most() - before)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(path), str(count), storage]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return f"{int(done.stdout) * 1024 / 1e6:,.0f}"


def compared(cases: list[Case], path: Path, size: float, rounds: int) -> None:
    """A row for each way to load a file: cold, then warm, in turn so that all meet the same machine."""
    print("| into memory, GB/s of the file | cold | warm |\n|---|---:|---:|")
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name, _ in cases}
    for _ in range(rounds):
        for name, run in cases:
            for seconds in found[name]:
                if seconds is found[name][0]:
                    drop(path)
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
    for name, (cold, warm) in found.items():
        print(
            f"| {name} | {size / min(cold):.2f} | {'' if 'physical' in name else f'{size / min(warm):.2f}'} |",
            flush=True,
        )


def pipelines(folder: Path, megabytes: int, rounds: int) -> None:
    """A Flux.1 transformer as diffusers writes it, in its own names: q, k and v apart, joined while they are read."""
    from diffusers import FluxTransformer2DModel  # only this part needs it

    blocks_ = max(1, (megabytes - 260) // 71)
    sizes = {"num_layers": 1, "num_single_layers": blocks_, "num_attention_heads": 12, "attention_head_dim": 128}
    there = folder / "transformer"
    FluxTransformer2DModel(**sizes, guidance_embeds=True).to(torch.bfloat16).save_pretrained(there)
    (path,) = there.glob("*.safetensors")
    size = path.stat().st_size / 1e9
    print(f"\n{size * 1000:,.0f} MB of a Flux.1 transformer in a diffusers folder, bfloat16\n")
    cases: list[Case] = [
        ("physical read (O_DIRECT, 4 threads)", lambda: physical(path)),
        (
            "diffusers",
            lambda: touched(lambda: FluxTransformer2DModel.from_pretrained(there, torch_dtype=torch.bfloat16)),
        ),
        ("ours", lambda: touched(lambda: load_transformer(detect(there), torch.bfloat16))),
    ]
    compared(cases, path, size, rounds)


def timed(path: Path, count: int, storage: str, rounds: int) -> tuple[float, int]:
    """Seconds, and bytes of the weights in memory."""
    seconds = least(lambda: touched(lambda: ours(path, count, storage)), rounds, time.perf_counter)
    return seconds, nbytes(ours(path, count, storage))


def loading(folder: Path, megabytes: int, rounds: int) -> None:
    path, count = written(folder, megabytes)
    size = path.stat().st_size / 1e9
    cases: list[Case] = [
        ("physical read (O_DIRECT, 4 threads)", lambda: physical(path)),
        ("safetensors.torch, mapped, every page read", lambda: touched(lambda: theirs(path, count))),
        ("safetensors.torch, copied into a module", lambda: touched(lambda: copied(path, count))),
        ("ours", lambda: touched(lambda: ours(path, count))),
    ]
    print(f"\n{size * 1000:,.0f} MB of bfloat16 in safetensors\n")
    compared(cases, path, size, rounds)
    pipelines(folder, megabytes, rounds)
    print("\n| file | kept | file MB | seconds, warm | GB/s of the file | peak MB | of it weights |")
    print("|---|---|---:|---:|---:|---:|---:|")
    files = [(path, UNPACKED), (path, "int8"), (path, "nf4")]
    files += [
        (written_gguf(folder, kind, count), storage)
        for kind in ("Q8_0", "Q4_K", "Q2_K")
        for storage in (PACKED, UNPACKED)
    ]
    for file, storage in files:
        gigabytes = file.stat().st_size / 1e9
        seconds, kept = timed(file, count, storage, rounds)
        print(
            f"| {file.stem} | {storage} | {gigabytes * 1000:,.0f} | {seconds:.2f} | {gigabytes / seconds:.2f} "
            f"| {peak(file, count, storage)} | {kept / 1e6:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time loading and dequantisation.")
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--comfyui-gguf", type=Path, help="a checkout of city96/ComfyUI-GGUF")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, load average {load}\n")
    dequantisation(arguments.rounds, arguments.comfyui_gguf)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        loading(Path(name), arguments.megabytes, max(2, arguments.rounds // 3))
    print(f"\nMost memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
