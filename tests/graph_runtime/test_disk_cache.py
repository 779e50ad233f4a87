from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from arithmetic import Tensor
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.disk_cache import DiskCache
from graph_runtime.values import Many

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where flushing costs nothing
KEY = "ab" + "0" * 38


class Plain:
    """A codec for `Tensor`: eight characters for each number."""

    def to_parts(self, value: Any) -> tuple[str, Any, Mapping[str, Any]] | None:
        return ("TENSOR", {"of": len(value.values)}, {"values": value.values}) if isinstance(value, Tensor) else None

    def from_parts(self, socket: str, facts: Any, tensors: Mapping[str, Any]) -> Any:
        assert socket == "TENSOR" and len(tensors["values"]) == facts["of"]
        return Tensor(tensors["values"])

    def nbytes(self, tensors: Mapping[str, Any]) -> int:
        return sum(8 * len(one) for one in tensors.values())

    def write(self, tensors: Mapping[str, Any], path: Path) -> None:
        path.write_text(json.dumps({name: [f"{v:08.2f}" for v in one] for name, one in tensors.items()}))

    def read(self, path: Path) -> Mapping[str, Any]:
        return {name: tuple(map(float, one)) for name, one in json.loads(path.read_text()).items()}


def key(number: int) -> str:
    return f"{number:02x}" * 20


def test_numbers_texts_tensors_and_lists_of_them_come_back(quick: Path):
    disk = DiskCache(quick, 1 << 20, Plain())
    given = {"a": 1, "b": 2.5, "c": "text", "d": True, "e": None, "f": Many([1, 2]), "g": Many([])}
    assert disk.put(KEY, given | {"t": Tensor((1.0, 2.0)), "ts": Many([Tensor((3.0,)), Tensor((4.0,))])})
    found = DiskCache(quick, 1 << 20, Plain()).get(KEY)
    assert found is not None and {name: found[name] for name in given} == given
    assert type(found["f"]) is Many and type(found["d"]) is bool
    assert found["t"].values == (1.0, 2.0) and [one.values for one in found["ts"]] == [(3.0,), (4.0,)]


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()))
def test_plain_values_come_back_as_they_were(outputs: dict[str, Any]):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        disk = DiskCache(Path(folder), 1 << 20)
        assert disk.put(KEY, outputs)
        assert disk.get(KEY) == outputs


def test_what_no_codec_knows_is_not_kept(quick: Path):
    assert not DiskCache(quick, 1 << 20).put(KEY, {"t": Tensor((1.0,))})
    assert not DiskCache(quick, 1 << 20, Plain()).put(KEY, {"t": object()})
    assert not list(quick.iterdir())


@pytest.mark.parametrize("suffix", ["json", "blob"])
def test_one_changed_byte_anywhere_is_a_miss_and_removes_the_entry(quick: Path, suffix: str):
    disk = DiskCache(quick, 1 << 20, Plain())
    disk.put(KEY, {"t": Tensor((1.0, 2.0)), "n": 12345})
    path = quick / "ab" / f"{KEY}.{suffix}"
    whole = path.read_bytes()
    for place in range(len(whole)):
        disk.put(KEY, {"t": Tensor((1.0, 2.0)), "n": 12345})
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert disk.get(KEY) is None
        assert disk.size() == 0
        assert disk.get(KEY) is None


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_a_cut_blob_is_a_miss(quick: Path, kept: int):
    disk = DiskCache(quick, 1 << 20, Plain())
    disk.put(KEY, {"t": Tensor((1.0, 2.0))})
    blob = quick / "ab" / f"{KEY}.blob"
    blob.write_bytes(blob.read_bytes()[:kept])
    assert disk.get(KEY) is None and disk.size() == 0


def test_a_missing_blob_is_a_miss(quick: Path):
    disk = DiskCache(quick, 1 << 20, Plain())
    disk.put(KEY, {"t": Tensor((1.0, 2.0))})
    (quick / "ab" / f"{KEY}.blob").unlink()
    assert disk.get(KEY) is None


def test_the_oldest_used_leave_first(quick: Path):
    disk = DiskCache(quick, 3000, Plain())
    for number in range(3):
        disk.put(key(number), {"t": Tensor((0.0,) * 50)})
        for path in quick.glob("*/*"):  # an hour passes
            os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    assert disk.get(key(0)) is not None
    disk.put(key(3), {"t": Tensor((0.0,) * 50)})
    assert disk.size() <= 3000
    assert disk.get(key(1)) is None
    assert disk.get(key(0)) is not None and disk.get(key(3)) is not None


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), max_size=12))
def test_the_budget_is_never_exceeded(puts: list[tuple[int, int]]):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        disk = DiskCache(Path(folder), 4000, Plain(), max_entry=3000)
        for number, size in puts:
            disk.put(key(number), {"t": Tensor((0.0,) * size)})
            assert disk.size() <= 4000


def test_what_is_too_large_is_not_kept(quick: Path):
    disk = DiskCache(quick, 1 << 20, Plain(), max_entry=2000)
    assert not disk.put(KEY, {"t": Tensor((0.0,) * 1000)})
    assert not disk.put(KEY, {"s": "x" * 3000})
    assert disk.size() == 0


def test_strays_of_a_crash_are_swept_when_they_are_old(quick: Path):
    disk = DiskCache(quick, 1 << 20, Plain())
    disk.put(KEY, {"t": Tensor((1.0,))})
    old, new, orphan = (quick / "ab" / name for name in (".old.tmp", ".new.tmp", "abcd.blob"))
    for path in (old, new, orphan):
        path.write_bytes(b"half")
    for path in (old, orphan):
        os.utime(path, (time.time() - 7200,) * 2)
    disk.size()
    assert (old.exists(), new.exists(), orphan.exists()) == (False, True, False)
    assert disk.get(KEY) is not None


def test_a_folder_that_cannot_be_written_is_no_error(quick: Path):
    (quick / "file").write_text("not a folder")
    disk = DiskCache(quick / "file", 1 << 20)
    assert not disk.put(KEY, {"n": 1})
    assert disk.get(KEY) is None


def test_nothing_half_written_is_ever_seen(quick: Path):
    class Breaks(Plain):
        def write(self, tensors: Mapping[str, Any], path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    disk = DiskCache(quick, 1 << 20, Breaks())
    assert not disk.put(KEY, {"t": Tensor((1.0,))})
    assert [path for path in quick.rglob("*") if path.is_file()] == []
