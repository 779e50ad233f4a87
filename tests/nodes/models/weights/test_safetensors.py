from __future__ import annotations

import io
import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from graph_runtime.problem import Refused
from nodes.models.weights.header import read_header
from nodes.models.weights.safetensors import read

from .raw import FIRST, mutated, record, safetensors, written

SOUND = safetensors(FIRST, bytes(24))
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

HOSTILE = {
    "nothing": b"",
    "three bytes": b"\1\2\3",
    "length without header": safetensors(b"{}", length=10),
    "length 2**64-1": safetensors(FIRST, bytes(24), length=2**64 - 1),
    "length over the cap": safetensors(FIRST, bytes(24), length=25_000_001),
    "length one too long": safetensors(FIRST, length=len(json.dumps(FIRST, separators=(",", ":"))) + 1),
    "not UTF-8": safetensors(b'{"\xff":1}'),
    "not JSON": safetensors(b"{nope}"),
    "a list": safetensors(b"[]"),
    "goes on after the end": safetensors(b"{}{}"),
    "a name twice": safetensors(b'{"a":%s,"a":%s}' % ((json.dumps(record("F32", [1], 0, 4)).encode(),) * 2), bytes(4)),
    "metadata twice": safetensors(b'{"__metadata__":{},"__metadata__":{}}'),
    "a metadata name twice": safetensors(b'{"__metadata__":{"a":"1","a":"2"}}'),
    "metadata of a number": safetensors(b'{"__metadata__":{"a":1}}'),
    "metadata of an object": safetensors(b'{"__metadata__":{"a":{}}}'),
    "unknown dtype": safetensors({"a": record("F33", [1], 0, 4)}, bytes(4)),
    "dtype of a number": safetensors(b'{"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "negative size": safetensors({"a": record("F32", [-1], 0, 4)}, bytes(4)),
    "size of a fraction": safetensors(b'{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', bytes(4)),
    "size of a truth": safetensors(b'{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', bytes(4)),
    "size that wraps to zero": safetensors({"a": record("F32", [2**32, 2**32], 0, 0)}),
    "size of 2**63 where there is nothing": safetensors({"a": record("F32", [0, 2**63], 0, 0)}),
    "size that wraps to four bytes": safetensors({"a": record("F32", [2**63, 2, 1], 0, 4)}, bytes(4)),
    "a million digits": safetensors(b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,4]}}' % (b"9" * 10**6)),
    "nine dimensions": safetensors({"a": record("U8", [1] * 9, 0, 1)}, b"\0"),
    "bytes of another shape": safetensors({"a": record("F32", [2], 0, 4)}, bytes(4)),
    "half a byte": safetensors({"a": record("F4", [3], 0, 1)}, b"\0"),
    "end before begin": safetensors({"a": record("F32", [1], 4, 0)}, bytes(4)),
    "overlap": safetensors({"a": record("F32", [2], 0, 8), "b": record("F32", [1], 4, 8)}, bytes(8)),
    "gap": safetensors({"a": record("F32", [1], 0, 4), "b": record("F32", [1], 8, 12)}, bytes(12)),
    "gap at the start": safetensors({"a": record("F32", [1], 4, 8)}, bytes(8)),
    "bytes at the end": SOUND + b"\0",
    "cut short": SOUND[:-1],
    "a field more": safetensors({"a": record("F32", [1], 0, 4) | {"x": 1}}, bytes(4)),
    "a field less": safetensors(b'{"a":{"dtype":"F32","shape":[1]}}', bytes(4)),
    "a field twice": safetensors(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "three offsets": safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', bytes(4)),
    "nested 100,000 deep": safetensors(DEEP),
    "objects nested 100,000 deep": safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a name without end": safetensors(b'{"aaaa'),
    "half a character": safetensors(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "400,000 empty tensors": safetensors(
        b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(400_000)) + b"}"
    ),
    "ten million commas": safetensors(b'{"a":[' + b"1," * 5_000_000 + b"1]}"),
    "ten million objects": safetensors(b'{"a":{"b":[' + b"{}," * 3_000_000 + b"{}]}}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_little_time_and_memory(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, HOSTILE[name])
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Refused) as refused:
        read_header(path)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "model.safetensors" in str(refused.value)
    assert len(str(refused.value)) < 600 and str(refused.value).isprintable() == ("\n" not in str(refused.value))
    assert peak < 64 << 20
    assert seconds < 0.25  # 50 ms without the tracing of memory


def test_a_file_cut_short_says_what_was_wanted_and_what_came(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"promises 89 bytes, 88 came"):
        read_header(written(tmp_path, SOUND[:-1]))


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b"{}   ",
        b'{"__metadata__":{}}',
        b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
        b'{ "a" : { "shape" : [ 1 ] , "data_offsets" : [ 0 , 4 ] , "dtype" : "F32" } }',
        '{"__metadata__":{"é\\n":"{\\"a\\": [[[[1]]]]}"},'.encode()
        + b'"\xc3\xbc/\\u0041":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"z":{"dtype":"I64","shape":[0,9],"data_offsets":[4,4]}}',
    ],
)
def test_every_spelling_of_a_sound_header_is_read_as_the_library_reads_it(header: bytes, tmp_path: Path) -> None:
    data = bytes(4 * (b"0,4" in header.replace(b" ", b"")))
    path = written(tmp_path, safetensors(header, data))
    assert facts(path) == theirs(path)


