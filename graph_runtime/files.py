"""The files a run may read and write: names in, paths out.

A workflow names a file by kind and label ("image", "cats/tom.png"); this decides which folders that kind lives in, and
sees to it that the label cannot lead out of them. Finished files appear whole, under a name nobody had. The rules for a
label are the same on every system, so a workflow that works here works elsewhere. Knows nothing of nodes or of what is
in the files.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import blake3

from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings

# Kinds that are found in the input folder, and in the output folder after it. Every other kind is of models.
INPUTS = frozenset({"image", "mask", "latent", "conditioning", "text", "workflow"})
# Where a model folder keeps a kind; the folder itself is always looked in as well. The names are those ComfyUI uses, so
# that one folder of models can serve both.
MODEL_FOLDERS: dict[str, tuple[str, ...]] = {
    "checkpoint": ("checkpoints", "diffusion_models", "unet"),
    "model": ("diffusion_models", "unet", "checkpoints"),
    "lora": ("loras",),
    "vae": ("vae",),
    "text_encoder": ("text_encoders", "clip"),
}
# A folder with this file in it is one model; another file means that of every other kind.
DESCRIPTIONS = {"checkpoint": "model_index.json"}
DESCRIPTION = "config.json"
WEIGHTS = frozenset({".safetensors", ".sft", ".gguf"})
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
LONGEST = 255  # bytes of one part of a label; ext4, NTFS and APFS agree
STAGING = ".staging"
STALE = 24 * 3600.0  # seconds after which a staged file belongs to nobody
SAMPLED = 256 << 20  # files larger than this are not read whole to tell them apart
CHUNK = 4 << 20
PIECES, PIECE = 16, 64 << 10  # of a fingerprint


class Files:
    """The folders of one worker. Makes a folder only when something is saved into it."""

    def __init__(self, settings: Settings, shipped: Mapping[tuple[str, str], Path] | None = None) -> None:
        """`shipped`: (kind, name) → path of files that came with packs; a file of the user's goes before."""
        self._inputs = (settings.input_dir, settings.output_dir)
        self._models = settings.model_dirs
        self._shipped = dict(shipped or {})
        self._outputs = {"output": settings.output_dir, "temp": settings.data_dir / "temp", "input": settings.input_dir}
        self._absolute = settings.allow_absolute_paths
        self._identities: dict[tuple[str, int, int, int], str] = {}
        self._saving = threading.Lock()

    def roots(self, kind: str) -> list[Path]:
        """The folders of a kind, in the order they are looked in."""
        if kind in INPUTS:
            return list(self._inputs)
        places = MODEL_FOLDERS.get(kind, (kind,) if not unsafe(kind) else ())
        return [folder for root in self._models for folder in (*(root / place for place in places), root)]

    def places(self, kind: str) -> list[Path]:
        """Where a person would put a file of a kind: its folders that are there, else the first."""
        roots = self.roots(kind)
        return [one for one in roots if one.is_dir()] or roots[:1]

    def find(self, kind: str, name: str) -> Path:
        """The file (or folder, for models) of this kind and name, with every symbolic link resolved.

        Raises Refused when the name could lead elsewhere, or when there is no such file.
        """
        if self._absolute and os.path.isabs(name) and not re.search(r"[\x00-\x1f]", name):
            if os.path.exists(name):
                return Path(os.path.realpath(name))
            raise Refused(Problem("no-file", name, "there is no such file.", "Correct the path."))
        reason = unsafe(name)
        if reason:
            fix = "Give the name of a file in the folders of its kind."
            raise Refused(Problem("bad-name", repr(name)[:200], f"{reason}.", fix))
        roots = self.roots(kind)
        for root in roots:
            path = root / name
            if path.is_file() or (path.is_dir() and kind not in INPUTS):
                return _inside(root, path, name)
        came = self._shipped.get((kind, name))
        if came is not None and came.exists():
            return came
        looked = ", ".join(map(str, self.places(kind)))
        what = f"there is no {kind.replace('_', ' ')} of that name; looked in {looked}."
        raise Refused(Problem("no-file", name, what, "Put the file there, or choose another."))

    def names(self, kind: str, suffixes: frozenset[str] = frozenset()) -> list[str]:
        """The labels of the files of a kind that `find` would give, sorted; with one of `suffixes` if any are given.

        Of models, a folder with its description is one name, and so is every other file that holds weights.
        """
        found = {label for root in self.roots(kind) for label in _labels(root, kind) if not unsafe(label)}
        wanted = {label for label in found if not suffixes or Path(label).suffix.lower() in suffixes}
        return sorted(wanted | {label for of, label in self._shipped if of == kind})

    def identity(self, kind: str, name: str) -> str:
        """What a file holds, as a short hash: the same for the same content under any name. Raises as `find` does.

        Of files over 256 MiB sixteen pieces, the size and the time of the last change are hashed instead of everything.
        """
        path = self.find(kind, name)
        if path.is_file():
            return self._identity(path)
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        parts = "\n".join(f"{one.relative_to(path).as_posix()} {self._identity(one)}" for one in inside)
        return blake3.blake3(parts.encode()).hexdigest()[:32]

    def _identity(self, path: Path) -> str:
        facts = path.stat()
        seen = (str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if seen not in self._identities:
            self._identities[seen] = _content_hash(path, facts)
        return self._identities[seen]

    def stage(self, write: Callable[[BinaryIO], None], kind: str = "output") -> Path:
        """Write a file whole, flushed, and without a name yet, for somebody else to give it one. Raises as `save`."""
        if kind not in self._outputs:
            what = f"nothing is saved as {kind!r}."
            raise Refused(Problem("bad-name", kind[:40], what, "Save as output, temp or input."))
        folder = staging_of(self._outputs[kind])
        staged = folder / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_through(staged, write)
        except BaseException as error:
            staged.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            what = f"it cannot be written in {folder}: {error.strerror or error}."
            raise Refused(Problem("cannot-write", kind, what, "Make room, or choose another output folder.")) from None
        return staged

    def save(self, name: str, suffix: str, write: Callable[[BinaryIO], None], kind: str = "output") -> Path:
        """Write a file whole or not at all, as name_00001.png or the next free number. Never overwrites.

        name    may have folders in it, "cats/tom"; suffix with its dot
        write   is given a binary file to write to; if it raises, nothing is left
        kind    "output", "temp" or "input"

        Raises Refused for a name that leads elsewhere, and when the disk is full or must not be written.
        """
        reason = unsafe(name) or unsafe(f"x{suffix}")
        if kind not in self._outputs:
            reason = reason or f"nothing is saved as {kind!r}"
        if reason:
            fix = "Give a plain name, e.g. picture or cats/tom."
            raise Refused(Problem("bad-name", repr(name)[:200], f"{reason}.", fix))
        root = self._outputs[kind]
        try:
            folder = (root / name).parent
            _make_folders(root, folder, name)
            with self._saving:
                _sweep(root / STAGING)
                if kind == "temp":
                    _sweep(folder)
            staged = root / STAGING / f"{os.getpid()}-{uuid.uuid4().hex}.part"
            try:
                _write_through(staged, write)
                return _publish(staged, folder, Path(name).name, suffix)
            finally:
                staged.unlink(missing_ok=True)
        except OSError as error:
            what = f"it cannot be written in {root}: {error.strerror or error}."
            raise Refused(Problem("cannot-write", name, what, "Make room, or choose another output folder.")) from None


def staging_of(root: Path) -> Path:
    """Where in a folder files lie that are written but have no name yet, for those who give names."""
    return root / STAGING / "runs"


def unsafe(label: str) -> str:
    """Why a label may not name a file inside a folder; "" if it may. The same answer on every system."""
    if not label:
        return "a name is missing"
    if re.search(r"[\x00-\x1f\x7f]", label):
        return "there is a control character in the name"
    if re.search(r'[\\:*?"<>|]', label):
        return r'a name has none of \ : * ? " < > |'
    try:
        encoded = label.encode()
    except UnicodeEncodeError:
        return "the name is not text"
    if len(encoded) > 1024:
        return "the name is too long"
    if label.startswith("/"):
        return "the name is a whole path, not one inside the folder"
    for part in label.split("/"):
        if part in ("", ".", ".."):
            return "the name leads through `..`, `.` or nothing"
        if part == STAGING:
            return f"{part} is not for reading"
        if part[-1] in ". " or part[0] == " ":
            return "a part of the name begins with a space or ends with a space or dot"
        if part.partition(".")[0].rstrip(" ").lower() in RESERVED:
            return f"{part} is the name of a device on some systems"
        if len(part.encode()) > LONGEST:
            return f"a part of the name is longer than {LONGEST} bytes"
    return ""


def _labels(root: Path, kind: str) -> Iterator[str]:
    """What lies in a folder and below, hidden things left out; of models, whole folders and files with weights."""
    models = kind in MODEL_FOLDERS
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        if models and inside.parts and DESCRIPTIONS.get(kind, DESCRIPTION) in files:
            below.clear()
            yield inside.as_posix()
            continue
        for name in files:
            if not name.startswith(".") and (not models or Path(name).suffix.lower() in WEIGHTS):
                yield (inside / name).as_posix()


def _inside(root: Path, path: Path, name: str) -> Path:
    """`path` without symbolic links, if it still lies in `root`."""
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        what = f"it is a link that leads out of {root}."
        fix = "Add the folder it leads to in the settings, e.g. to model_dirs."
        raise Refused(Problem("leads-outside", name, what, fix))
    return Path(real)


def _make_folders(root: Path, folder: Path, name: str) -> None:
    """Make `folder` and the staging folder; refuse when a link on the way leads out of `root`."""
    root.mkdir(parents=True, exist_ok=True)
    there = folder
    while not there.exists():
        there = there.parent
    _inside(root, there, name)
    folder.mkdir(parents=True, exist_ok=True)
    _inside(root, folder, name)
    (root / STAGING).mkdir(exist_ok=True)


def _sweep(folder: Path) -> None:
    """Remove files older than a day: what a crash has left behind, and temporary pictures nobody looks at any more."""
    before = time.time() - STALE
    for entry in os.scandir(folder):
        with suppress(OSError):
            if entry.stat(follow_symlinks=False).st_mtime < before:
                os.unlink(entry.path)


def fingerprint(path: Path) -> str:
    """What a model holds, as 16 hex digits: of a file its size and sixteen pieces, of a folder its files' names too.

    Never the whole of a large file, so it takes milliseconds; never a date or a path, so it is the same on every
    machine. It tells one model from another, and is no proof against somebody who wants two to look alike.
    """
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        parts = [f"{one.relative_to(path).as_posix()} {fingerprint(one)}" for one in inside]
        return blake3.blake3("\n".join(parts).encode()).hexdigest()[:16]
    digest = blake3.blake3()
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        for piece in range(PIECES):
            stream.seek(max(0, size - PIECE) * piece // (PIECES - 1))
            digest.update(stream.read(PIECE))
    return digest.hexdigest()[:16]


def _write_through(path: Path, write: Callable[[BinaryIO], None]) -> None:
    with open(path, "xb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def _publish(staged: Path, folder: Path, stem: str, suffix: str) -> Path:
    """Give the staged file the first free number, and make that last: a crash leaves the whole file or none."""
    for number in itertools.count(_last_number(folder, stem, suffix) + 1):
        target = folder / f"{stem}_{number:05}{suffix}"
        try:
            _link(staged, target)
        except FileExistsError:
            continue
        _sync_folder(folder)
        return Path(os.path.realpath(target))
    raise AssertionError("numbers do not end")


def _link(staged: Path, target: Path) -> None:
    """Let `target` be the staged file. Raises FileExistsError if it is taken."""
    try:
        os.link(staged, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name, then put the file under it
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(staged, target)


def _last_number(folder: Path, stem: str, suffix: str) -> int:
    pattern = re.compile(re.escape(stem) + r"_(\d{5,9})" + re.escape(suffix))
    return max((int(match[1]) for entry in os.scandir(folder) if (match := pattern.fullmatch(entry.name))), default=0)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content_hash(path: Path, facts: os.stat_result) -> str:
    hasher = blake3.blake3()
    with open(path, "rb") as stream:
        for piece in _pieces(stream, facts.st_size):
            hasher.update(piece)
    if facts.st_size > SAMPLED:
        hasher.update(f"{facts.st_size} {facts.st_mtime_ns}".encode())
    return hasher.hexdigest()[:32]


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    if size <= SAMPLED:
        yield from iter(lambda: stream.read(CHUNK), b"")
        return
    for place in range(16):
        stream.seek((size - CHUNK) * place // 15)
        yield stream.read(CHUNK)
