"""Answers on disk, found by key, believed only after checking.

    <folder>/ab/abcdef….json    {"format": 1, "outputs": {...}, "blob": {"hash", "bytes"} or null, "check": its hash}
    <folder>/ab/abcdef….blob    the tensors, as the codec writes them (safetensors)

Both are written beside their place and renamed, the blob first and flushed to disk, so that a crash leaves at most a
stray file, which is swept later; a page without a blob is not worth the wait for the disk. A hash that does not fit is
a miss, and removes the entry. The oldest used leave first when the bytes on disk would exceed the budget. Several
processes may share a folder: whoever finds a file gone has a miss. Knows no tensor: the codec is given.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from graph_runtime.values import Many

FORMAT = 1
_STRAY_SECONDS = 3600.0
_COUNT_AGAIN = 16  # the folder is looked through after this part of the budget has been written


class Codec(Protocol):
    """How values that are more than JSON become files."""

    def to_parts(self, value: Any) -> tuple[str, Any, Mapping[str, Any]] | None:
        """The socket, JSON facts and named tensors of a value; None when it cannot be kept."""

    def from_parts(self, socket: str, facts: Any, tensors: Mapping[str, Any]) -> Any:
        """The way back. Raises any Exception when it cannot."""

    def nbytes(self, tensors: Mapping[str, Any]) -> int:
        """How many bytes `write` would write, about."""

    def write(self, tensors: Mapping[str, Any], path: Path) -> None:
        """All tensors of an entry, into one file."""

    def read(self, path: Path) -> Mapping[str, Any]:
        """The tensors that `write` wrote. Raises any Exception when it cannot."""


class DiskCache:
    """A folder of answers under a budget of bytes."""

    def __init__(self, folder: Path, budget: int, codec: Codec | None = None, max_entry: int = 512 << 20) -> None:
        self.folder, self.budget, self.codec, self.max_entry = folder, budget, codec, max_entry
        self._counted: int | None = None  # bytes there at the last look, and what has been written since; not less
        self._written = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """The outputs kept under `key`, checked; None when there are none or they are damaged."""
        entry, blob = self._paths(key)
        try:
            text = entry.read_bytes()
        except OSError:
            return None
        try:
            outputs = self._decode(text, blob)
        except Exception:  # whatever is wrong with a kept answer, it can be made again
            self._remove(entry, blob)
            return None
        for path in (entry, blob):
            with contextlib.suppress(OSError):
                os.utime(path)
        return outputs

    def put(self, key: str, outputs: Mapping[str, Any]) -> bool:
        """Keep the outputs; False when they cannot or need not be kept. A full disk is not an error of the run."""
        encoded = self._encode(outputs)
        if encoded is None:
            return False
        facts, tensors = encoded
        size = self.codec.nbytes(tensors) if self.codec is not None and tensors else 0
        if size > min(self.max_entry, self.budget):
            return False
        entry, blob = self._paths(key)
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            return self._write(entry, blob, facts, tensors)
        except OSError:
            self._remove(entry, blob)
            return False

    def size(self) -> int:
        """Bytes on disk now."""
        return sum(size for _, size, _ in self._files())

    def _write(self, entry: Path, blob: Path, facts: dict[str, Any], tensors: dict[str, Any]) -> bool:
        stamp = None
        temporary = blob.with_name(f".{uuid4().hex}.tmp")
        written = [temporary]
        try:
            size = 0
            if tensors and self.codec is not None:
                self.codec.write(tensors, temporary)
                size = temporary.stat().st_size
                stamp = {"hash": _file_hash(temporary), "bytes": size}
                _flush(temporary)
            text = _sealed({"format": FORMAT, "outputs": facts, "blob": stamp})
            if len(text) + size > min(self.max_entry, self.budget):
                return False
            self._make_room(len(text) + size, but=entry)
            if stamp is not None:
                os.replace(temporary, blob)
            page = entry.with_name(f".{uuid4().hex}.tmp")
            written.append(page)
            page.write_bytes(text)
            if stamp is not None:
                _flush(page)
            os.replace(page, entry)
            if stamp is not None:
                _flush(entry.parent)
            return True
        finally:
            for path in written:
                path.unlink(missing_ok=True)

    def _encode(self, outputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """JSON facts of each output and all tensors; None when one of them cannot be kept."""
        tensors: dict[str, Any] = {}
        facts: dict[str, Any] = {}
        for name, value in outputs.items():
            many = type(value) is Many
            made = [self._one(f"{name}/{i}", one, tensors) for i, one in enumerate(value if many else (value,))]
            if None in made:
                return None
            facts[name] = {"many": many, "values": made}
        return facts, tensors

    def _one(self, prefix: str, value: Any, tensors: dict[str, Any]) -> dict[str, Any] | None:
        if value is None or type(value) in (bool, int, float, str):
            return {"json": value}
        parts = self.codec.to_parts(value) if self.codec is not None else None
        if parts is None:
            return None
        socket, facts, own = parts
        for name, tensor in own.items():
            tensors[f"{prefix}/{name}"] = tensor
        return {"socket": socket, "facts": facts, "tensors": list(own)}

    def _decode(self, text: bytes, blob: Path) -> dict[str, Any]:
        data = json.loads(text)
        if _sealed({name: data[name] for name in ("format", "outputs", "blob")}) != text or data["format"] != FORMAT:
            raise ValueError("not what was written")
        tensors: Mapping[str, Any] = {}
        if data["blob"] is not None:
            if (
                self.codec is None
                or blob.stat().st_size != data["blob"]["bytes"]
                or _file_hash(blob) != data["blob"]["hash"]
            ):
                raise ValueError("not what was written")
            tensors = self.codec.read(blob)
        outputs: dict[str, Any] = {}
        for name, kept in data["outputs"].items():
            values = [self._value(f"{name}/{i}", one, tensors) for i, one in enumerate(kept["values"])]
            outputs[name] = Many(values) if kept["many"] else values[0]
        return outputs

    def _value(self, prefix: str, one: dict[str, Any], tensors: Mapping[str, Any]) -> Any:
        if "socket" not in one:
            return one["json"]
        if self.codec is None:
            raise ValueError("no codec")
        own = {name: tensors[f"{prefix}/{name}"] for name in one["tensors"]}
        return self.codec.from_parts(one["socket"], one["facts"], own)

    def _paths(self, key: str) -> tuple[Path, Path]:
        place = self.folder / key[:2]
        return place / f"{key}.json", place / f"{key}.blob"

    def _files(self) -> list[tuple[float, int, Path]]:
        """(last use, bytes, path) of every file; strays of a crash are swept on the way."""
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                stray = path.suffix == ".tmp" or (path.suffix == ".blob" and not path.with_suffix(".json").exists())
                if stray and time.time() - facts.st_mtime > _STRAY_SECONDS:
                    path.unlink()
                else:
                    found.append((facts.st_mtime, facts.st_size, path))
        return found

    def _make_room(self, size: int, but: Path) -> None:
        """Remove the oldest used entries until `size` more bytes fit. What `but` holds is about to be written over.

        Looking through the folder takes long when much is in it, so it is done only when it might be full.
        """
        self._written += size
        if self._counted is not None and self._written * _COUNT_AGAIN < self.budget:
            self._counted += size
            if self._counted <= self.budget:
                return
        self._written = 0
        files = [one for one in self._files() if one[2].stem != but.stem and one[2].suffix != ".tmp"]
        total = sum(one[1] for one in files) + size
        for _, _, path in sorted(files, key=lambda one: one[0]):
            if total <= self.budget:
                break
            for gone in (path.with_suffix(".json"), path.with_suffix(".blob")):
                with contextlib.suppress(OSError):
                    total -= gone.stat().st_size
                    gone.unlink()
        self._counted = total

    @staticmethod
    def _remove(*paths: Path) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink()


def _sealed(data: dict[str, Any]) -> bytes:
    """`data` as JSON with its own hash in it."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    check = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**data, "check": check}, sort_keys=True, ensure_ascii=True).encode()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """To the disk, not only to the system: a renamed file must be whole after a power loss. Folders where allowed."""
    with contextlib.suppress(PermissionError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
