"""The header of a GGUF file, read by us before anything else may touch the file.

Every count and length is compared with what is left of the file before it is believed, so a lying file costs no more
than an honest one. Reads no tensor data. Metadata is kept as text; long arrays (token lists) are stepped over.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from graph_runtime.problem import Refused
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, product, shown

MAX_TENSORS = 100_000
MAX_ENTRIES = 100_000
MAX_STRING = 1 << 20
MAX_NAME = 512
MAX_ARRAY = 16 << 20
MAX_STRINGS = 2 << 20  # texts in all arrays together: the largest vocabularies have under a million
MAX_NESTED = 10_000  # arrays in arrays, of which no known file has any
MAX_DEPTH = 4
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 16
KEPT_ITEMS = 64  # arrays of numbers up to this long are kept as text
SKIP = 1 << 16

SMALLEST_ENTRY = 8 + 4 + 1  # key length, type, one byte
SMALLEST_TENSOR = 8 + 4 + 4 + 8  # name length, dimensions, type, offset

# Metadata value types: struct letter by id. 8 is text, 9 an array.
SCALARS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9

# ggml's tensor types: id → (name, elements in a block, bytes of a block).
TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
BLOCKS = {name: (elements, nbytes) for name, elements, nbytes in TYPES.values()}


def read(file: BinaryIO, path: Path, size: int) -> Header:
    """The header of an open file of `size` bytes. Raises Refused when anything about it is not as the format says."""
    return _Reader(file, path, size).header()


class _Reader:
    """Walks over the head of a file. `left` is how many bytes it may still take."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path, self.size, self.left = file, path, size, size
        self.strings = self.nested = 0

    def header(self) -> Header:
        if self.take(4) != b"GGUF":
            raise self.bad("does not begin with the letters GGUF")
        version = self.number("I")
        if version not in (2, 3):
            swapped = int.from_bytes(version.to_bytes(4, "big"), "little") in (1, 2, 3)
            raise self.bad("is big-endian" if swapped else f"has version {version}; 2 and 3 are read")
        tensors = self.count("Q", SMALLEST_TENSOR, MAX_TENSORS, "tensors")
        entries = self.count("Q", SMALLEST_ENTRY, MAX_ENTRIES, "metadata entries")
        metadata: dict[str, str] = {}
        for _ in range(entries):
            key = self.text("a metadata name", MAX_STRING)
            if key in metadata:
                raise self.bad(f"gives the metadata '{shown(key)}' twice")
            metadata[key] = self.value(self.number("I"), key, 0)
        records = [self.record() for _ in range(tensors)]
        alignment = self.alignment(metadata.get("general.alignment"))
        head = self.size - self.left
        start = head + -head % alignment
        return Header(self.path, "gguf", self.placed(records, start, alignment), metadata)

    def alignment(self, given: str | None) -> int:
        if given is None:
            return 32
        value = int(given) if given.isdecimal() and len(given) < 8 else 0
        if not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
            raise self.bad(f"wants an alignment of {shown(given)}; powers of two up to {MAX_ALIGNMENT:,} are read")
        return value

    def record(self) -> tuple[str, str, tuple[int, ...], int, int]:
        """Name, dtype, shape, offset and bytes of one tensor."""
        name = self.text("a tensor's name", MAX_NAME)
        dims = self.number("I")
        if dims > MAX_DIMS:
            raise self.bad(f"gives '{shown(name)}' {dims:,} dimensions; at most {MAX_DIMS} are read")
        sizes = [self.number("Q") for _ in range(dims)]
        if any(size >= 1 << 63 for size in sizes):
            raise self.bad(f"gives '{shown(name)}' a size of 2⁶³ or more")
        kind, offset = self.number("I"), self.number("Q")
        if kind not in TYPES:
            raise self.bad(f"gives '{shown(name)}' the tensor type {kind}, which is not known")
        dtype, block, nbytes = TYPES[kind]
        if (sizes[0] if sizes else 1) % block:
            raise self.bad(f"stores '{shown(name)}' as {dtype}, but its rows of {sizes[:1]} do not divide by {block}")
        shape = tuple(reversed(sizes))
        return name, dtype, shape, offset, product(shape) // block * nbytes

    def placed(
        self, records: list[tuple[str, str, tuple[int, ...], int, int]], start: int, alignment: int
    ) -> dict[str, TensorInfo]:
        """The tensors by name, each at its place in the file, none over another."""
        tensors: dict[str, TensorInfo] = {}
        for name, dtype, shape, offset, nbytes in records:
            if name in tensors:
                raise self.bad(f"lists the tensor '{shown(name)}' twice")
            if offset % alignment:
                raise self.bad(f"puts '{shown(name)}' at {offset:,}, which is not a multiple of {alignment}")
            if start + offset + nbytes > self.size:
                raise self.bad(
                    f"is cut short: '{shown(name)}' ends at byte {start + offset + nbytes:,}, {self.size:,} came"
                )
            tensors[name] = TensorInfo(name, dtype, shape, self.path, start + offset, nbytes)
        end, before = start, ""
        for info in sorted(tensors.values(), key=lambda t: (t.offset, t.nbytes)):
            if info.offset < end and info.nbytes:
                raise self.bad(f"lets '{shown(info.name)}' overlap '{shown(before)}'")
            end, before = max(end, info.offset + info.nbytes), info.name
        return tensors

    def value(self, kind: int, key: str, depth: int) -> str:
        """One metadata value as text; arrays of texts and long arrays become ""."""
        if kind in SCALARS:
            return str(self.number(SCALARS[kind]))
        if kind == TEXT:
            return self.text(f"the metadata '{shown(key)}'", MAX_STRING)
        if kind != ARRAY:
            raise self.bad(f"gives the metadata '{shown(key)}' the type {kind}, which is not known")
        if depth == MAX_DEPTH:
            raise self.bad(f"nests the arrays of '{shown(key)}' more than {MAX_DEPTH} deep")
        inner = self.number("I")
        return self.array(inner, key, depth)

    def array(self, inner: int, key: str, depth: int) -> str:
        if inner in SCALARS:
            letter = SCALARS[inner]
            width = struct.calcsize("<" + letter)
            count = self.count("Q", width, MAX_ARRAY, f"items in '{shown(key)}'")
            if count <= KEPT_ITEMS:
                return str(list(struct.unpack(f"<{count}{letter}", self.take(count * width))))
            self.skip(count * width)
            return ""
        if inner not in (TEXT, ARRAY):
            raise self.bad(f"gives the items of '{shown(key)}' the type {inner}, which is not known")
        smallest, most = (8, MAX_STRINGS - self.strings) if inner == TEXT else (12, MAX_NESTED - self.nested)
        count = self.count("Q", smallest, most, f"items in '{shown(key)}'")
        self.strings += count * (inner == TEXT)
        self.nested += count * (inner == ARRAY)
        for _ in range(count):
            if inner == TEXT:
                self.skip(self.length(f"a text in '{shown(key)}'", MAX_STRING))
            else:
                self.value(inner, key, depth + 1)
        return ""

    def count(self, letter: str, smallest: int, most: int, what: str) -> int:
        """A number of things that are each at least `smallest` bytes."""
        count = self.number(letter)
        if count > most or count * smallest > self.left:
            raise self.bad(f"claims {count:,} {what}; {self.left:,} bytes are left, and at most {most:,} are read")
        return count

    def text(self, what: str, most: int) -> str:
        try:
            return self.take(self.length(what, most)).decode("utf-8")
        except UnicodeDecodeError:
            raise self.bad(f"has {what} that is not UTF-8") from None

    def length(self, what: str, most: int) -> int:
        length = self.number("Q")
        if length > most:
            raise self.bad(f"claims {length:,} bytes for {what}; at most {most:,} are read")
        return length

    def number(self, letter: str) -> int:
        """One little-endian number; a float only where the metadata has one, to be shown."""
        return struct.unpack("<" + letter, self.take(struct.calcsize("<" + letter)))[0]  # type: ignore[no-any-return]

    def take(self, count: int) -> bytes:
        came = self.file.read(count) if count <= self.left else b""
        if len(came) < count:
            raise self.bad(f"is cut short: {count:,} bytes wanted at {self.size - self.left:,}, {self.left:,} came")
        self.left -= count
        return came

    def skip(self, count: int) -> None:
        if count > self.left:
            raise self.bad(f"is cut short: {count:,} bytes wanted at {self.size - self.left:,}, {self.left:,} came")
        self.left -= count
        if count <= SKIP:
            self.file.read(count)
        else:
            self.file.seek(count, 1)

    def bad(self, what: str) -> Refused:
        return bad_file(self.path, f"The GGUF file {what}.")
