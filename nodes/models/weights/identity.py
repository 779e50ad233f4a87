"""What a file is by its content, for cache keys: the same bytes have the same identity under any name and date.

Hashing a large file takes seconds, so an identity is remembered for a path for as long as its size, date and inode are
the same. Knows nothing of what is in a file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from nodes.models.weights.tensor import bad_file

BLOCK = 8 << 20
SETTLED = 2.0  # seconds: a file written more recently could change again within the same tick of its date

TABLE = """create table if not exists identity
    (path text primary key, size integer, mtime integer, inode integer, device integer, hash text) without rowid"""


class Identities:
    """Identities of files and folders, remembered in a small database (or, without one, as long as this lives)."""

    def __init__(self, store: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(store or ":memory:", check_same_thread=False, isolation_level=None, timeout=10)
        self._db.execute(TABLE)

    def of(self, path: Path) -> str:
        """64 hex digits. A folder's are made of its files' names and identities, at any depth.

        Raises Refused when it cannot be read, or changes while it is read.
        """
        if not path.is_dir():
            return self._of_file(path)
        digest = blake3()
        for file in _files(path):
            digest.update(f"{file.relative_to(path).as_posix()}\n{self._of_file(file)}\n".encode())
        return digest.hexdigest()

    def _of_file(self, path: Path) -> str:
        try:
            before = _facts(path)
            with self._lock:
                row = self._db.execute(
                    "select hash from identity where path=? and size=? and mtime=? and inode=? and device=?",
                    (str(path.absolute()), *before),
                ).fetchone()
            if row:
                return str(row[0])
            found = _hash(path)
            after = _facts(path)
        except OSError as error:
            raise bad_file(path, f"It cannot be read: {error.strerror}.", "Check its permissions.") from None
        if after != before:
            raise bad_file(path, "It changed while it was read.", "Wait until it is written, then run again.")
        if time.time() - before[1] / 1e9 > SETTLED:
            with self._lock:
                self._db.execute(
                    "insert or replace into identity values (?, ?, ?, ?, ?, ?)", (str(path.absolute()), *before, found)
                )
        return found

    def close(self) -> None:
        self._db.close()


def _facts(path: Path) -> tuple[int, int, int, int]:
    """Size, date in nanoseconds, inode, device."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


def _hash(path: Path) -> str:
    digest = blake3(max_threads=blake3.AUTO)
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in one order everywhere; hidden ones left out."""
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