def facts(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes and metadata as we read them."""
    header = read_header(path)
    return {name: tensor.shape for name, tensor in header.tensors.items()}, dict(header.metadata)


def theirs(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    with safe_open(path, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return shapes, file.metadata() or {}


def test_what_is_read_is_where_the_library_put_it(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    kinds = [torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn]
    tensors = {f"t{i}.{kind}": (torch.randn(3, i + 1, generator=g) * 9).to(kind) for i, kind in enumerate(kinds)}
    save_file(tensors, tmp_path / "m.safetensors", {"title": "x"})
    header = read_header(tmp_path / "m.safetensors")
    raw = (tmp_path / "m.safetensors").read_bytes()
    assert set(header.tensors) == set(tensors)
    for name, tensor in tensors.items():
        found = header.tensors[name]
        stored = raw[found.offset : found.offset + found.nbytes]
        assert stored == tensor.view(torch.uint8).numpy().tobytes() and found.shape == tuple(tensor.shape)
    assert header.metadata == {"title": "x"} and header.parameters == sum(t.numel() for t in tensors.values())


def test_a_header_of_100_000_tensors_is_read_and_one_more_is_not(tmp_path: Path) -> None:
    def made(count: int) -> Path:
        records = (b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(count))
        return written(tmp_path, safetensors(b"{" + b",".join(records) + b"}"))

    assert len(read_header(made(100_000)).tensors) == 100_000
    with pytest.raises(Refused, match="more than 100,000"):
        read_header(made(100_001))


BASE = safetensors(
    {
        "__metadata__": {"title": "t", "config": "{}"},
        "model.weight": record("BF16", [4, 3], 0, 24),
        "model.bias": record("F32", [3], 24, 36),
    },
    bytes(36),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(st.integers(0, 2**32), st.booleans())
def test_no_mutation_gives_anything_but_a_header_or_a_refusal(tmp_path: Path, seed: int, honest: bool) -> None:
    """50 mutations each. What we accept, the library accepts too and reads alike; half have a true length in front."""
    r = random.Random(seed)
    for _ in range(50):
        raw = mutated(BASE, r, len(BASE) - 36)
        if honest and len(raw) > 44:
            raw = (len(raw) - 44).to_bytes(8, "little") + raw[8:]
        path = tmp_path / "model.safetensors"
        try:
            header = read(io.BytesIO(raw), path, len(raw))
        except Refused:
            continue
        written(tmp_path, raw)
        assert ({name: tensor.shape for name, tensor in header.tensors.items()}, header.metadata) == theirs(path)
