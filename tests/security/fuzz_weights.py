"""Broken GGUF and safetensors files by the thousand: each is refused with a Problem, or read; nothing else happens.

    python tests/security/fuzz_weights.py [--mutations 1000000] [--seed 0]

Runs in a process whose memory may grow by 64 MiB above what its imports take, over all files together, and in which
reading one file may take 50 ms of processor time; a file that took longer is read again before it counts, since the
machine may have been busy. What stands still without working is ended by an alarm. Prints what came of it as JSON; what
went wrong is in "wrong", with the file's bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import save

from graph_runtime.problem import Refused
from nodes.models.family import find, inspect
from nodes.models.weights import lora
from nodes.models.weights.fill import read_tensor
from nodes.models.weights.header import read_header
from nodes.models.weights.quantized import readable, separate

MEMORY = 64 << 20
SECONDS = 0.05
STILL = 30.0  # seconds by the clock: nothing that works stands still for so long, however busy the machine
SHARED = Path("/dev/shm")  # files in memory: the disk is not what is tried here
NUMBERS = (0, 1, 2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (
    b'"dtype"', b'"F32"', b'"F8_E4M3"', b'"I64"', b'"shape"', b'"data_offsets"', b"[", b"]", b"{", b"}", b",", b":",
    b"[" * 900, b'{"a":' * 300, b"1e9", b"-1", b"9" * 30, b"true", b"null", b'"\\ud800"', b"\xff\xfe",
    b'"__metadata__"',
)  # fmt: skip


class Slow(BaseException):
    """A file took longer than it may."""


def safetensors_files() -> list[bytes]:
    """A LoRA, anchors of a transformer, scaled fp8, a file with text in it, and bitsandbytes' 4 bits."""
    e4 = torch.float8_e4m3fn
    pair = {"lora_unet_img_in.lora_down.weight": torch.ones(2, 4), "lora_unet_img_in.lora_up.weight": torch.ones(4, 2)}
    flux = {
        "double_blocks.0.img_attn.norm.key_norm.scale": torch.ones(4), "img_in.weight": torch.ones(8, 4),
        "vector_in.in_layer.weight": torch.ones(8, 2), "txt_in.weight": torch.ones(8, 2),
        "final_layer.linear.weight": torch.ones(4, 8), "double_blocks.0.img_mlp.0.weight": torch.ones(32, 8),
        "single_blocks.0.linear2.weight": torch.ones(8, 8),
    }  # fmt: skip
    scaled = {"a.weight": torch.ones(4, 4).to(e4), "a.scale_weight": torch.ones(()), "scaled_fp8": torch.ones(2).to(e4)}
    told = {"lora_adapter_metadata": '{"transformer.lora_alpha": 4}', "config": '{"axes_dims_rope": [2, 2, 2]}'}
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4, 32], "nested_blocksize": 256,
             "nested_dtype": "float32", "nested_offset": 0.04}  # fmt: skip
    nf4 = {
        "a.weight": torch.zeros(64, 1, dtype=torch.uint8), "a.weight.absmax": torch.zeros(2, dtype=torch.uint8),
        "a.weight.quant_map": torch.ones(16), "a.weight.nested_absmax": torch.ones(1),
        "a.weight.nested_quant_map": torch.ones(256),
        "a.weight.quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8),
    }  # fmt: skip
    parts = {"a.weight._data": torch.ones(4, 4, dtype=torch.int8), "a.weight._scale": torch.ones(4, 1),
             "a.input_scale": torch.ones(()), "b._weight_qdata": torch.ones(4, 4).to(e4), "b._weight_scale":
             torch.ones(4, 1)}  # fmt: skip
    return [
        save(parts),
        save(pair | {"lora_unet_img_in.alpha": torch.tensor(2.0)}),
        save(flux, told),
        save(scaled),
        save(pair, told),
        save(nf4),
    ]


