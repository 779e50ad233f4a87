"""The header of a safetensors file, read by us before anything else may touch the file.

A header is read entry by entry: no part of it is given to a JSON parser before it is known to be small and flat, so
neither nesting nor size can hurt. Stricter than the reference reader in two places: a name may come only once, and
there are at most 100,000 tensors. Reads no tensor data.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import BinaryIO

from graph_runtime.problem import Refused
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, product, shown

MAX_HEADER = 25_000_000
MAX_TENSORS = 100_000
MAX_METADATA = 100_000
MAX_DIMS = 8
MAX_RECORD = 512

# Bits of one element.
DTYPE_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}

SPACE = re.compile(r"[ \t\r\n]*")
RECORD = re.compile(r"\{[^{}]*\}")
# What every writer produces; a record spelt otherwise takes the slower way.
USUAL = re.compile(
    r'\{"dtype":"([A-Z0-9_]{1,16})","shape":\[((?:#(?:,#)*)?)\],"data_offsets":\[(#),(#)\]\}'.replace(
        "#", "(?:0|[1-9][0-9]{0,18})"
    )
)


def read(file: BinaryIO, path: Path, size: int) -> Header:
    """The header of an open file of `size` bytes. Raises Refused when anything about it is not as the format says."""
    first = file.read(8)
    if len(first) < 8:
        raise bad_file(path, f"A safetensors file begins with 8 bytes of length; this one has {len(first)} in all.")
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER:
        raise bad_file(path, f"The header claims {length:,} bytes; at most {MAX_HEADER:,} are read.")
    if length > size - 8:
        raise bad_file(path, f"The header claims {length:,} bytes, only {size - 8:,} follow: the file is cut short.")
    raw = file.read(length)
    if len(raw) < length:
        raise bad_file(path, f"The header claims {length:,} bytes, but only {len(raw):,} came.")
    if raw.count(b'"data_offsets"') > MAX_TENSORS:
        raise bad_file(path, f"The header lists more than {MAX_TENSORS:,} tensors.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_file(path, f"The header is not UTF-8 text (byte {error.start:,}).") from None
    del raw
    tensors, metadata = _Reader(text, path, 8 + length).entries()
    _check_layout(tensors, path, 8 + length, size)
    return Header(path, "safetensors", tensors, metadata)


def _check_layout(tensors: dict[str, TensorInfo], path: Path, start: int, size: int) -> None:
    """Tensors follow each other without gap or overlap, from the header's end to the file's end."""
    end = start
    for info in sorted(tensors.values(), key=lambda t: (t.offset, t.nbytes)):
        if info.offset != end:
            wrong = "overlaps the tensor before it" if info.offset < end else "leaves a gap before it"
            raise bad_file(path, f"'{shown(info.name)}' {wrong}: it begins at byte {info.offset:,}, not {end:,}.")
        end += info.nbytes
    if end > size:
        raise bad_file(path, f"The file is cut short: its header promises {end:,} bytes, {size:,} came.")
    if end < size:
        raise bad_file(path, f"{size - end:,} bytes follow the last tensor; nothing may.")


class _Reader:
    """Walks over the one JSON object that is a header. `at` is the next character."""

    def __init__(self, text: str, path: Path, data: int) -> None:
        self.text, self.path, self.data, self.at = text, path, data, 0

    def entries(self) -> tuple[dict[str, TensorInfo], dict[str, str]]:
        """Tensors by name, and the metadata."""
        tensors: dict[str, TensorInfo] = {}
        metadata: dict[str, str] | None = None
        if not self.text.startswith("{"):
            raise self.bad("does not begin with '{'")
        for name in self.names():
            if name == "__metadata__":
                if metadata is not None:
                    raise self.bad("has two '__metadata__' entries")
                metadata = self.metadata()
            elif name in tensors:
                raise self.bad(f"lists '{shown(name)}' twice")
            elif len(tensors) == MAX_TENSORS:
                raise self.bad(f"lists more than {MAX_TENSORS:,} tensors")
            else:
                tensors[name] = self.tensor(name)
        if self.text[self.at :].strip(" \t\r\n"):
            raise self.bad("goes on after its closing '}'")
        return tensors, metadata or {}

    def names(self) -> Iterator[str]:
        """Yield each name of the object that begins here; whoever asks for the next has read the value."""
        self.take("{")
        if self.take("}", optional=True):
            return
        while True:
            name = self.string()
            self.take(":")
            yield name
            if self.take("}", optional=True):
                return
            self.take(",")

    def take(self, mark: str, optional: bool = False) -> bool:
        """Step over `mark` and the space around it."""
        at = self.skip_space()
        if self.text[at : at + 1] != mark:
            if optional:
                return False
            came = shown(self.text[at : at + 12]) or "its end"
            raise self.bad(f"has '{came}' at character {at:,} where '{mark}' is wanted")
        self.at = at + 1
        self.skip_space()
        return True

    def skip_space(self) -> int:
        match = SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def string(self) -> str:
        """The text in quotes that begins here."""
        if self.text[self.at : self.at + 1] != '"':
            raise self.bad(f"has something other than a text at character {self.at:,}")
        try:
            value, self.at = scanstring(self.text, self.at + 1, True)
            value.encode("utf-8")
        except ValueError as error:
            reason = "is not valid text" if isinstance(error, UnicodeError) else "does not end"
            raise self.bad(f"has a text at character {self.at:,} that {reason}") from None
        return str(value)

    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self.names():
            if name in found:
                raise self.bad(f"gives the metadata '{shown(name)}' twice")
            if len(found) == MAX_METADATA:
                raise self.bad(f"has more than {MAX_METADATA:,} metadata entries")
            found[name] = self.string()
        return found

    def tensor(self, name: str) -> TensorInfo:
        """The record of one tensor: {"dtype": …, "shape": […], "data_offsets": [begin, end]}."""
        usual = USUAL.match(self.text, self.at)
        if usual:
            self.at = usual.end()
            sizes = usual[2]
            shape = tuple(map(int, sizes.split(","))) if sizes else ()
            dtype, begin, end = usual[1], int(usual[3]), int(usual[4])
        else:
            dtype, shape, begin, end = self.unusual(name)
        bits = DTYPE_BITS.get(dtype)
        if bits is None:
            raise self.bad(f"gives '{shown(name)}' the dtype '{shown(dtype)}', which is not known")
        if any(size >= 1 << 63 for size in shape):
            raise self.bad(f"gives '{shown(name)}' a size of 2⁶³ or more")
        if len(shape) > MAX_DIMS:
            raise self.bad(f"gives '{shown(name)}' {len(shape)} dimensions; at most {MAX_DIMS} are read")
        wanted = product(shape) * bits
        if wanted % 8 or end - begin != wanted // 8:
            raise self.bad(
                f"gives '{shown(name)}' {end - begin:,} bytes, but {dtype} {list(shape)} takes {-(-wanted // 8):,}"
            )
        return TensorInfo(name, dtype, shape, self.path, self.data + begin, end - begin)

    def unusual(self, name: str) -> tuple[str, tuple[int, ...], int, int]:
        """A record written with spaces or in another order. Small and flat before the JSON parser sees it."""
        found = RECORD.match(self.text, self.at, self.at + MAX_RECORD)
        if not found or found[0].count("[") > 2:
            raise self.bad(f"does not describe '{shown(name)}' by dtype, shape and data_offsets")
        self.at = found.end()
        try:
            pairs = json.loads(found[0], object_pairs_hook=list)
        except ValueError:
            raise self.bad(f"is not JSON where it describes '{shown(name)}'") from None
        record = dict(pairs)
        if sorted(key for key, _ in pairs) != ["data_offsets", "dtype", "shape"]:
            raise self.bad(f"does not describe '{shown(name)}' by exactly dtype, shape and data_offsets")
        dtype, shape, offsets = record["dtype"], record["shape"], record["data_offsets"]
        if type(dtype) is not str or not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
            raise self.bad(f"gives '{shown(name)}' a dtype, shape or data_offsets of the wrong type")
        return dtype, tuple(shape), offsets[0], offsets[1]

    def bad(self, what: str) -> Refused:
        return bad_file(self.path, f"The header {what}.")


def _counts(value: object) -> bool:
    """Whether this is a list of non-negative integers below 2⁶³."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
