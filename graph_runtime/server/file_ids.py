"""Names of files that a client can hold but not make: the folder and label, sealed with a secret of the server.

So a client never names a path, and an id holds as long as the file does. Knows nothing of what is in files.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from graph_runtime.files import unsafe
from graph_runtime.problem import Problem, Refused

SEAL = 16  # bytes


class FileIds:
    """Makes and reads ids.

    folders   where each kind of file is
    """

    def __init__(self, folders: Mapping[str, Path], secret: str) -> None:
        self.folders = dict(folders)
        self._key = hashlib.sha256(b"latentloom files " + secret.encode()).digest()

    def make(self, folder: str, label: str) -> str:
        plain = f"{folder}/{label}".encode("utf-8", "surrogateescape")
        return base64.urlsafe_b64encode(self._seal(plain) + plain).decode("ascii").rstrip("=")

    def read(self, id: str) -> tuple[str, str]:
        """The folder and the label. Raises Refused ("unknown-file") for what this did not make."""
        try:
            raw = base64.b64decode(id + "=" * (-len(id) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise unknown() from None
        seal, plain = raw[:SEAL], raw[SEAL:]
        if not hmac.compare_digest(seal, self._seal(plain)):
            raise unknown()
        folder, _, label = plain.decode("utf-8", "surrogateescape").partition("/")
        if folder not in self.folders or unsafe(label):
            raise unknown()
        return folder, label

    def open(self, id: str) -> tuple[BinaryIO, str]:
        """The file, open, and its label. No link is followed on the way out of its folder. Raises Refused."""
        folder, label = self.read(id)
        root = os.path.realpath(self.folders[folder])
        path = os.path.join(root, label)
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise unknown()
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError:
            raise unknown() from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise unknown()
        return os.fdopen(descriptor, "rb"), Path(label).name

    def _seal(self, plain: bytes) -> bytes:
        return hmac.new(self._key, plain, hashlib.sha256).digest()[:SEAL]


def unknown() -> Refused:
    return Refused(Problem("unknown-file", "file", "there is no such file.", "Get the list anew."))
