"""Files that are there whole, under a name nobody had, and still there after a power cut.

Knows nothing of what is in them, or of who asked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last. Does nothing on systems where a folder cannot be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make what is in a file last."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def link_new(staged: Path, target: Path) -> None:
    """Let `target` be the staged file, whole and lasting. `staged` may stay or be gone afterwards.

    Raises FileExistsError if the name is taken; whatever has it is left as it is.
    """
    try:
        os.link(staged, target)
    except FileExistsError:
        raise
    except OSError:  # another file system (EXDEV), or one without hard links
        _copy_new(staged, target)
    sync_folder(target.parent)


def copy_beside(target: Path) -> Path:
    """Where a copy from another disk is made, hidden; a crash may leave it behind."""
    return target.with_name(f".{target.name}.part")


def _copy_new(staged: Path, target: Path) -> None:
    """By way of a hidden copy beside the target, so that the target's name never has half a file."""
    copy = copy_beside(target)
    try:
        shutil.copyfile(staged, copy)
        sync_file(copy)
        try:
            os.link(copy, target)
        except FileExistsError:
            raise
        except OSError:  # no hard links here: take the name, then put the file under it
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(copy, target)
    finally:
        copy.unlink(missing_ok=True)


def replace_file(staged: Path, target: Path) -> None:
    """Put the staged file in the place of `target`, at once and lastingly. `staged` may stay or be gone afterwards."""
    try:
        os.replace(staged, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = copy_beside(target)
        try:
            shutil.copyfile(staged, copy)
            sync_file(copy)
            os.replace(copy, target)
        finally:
            copy.unlink(missing_ok=True)
    sync_folder(target.parent)


def sha256_of(path: Path) -> str:
    """The hash of what is in a file; "" when there is no such file."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def last_number(folder: Path, stem: str, suffix: str) -> int:
    """The highest n of the files called stem_0000n.suffix; 0 when there are none."""
    pattern = re.compile(re.escape(stem) + r"_(\d{5,9})" + re.escape(suffix))
    try:
        with os.scandir(folder) as entries:
            return max((int(match[1]) for entry in entries if (match := pattern.fullmatch(entry.name))), default=0)
    except FileNotFoundError:
        return 0
