"""One server per data folder: a locked file says that somebody is there.

The lock belongs to the process, so the system lets go of it however the process ends; a file left behind means nothing.
Knows nothing of what is in the folder.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import IO

from graph_runtime.problem import Problem, Refused

NAME = "server.lock"
TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})


class DataLock:
    """Held from its making until `close`. Raises Refused when another process holds it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._stream: IO[str] | None = open(self.path, "a+", encoding="ascii", errors="replace")  # noqa: SIM115
        try:
            _lock(self._stream)
        except OSError as error:
            self._stream.seek(1)
            owner = self._stream.read(32).strip() if sys.platform != "win32" else ""
            self.close()
            if error.errno not in TAKEN:
                what = f"it cannot be locked: {error.strerror or error}."
                fix = "Choose a data folder on a local disk."
                raise Refused(Problem("data-dir-unlockable", str(folder), what, fix)) from None
            what = "another server is using this data folder" + (f" (process {owner})." if owner else ".")
            fix = "End it first, or give this one another --data-dir."
            raise Refused(Problem("data-dir-in-use", str(folder), what, fix)) from None
        self._stream.truncate(0)
        self._stream.write(f" {os.getpid()}\n")  # the first byte is the one that Windows locks
        self._stream.flush()

    def close(self) -> None:
        """Let go. A second time does nothing."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _lock(stream: IO[str]) -> None:
    """Raises OSError at once when another process has it."""
    if sys.platform == "win32":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
