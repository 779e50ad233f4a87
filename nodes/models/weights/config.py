"""Small JSON files that lie beside weights: config.json, model_index.json, *.index.json.

They come from strangers: their size, depth, names and numbers are checked before and while they are parsed. Knows
nothing of what is in them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from nodes.models.weights.tensor import bad_file, shown

MAX_BYTES = 16 << 20
MAX_DEPTH = 64

MARK = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')


def read_config(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises Refused when it is too large, too deep, repeats a name, or is no object."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise bad_file(path, f"It cannot be read: {error.strerror}.", "Give the folder all of its files.") from None
    return parse_config(raw, path)


def parse_config(raw: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in these bytes; `path` is named in a refusal."""
    if len(raw) > MAX_BYTES:
        raise bad_file(path, f"It is larger than {MAX_BYTES:,} bytes, which no such file is.")
    depth = 0
    for mark in MARK.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(mark[0], 0)
        if depth > MAX_DEPTH:
            raise bad_file(path, f"It is nested more than {MAX_DEPTH} deep.")
    try:
        value = json.loads(raw, object_pairs_hook=_object, parse_constant=_constant)
    except ValueError as error:
        raise bad_file(path, f"It is not the JSON wanted here: {shown(str(error))}.") from None
    if not isinstance(value, dict):
        raise bad_file(path, "It holds no JSON object.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
