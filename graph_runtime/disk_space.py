"""Whether there is room on the disk, and a file kept for the moment when there is none.

A database on a full disk cannot even delete. So a ballast file is laid down while there is room: removing it is what
makes the next commit possible. From then on there is *shortage*, until there is room again for the reserve and for a
new ballast. Knows nothing of what is stored.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

BALLAST = 32 << 20
RESERVE = 1 << 30


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written on the disk of `folder`, or of the nearest folder above that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class DiskSpace:
    """Watches the disks of some folders. Thread-safe.

    folders   where things are written; the ballast lies in the first
    ballast   bytes of that file
    reserve   bytes that should stay free on each disk
    free      port: the bytes that are free for a folder
    """

    def __init__(
        self,
        folders: Sequence[Path],
        ballast: int = BALLAST,
        reserve: int = RESERVE,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.folders, self.ballast, self.reserve, self.free = tuple(folders), ballast, reserve, free
        self.path = self.folders[0] / "ballast"
        self._lock = threading.Lock()
        self._short = False
        with self._lock:
            self._look()

    def short(self) -> bool:
        """Look at the disks: True while there is too little room. Lays the ballast down again when there is enough."""
        with self._lock:
            return self._look()

    def release(self) -> bool:
        """The disk is full: give the ballast up. True if that made room, so that trying again makes sense."""
        with self._lock:
            self._short = True
            try:
                os.unlink(self.path)
            except OSError:
                return False
            return True

    def _look(self) -> bool:
        there = self.path.exists()
        wanted = self.reserve + (self.ballast if self._short or not there else 0)
        self._short = any(self.free(folder) < wanted for folder in self.folders)
        if not self._short and not there and self.ballast:
            self._short = not self._lay_down()
        return self._short

    def _lay_down(self) -> bool:
        """Make the ballast, with real blocks behind it; False if it does not fit."""
        try:
            with open(self.path, "wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, self.ballast)
                else:
                    for _ in range(0, self.ballast, 1 << 20):
                        stream.write(bytes(1 << 20))
        except OSError:
            with suppress(OSError):
                os.unlink(self.path)
            return False
        return True