def gguf_files(folder: Path) -> list[bytes]:
    """Metadata of every kind, and tensors in blocks, under T5's and Flux.1's names."""
    r, files = np.random.default_rng(0), []
    for number, (arch, names) in enumerate(
        [("t5encoder", ("token_embd.weight", "enc.blk.0.attn_q.weight", "enc.blk.0.attn_rel_b.weight")),
         ("flux", ("img_in.weight", "double_blocks.0.img_attn.qkv.weight")),
         ("llama", ("token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight"))]
    ):  # fmt: skip
        writer = gguf.GGUFWriter(folder / f"{number}.gguf", arch)
        writer.add_uint32("a.number", 7)
        writer.add_float64("a.float", 0.5)
        writer.add_bool("a.flag", True)
        writer.add_array("a.words", ["one", "two", "three"])
        writer.add_array("a.numbers", [1, 2, 3, 4])
        for kind, name in zip(("Q8_0", "Q4_0", "F16"), names, strict=False):
            quant = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(
                name, gguf.quants.quantize(r.standard_normal((2, 32), np.float32), quant), raw_dtype=quant
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        files.append((folder / f"{number}.gguf").read_bytes())
    return files


def mutated(files: list[bytes], r: random.Random) -> bytes:
    """One of the files with one to four things wrong with it."""
    data = bytearray(r.choice(files))
    fix_length = not data.startswith(b"GGUF") and r.random() < 0.6  # so that what follows is looked at too
    length = struct.unpack("<Q", data[:8])[0] if fix_length else 0
    body = bytearray(data[8 : 8 + length]) if fix_length else data
    for _ in range(r.randint(1, 4)):
        r.choice(MUTATORS)(body, files, r)
    return struct.pack("<Q", len(body)) + bytes(body) + bytes(data[8 + length :]) if fix_length else bytes(body)


def _at(data: bytearray, r: random.Random) -> int:
    """A place; mostly in the first kilobyte, where headers are."""
    return r.randrange(min(len(data), 1024) if r.random() < 0.8 else len(data)) if data else 0


def flip(data: bytearray, files: list[bytes], r: random.Random) -> None:
    if data:
        data[_at(data, r)] ^= 1 << r.randrange(8)


def number(data: bytearray, files: list[bytes], r: random.Random) -> None:
    at, width = _at(data, r), r.choice((1, 2, 4, 8))
    value = r.choice((*NUMBERS, len(data), len(data) - 1, len(data) + 1)) + r.choice((0, 0, 0, 1, -1))
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def digits(data: bytearray, files: list[bytes], r: random.Random) -> None:
    places = [i for i, byte in enumerate(data[:2048]) if 48 <= byte < 58]
    if places:
        at = r.choice(places)
        data[at : at + 1] = str(r.choice(NUMBERS)).encode()


def remove(data: bytearray, files: list[bytes], r: random.Random) -> None:
    at = _at(data, r)
    del data[at : at + r.choice((1, 2, 4, 8, 64, 4096))]


def insert(data: bytearray, files: list[bytes], r: random.Random) -> None:
    data[_at(data, r) : 0] = r.choice((r.randbytes(r.choice((1, 4, 8, 100))), r.choice(WORDS)))


def double(data: bytearray, files: list[bytes], r: random.Random) -> None:
    at, count = _at(data, r), r.choice((4, 16, 64, 200))
    data[at:at] = bytes(data[at : at + count]) * r.choice((1, 1, 3, 50))


def splice(data: bytearray, files: list[bytes], r: random.Random) -> None:
    other = r.choice(files)
    at, start = _at(data, r), r.randrange(len(other))
    data[at : at + 32] = other[start : start + r.choice((8, 32, 200))]


MUTATORS: tuple[Callable[[bytearray, list[bytes], random.Random], None], ...] = (
    flip, number, number, digits, remove, insert, double, splice,
)  # fmt: skip


def look(path: Path) -> None:
    """Read all that a loader would; Refused when the header is not accepted."""
    header = read_header(path)
    for attempt in (lambda: find(path), lambda: inspect(path), lambda: lora.pairs(header)):
        try:
            attempt()
        except Refused as refused:
            assert all(problem.what and problem.place and problem.fix for problem in refused.problems)
    plain, _ = separate(header)
    for info in plain.tensors.values():
        if info.nbytes <= 1 << 16 and info.elements <= 1 << 16 and readable(info):
            read_tensor(info)


def watched(path: Path) -> str:
    """ "accepted" or "refused"; raises Slow when it took too long."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, STILL)
    try:
        look(path)
        return "accepted"
    except Refused as refused:
        assert all(problem.what and problem.place and problem.fix for problem in refused.problems)
        return "refused"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def too_slow(*_: Any) -> None:
    raise Slow


def grown(by: int) -> None:
    """Let this process have so many bytes more than it has now, and count its peak from here."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + by, now + by))
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most kB that this process had in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def run(mutations: int, seed: int) -> dict[str, Any]:
    r, counts, wrong, slowest = random.Random(seed), {"accepted": 0, "refused": 0}, [], 0.0
    with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as name:
        path, files = Path(name) / "model", safetensors_files() + gguf_files(Path(name))
        for data in files:  # good files are good, and everything is imported
            path.write_bytes(data)
            look(path)
        grown(MEMORY)
        before = peak()
        signal.signal(signal.SIGPROF, too_slow)
        signal.signal(signal.SIGALRM, too_slow)
        begin = time.process_time()
        for _ in range(mutations):
            data = mutated(files, r)
            path.write_bytes(data)
            try:
                came, seconds = watched_again(path)
                counts[came] += 1
                slowest = max(slowest, seconds)
            except BaseException as error:
                wrong.append({"error": f"{type(error).__name__}: {error}", "file": data.hex()})
                if len(wrong) == 5 or isinstance(error, KeyboardInterrupt):
                    break
        seconds, more = time.process_time() - begin, peak() - before
    return {
        "mutations": sum(counts.values()) + len(wrong),
        **counts,
        "wrong": wrong,
        "seconds": round(seconds, 1),
        "slowest file, ms": round(slowest * 1000, 1),
        "most memory beyond the start, kB": more,
    }


def watched_again(path: Path) -> tuple[str, float]:
    """ "accepted" or "refused", and the processor time it took."""
    begin = time.process_time()
    try:
        return watched(path), time.process_time() - begin
    except Slow:
        begin = time.process_time()
        return watched(path), time.process_time() - begin


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Read broken model files.")
    parser.add_argument("--mutations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(run(arguments.mutations, arguments.seed), indent=1))
