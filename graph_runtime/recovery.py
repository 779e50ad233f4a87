"""Opening a database file whatever has happened to it, and the copies that make that possible.

A file that fails SQLite's own check is set aside under `.corrupt-<time>`, and the newest copy that is sound takes its
place, or a new file when there is none; either is said in a Problem. A file that cannot be opened at all (rights, an
I/O error) is left alone and refused. Knows nothing of the tables.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graph_runtime.database import NEEDED, Connect, copy_database, open_connection, suspicion
from graph_runtime.durable import sync_file, sync_folder
from graph_runtime.migrations import STEPS, migrate, refuse_newer, version
from graph_runtime.problem import Problem, Refused

KEPT = 7  # copies
THOROUGH = 64 << 20  # bytes up to which a file is checked completely at every start
DAY = 24 * 3600.0
# What SQLite says when it is not the file that is wrong.
OUTSIDE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    }
)
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "fuse.sshfs"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that writes, what has to be told, and whether the file is another than the one last used."""

    connection: sqlite3.Connection
    notices: tuple[Problem, ...]
    restored: bool


class Backups:
    """Copies of a database in a folder, the newest last."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self.folder, self.kept = folder, kept

    def paths(self) -> list[Path]:
        """The copies there are, oldest first."""
        return sorted(self.folder.glob("*.sqlite3"), key=lambda path: (path.stat().st_mtime_ns, path.name))

    def age(self, now: float) -> float:
        """Seconds since the newest copy was made; infinite if there is none."""
        paths = self.paths()
        return now - paths[-1].stat().st_mtime if paths else float("inf")

    def take(self, source: sqlite3.Connection, label: str) -> Path:
        """Copy what this connection sees; the copy is whole and sound, or not there. Raises sqlite3.Error, OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = self.folder / "new.part"
        try:
            copy_database(source, staged)
            if not is_sound(staged):
                raise sqlite3.DatabaseError("the copy is not sound")
            path = self.folder / f"{label}.sqlite3"
            os.replace(staged, path)
            sync_folder(self.folder)
        finally:
            staged.unlink(missing_ok=True)
        for old in self.paths()[: -self.kept]:
            old.unlink(missing_ok=True)
        return path


def is_sound(path: Path, connect: Connect = sqlite3.connect) -> bool:
    """Whether SQLite finds nothing wrong in it. Raises sqlite3.OperationalError when the file cannot be looked at.

    Large files are not compared with their indexes, which would take long, unless something was wrong in use.
    """
    check = "quick_check" if path.stat().st_size > THOROUGH and not suspicion(path).exists() else "integrity_check"
    with open(path, "rb") as stream:
        head = stream.read(20)
    if head[:16] != b"SQLite format 3\0" or not set(head[18:]) <= {1, 2}:
        return False  # a strange version in the head would make the file look read-only
    try:
        connection = connect(path, isolation_level=None)
        try:
            connection.text_factory = bytes  # what is wrong may be told with bytes that are no text
            return bool(connection.execute(f"PRAGMA {check}(1)").fetchone()[0] == b"ok")
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in OUTSIDE:
            raise
        return False
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def open_file(path: Path, backups: Backups, connect: Connect = sqlite3.connect, steps: Sequence[str] = STEPS) -> Opened:
    """Open, check, if need be restore, and migrate. Raises Refused when nothing may be touched."""
    if sqlite3.sqlite_version_info < NEEDED:
        needed = ".".join(map(str, NEEDED))
        what = f"the SQLite of this Python is {sqlite3.sqlite_version}; at least {needed} is needed."
        raise Refused(Problem("sqlite-too-old", "sqlite3", what, "Use a newer build of Python."))
    path.parent.mkdir(parents=True, exist_ok=True)
    notices: list[Problem] = []
    restored = False
    try:
        if _damaged(path, backups, connect):
            notices.append(_replace(path, backups, steps))
            restored = True
        journal = "WAL"
        if kind := network_disk(path.parent):
            journal = "DELETE"
            what = f"it is on a network disk ({kind}); every change is slower there, and a lost connection may harm it."
            notices.append(Problem("data-dir-network", str(path.parent), what, "Choose a folder on a local disk."))
        connection = open_connection(path, connect, journal=journal)
    except (sqlite3.OperationalError, OSError) as error:
        fix = "See to it that it may be read and written, and that the disk works."
        raise Refused(Problem("store-unreadable", str(path), f"it cannot be opened: {error}.", fix)) from None
    try:
        _migrate(connection, path, backups, steps)
    except BaseException:
        connection.close()
        raise
    return Opened(connection, tuple(notices), restored)


