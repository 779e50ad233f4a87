"""Any model file or folder to its `Header`: which format it is, by content and never by its name.

Reads names, shapes and dtypes only. A pickle, under whatever name, is told from its first bytes and opened no further.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from graph_runtime.problem import Problem, Refused
from nodes.models.weights import folder, four_bits, gguf, safetensors, wrapped
from nodes.models.weights.config import parse_config
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, shown

__all__ = ["Header", "TensorInfo", "read_header"]

SNIFF = 512
CONVERT = "Convert it to safetensors, or download the safetensors version; pickles can run any program when opened."

# First bytes → what such a file is.
PICKLES = (
    (b"PK", "a zip archive, as torch.save writes them around a pickle"),
    (b"(", "a pickle"),
    (b"c", "a pickle"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!", "a rar archive"),
)
OTHERS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the model itself", "Fetch it with `git lfs pull`."),
    (b"<", "a web page", "Download the model again; a page that asks for a login was saved in its place."),
    (b'{"error', "an error message of a server", "Download the model again; the site may ask for a login."),
    (b"\x89PNG", "a picture", "Choose a model file."),
    (b"\xff\xd8\xff", "a picture", "Choose a model file."),
    (b"\x89HDF", "an HDF5 file", "Convert it to safetensors."),
    (b"\x93NUMPY", "a numpy file", "Convert it to safetensors."),
)


def read_header(path: Path) -> Header:
    """Names, shapes, dtypes and metadata of a safetensors or GGUF file, or of a folder with one model.

    Raises Refused for anything else, malformed files and pickles included. Reads no tensor data.
    """
    return four_bits.joined(wrapped.plain(folder.read(path, _read_file) if path.is_dir() else _read_file(path)))


def _read_file(path: Path) -> Header:
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise bad_file(path, "This is neither a file nor a folder.", "Choose a model file.")
        with path.open("rb") as file:
            header = _dispatch(file, path, found.st_size)
        return replace(header, config=_config(header))
    except FileNotFoundError:
        raise Refused(Problem("missing-file", shown(path.name), "There is no such file.", "Check its name.")) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else "its name is not valid"
        raise bad_file(path, f"It cannot be read: {reason}.", "Check the file and its permissions.") from None


def _dispatch(file: BinaryIO, path: Path, size: int) -> Header:
    first = file.read(SNIFF)
    file.seek(0)
    if first.startswith(b"GGUF"):
        return gguf.read(file, path, size)
    # A safetensors header may by chance have a length that looks like another format's magic: its '{' decides.
    if first[8:9] == b"{":
        return safetensors.read(file, path, size)
    if not first:
        raise bad_file(path, "The file is empty.")
    _refuse_pickle(first, path)
    for magic, what, fix in OTHERS:
        if first.lstrip().startswith(magic):
            raise bad_file(path, f"This is {what}.", fix)
    if path.suffix.lower() == ".safetensors" or len(first) < 9:
        return safetensors.read(file, path, size)
    raise bad_file(
        path,
        f"This is neither a safetensors nor a GGUF file: it begins with {first[:8].hex(' ')}.",
        "Choose a .safetensors or .gguf file, or a diffusers folder.",
    )


def _config(header: Header) -> dict[str, Any]:
    """The sizes a file carries in its own metadata; {} when there are none that can be read."""
    try:
        return parse_config(header.metadata.get("config", "{}").encode(), header.path)
    except Refused:
        return {}


def _refuse_pickle(first: bytes, path: Path) -> None:
    what = next((what for magic, what in PICKLES if first.startswith(magic)), "")
    if first[:1] == b"\x80" and first[1:2] and first[1] <= 5:
        what = "a pickle"
    if first[257:262] == b"ustar":
        what = "a tar archive"
    if what:
        raise Refused(Problem("pickle", shown(path.name), f"This is {what}; it is not opened.", CONVERT))
