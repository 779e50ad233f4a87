"""Model files made byte by byte, sound ones and hostile ones. Uses none of the code under test."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

FIRST = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file; `header` is JSON text, or what becomes it; `length` lies about its size."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def record(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    """One metadata entry of a GGUF file."""
    return text(key) + struct.pack("<I", kind) + value


def info(name: bytes, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    """One tensor of a GGUF file's list."""
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def gguf(
    entries: list[bytes], infos: list[bytes], data: bytes = b"", version: int = 3, counts: tuple[int, int] | None = None
) -> bytes:
    """A GGUF file of little-endian parts; `counts` lies about how many tensors and entries there are."""
    tensors, metadata = counts or (len(infos), len(entries))
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, metadata) + b"".join(entries) + b"".join(infos)
    return head + b"\0" * (-len(head) % 32) + data


def written(folder: Path, content: bytes, name: str = "model.safetensors") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


INTERESTING = (0, 1, 2, 7, 8, 9, 31, 32, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def mutated(raw: bytes, r: random.Random, head: int) -> bytes:
    """The file with one to four things wrong in its first `head` bytes."""
    out = bytearray(raw)
    for _ in range(r.randint(1, 4)):
        at, kind = r.randrange(min(head, len(out)) or 1), r.random()
        if kind < 0.3:
            out[at : at + 1] = bytes([r.choice((0, 1, 0x22, 0x2C, 0x39, 0x5B, 0x7B, 0x7D, 0xFF, r.randrange(256)))])
        elif kind < 0.5:
            out[at : at + r.choice((1, 2, 8))] = b""
        elif kind < 0.65:
            out[at:at] = out[at : at + r.choice((1, 4, 16, 64))]
        elif kind < 0.85:
            width = r.choice((4, 8))
            value = (r.choice(INTERESTING) + r.randint(-1, 1)) % (1 << 8 * width)
            out[at : at + width] = value.to_bytes(width, "little")
        else:
            out = out[: r.randrange(len(out) + 1)]
    return bytes(out)