def network_disk(folder: Path) -> str:
    """The kind of network file system that `folder` is on; "" when it is on none, or that cannot be known."""
    import psutil

    real, best, kind = os.path.realpath(folder), "", ""
    with suppress(OSError):
        for part in psutil.disk_partitions(all=True):
            inside = real == part.mountpoint or real.startswith(part.mountpoint.rstrip("/") + "/")
            if inside and len(part.mountpoint) >= len(best):
                best, kind = part.mountpoint, part.fstype.lower()
    return kind if kind in NETWORK else ""


def _migrate(connection: sqlite3.Connection, path: Path, backups: Backups, steps: Sequence[str]) -> None:
    refuse_newer(connection, str(path), steps)
    before = version(connection)
    if before == len(steps):
        return
    try:
        if before:
            backups.take(connection, f"before-{len(steps)}-{stamp()}")
        migrate(connection, steps)
    except (sqlite3.Error, OSError) as error:
        what = f"bringing it from format {before} to {len(steps)} failed: {error}."
        fix = f"It is as it was. Make room on the disk, or look into {backups.folder}, then start again."
        raise Refused(Problem("migration-failed", str(path), what, fix)) from error


def _damaged(path: Path, backups: Backups, connect: Connect) -> bool:
    if not path.exists():
        return bool(backups.paths())  # it was there once
    if path.stat().st_size == 0:
        return bool(backups.paths())
    sound = is_sound(path, connect)
    if sound:
        suspicion(path).unlink(missing_ok=True)
    return not sound


def _replace(path: Path, backups: Backups, steps: Sequence[str]) -> Problem:
    """Set the damaged file aside and put the newest sound copy in its place; says what was done."""
    now = stamp()
    there = path.exists()
    aside = path.with_name(f"{path.name}.corrupt-{now}")
    suspicion(path).unlink(missing_ok=True)
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    sync_folder(path.parent)
    was = f"it is damaged and was set aside as {aside.name}" if there else "it is gone"
    for copy in reversed(backups.paths()):
        with suppress(sqlite3.Error, OSError):
            if _usable(copy, steps):
                staged = path.with_name(f"{path.name}.part")
                shutil.copyfile(copy, staged)
                sync_file(staged)
                os.replace(staged, path)
                sync_folder(path.parent)
                made = time.strftime("%Y-%m-%d %H:%M", time.localtime(copy.stat().st_mtime))
                fix = "What was queued or saved after that is missing; finished files are all in their folder."
                return Problem("store-restored", str(path), f"{was}; the copy of {made} is used.", fix)
    fix = "The queue, the history and the saved workflows begin anew; finished files are all in their folder."
    return Problem("store-began-anew", str(path), f"{was}; there is no sound copy of it.", fix)


def _usable(copy: Path, steps: Sequence[str]) -> bool:
    if not is_sound(copy):
        return False
    connection = sqlite3.connect(copy)
    try:
        return 0 < version(connection) <= len(steps)
    finally:
        connection.close()


def stamp() -> str:
    """The time, as part of a file's name."""
    return time.strftime("%Y%m%d-%H%M%S") + f"-{time.time_ns() // 1_000_000 % 1000:03}"
