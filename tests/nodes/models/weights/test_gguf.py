from __future__ import annotations

import io
import random
import struct
import time
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes.models.weights import gguf as ours
from nodes.models.weights.header import read_header

from . import raw
from .raw import entry, info, mutated, written

U8, U32, TEXT, ARRAY = 0, 4, 8, 9
HUGE = 2**63 - 1


def array(kind: int, count: int, items: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + items


def nested(depth: int) -> bytes:
    return array(ARRAY, 1) * depth + array(U8, 1, b"\0")


F32 = bytes(24)
HOSTILE = {
    "only the magic": b"GGUF",
    "49 bytes that once hung a reader": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry(b"a", ARRAY, array(U8, HUGE)),
    "version 1": raw.gguf([], [], version=1),
    "version 4": raw.gguf([], [], version=4),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "tensors without end": raw.gguf([], [], counts=(HUGE, 0)),
    "entries without end": raw.gguf([], [], counts=(0, HUGE)),
    "more tensors than bytes": raw.gguf([], [], bytes(1000), counts=(1000, 0)),
    "a name of 2**63 bytes": raw.gguf([struct.pack("<Q", HUGE)], []),
    "a name of 2 MiB": raw.gguf([raw.text(b"a" * (2 << 20)) + struct.pack("<IB", U8, 0)], []),
    "a text of 2 MiB": raw.gguf([entry(b"a", TEXT, raw.text(b"a" * (2 << 20)))], []),
    "a text without end": raw.gguf([entry(b"a", TEXT, struct.pack("<Q", 1 << 20))], []),
    "a text that is no UTF-8": raw.gguf([entry(b"a", TEXT, raw.text(b"\xff"))], []),
    "a key twice": raw.gguf([entry(b"a", U8, b"\0")] * 2, []),
    "an unknown type": raw.gguf([entry(b"a", 99, b"\0")], []),
    "an array of an unknown type": raw.gguf([entry(b"a", ARRAY, array(99, 1))], [], bytes(64)),
    "an array of 2**40 texts": raw.gguf([entry(b"a", ARRAY, array(TEXT, 1 << 40))], []),
    "an array of 17 million items": raw.gguf([entry(b"a", ARRAY, array(U8, 17 << 20, bytes(17 << 20)))], []),
    "arrays nested a thousand deep": raw.gguf([entry(b"a", ARRAY, nested(1000))], []),
    "a million arrays": raw.gguf([entry(b"a", ARRAY, array(ARRAY, 10**6, array(U8, 0) * 10**6))], []),
    "texts cut short": raw.gguf([entry(b"a", ARRAY, array(TEXT, 3, raw.text(b"xyz")))], []),
    "alignment 0": raw.gguf([entry(b"general.alignment", U32, struct.pack("<I", 0))], []),
    "alignment 48": raw.gguf([entry(b"general.alignment", U32, struct.pack("<I", 48))], []),
    "alignment 128 KiB": raw.gguf([entry(b"general.alignment", U32, struct.pack("<I", 1 << 17))], []),
    "alignment of a text": raw.gguf([entry(b"general.alignment", TEXT, raw.text(b"9" * 5000))], []),
    "five dimensions": raw.gguf([], [info(b"a", [1] * 5)], bytes(4)),
    "2**32 dimensions": raw.gguf([], [raw.text(b"a") + struct.pack("<I", 2**32 - 1) + bytes(40)]),
    "an unknown tensor type": raw.gguf([], [info(b"a", [1], 77)], bytes(4)),
    "a removed tensor type": raw.gguf([], [info(b"a", [32], 4)], bytes(40)),
    "a row of half a block": raw.gguf([], [info(b"a", [16, 2], 8)], bytes(34)),
    "a size of 2**63 where there is nothing": raw.gguf([], [info(b"a", [0, 2**63])]),
    "a size that wraps around": raw.gguf([], [info(b"a", [2**32, 2**32])]),
    "a size that wraps to four": raw.gguf([], [info(b"a", [2**62, 4, 1])], bytes(4)),
    "an odd offset": raw.gguf([], [info(b"a", [1], 0, 4)], bytes(8)),
    "an offset past the end": raw.gguf([], [info(b"a", [1], 0, 1 << 40)], bytes(4)),
    "an offset that wraps around": raw.gguf([], [info(b"a", [1], 0, 2**64 - 32)], bytes(64)),
    "two tensors in one place": raw.gguf([], [info(b"a", [6]), info(b"b", [6])], F32),
    "a tensor twice": raw.gguf([], [info(b"a", [6]), info(b"a", [6], 0, 32)], bytes(64)),
    "data cut short": raw.gguf([], [info(b"a", [6])], F32)[:-1],
    "a tensor's name of 1 KiB": raw.gguf([], [info(b"a" * 1024, [1])], bytes(4)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_little_time_and_memory(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, HOSTILE[name], "model.gguf")
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Refused) as refused:
        read_header(path)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "model.gguf" in str(refused.value) and len(str(refused.value)) < 600
    assert peak < 64 << 20 and seconds < 0.25  # 50 ms without the tracing of memory


def test_a_file_cut_short_says_what_was_wanted_and_what_came(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"'a' ends at byte 88, 87 came"):
        read_header(written(tmp_path, HOSTILE["data cut short"]))


def sample(path: Path, kinds: tuple[str, ...] = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_1")) -> Path:
    """A file made by gguf's own writer, with metadata of every kind."""
    writer = gguf.GGUFWriter(path, "flux")
    writer.add_file_type(7)
    writer.add_string("general.name", "tiny é")
    writer.add_bool("x.flag", True)
    writer.add_float32("x.float", 0.5)
    writer.add_uint64("x.large", 2**63)
    writer.add_array("x.numbers", [1, 2, 3])
    writer.add_array("x.words", ["a", "", "ccc"] * 300)
    g = np.random.default_rng(0)
    for i, kind in enumerate(kinds):
        data = g.standard_normal((i + 2, 64), np.float32)
        kind_ = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(f"t.{kind}", gguf.quants.quantize(data, kind_), raw_dtype=kind_)
    writer.add_tensor("vector", g.standard_normal(5).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def facts(path: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    tensors = read_header(path).tensors
    return {name: (t.dtype, t.shape, t.offset, t.nbytes) for name, t in tensors.items()}


def theirs(path: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    return {
        t.name: (t.tensor_type.name, tuple(int(n) for n in reversed(t.shape)), int(t.data_offset), int(t.n_bytes))
        for t in gguf.GGUFReader(path).tensors
    }


def test_a_sound_file_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    path = sample(tmp_path / "m.gguf")
    assert facts(path) == theirs(path)
    metadata = read_header(path).metadata
    assert metadata["general.architecture"] == "flux" and metadata["general.name"] == "tiny é"
    assert (metadata["x.flag"], metadata["x.float"], metadata["x.large"]) == ("True", "0.5", str(2**63))
    assert (metadata["x.numbers"], metadata["x.words"]) == ("[1, 2, 3]", "")


def test_every_block_type_has_the_librarys_size() -> None:
    known = {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGML_QUANT_SIZES}
    assert {number: ours.TYPES[number] for number in ours.TYPES if number in known} == known


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(st.integers(0, 2**32))
def test_no_mutation_gives_anything_but_a_header_or_a_refusal(tmp_path: Path, seed: int) -> None:
    """50 mutations each, of a file of metadata and tensors of several kinds."""
    path = tmp_path / "base.gguf"
    base = path.read_bytes() if path.exists() else sample(path).read_bytes()
    head = min(t.offset for t in read_header(path).tensors.values())
    r = random.Random(seed)
    for _ in range(50):
        bad = mutated(base, r, 400 if r.random() < 0.5 else head)
        try:
            header = ours.read(io.BytesIO(bad), path, len(bad))
        except Refused:
            continue
        assert all(t.offset + t.nbytes <= len(bad) for t in header.tensors.values())
