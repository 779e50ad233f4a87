"""The models found on disk: kind, name, size, and what a pack's `inspect` says of each.

Each file's fingerprint and headers are read once, and again when it has changed. Knows nothing of what is in them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graph_runtime.files import MODEL_FOLDERS, WEIGHTS, Files, fingerprint
from graph_runtime.problem import Refused

Inspect = Callable[[Path], Mapping[str, Any]]


class ModelShelf:
    """What models there are. Thread-safe."""

    def __init__(self, files: Files, inspect: Inspect | None) -> None:
        self.files, self.inspect = files, inspect
        self._known: dict[tuple[str, int, int], dict[str, Any]] = {}
        self._looking = threading.Lock()

    def listing(self) -> list[dict[str, Any]]:
        """Every model, by kind and name. A file that two kinds may use is listed under the first."""
        found: list[dict[str, Any]] = []
        seen: set[Path] = set()
        with self._looking:
            for kind in MODEL_FOLDERS:
                for name in self.files.names(kind):
                    entry = self._entry(kind, name, seen)
                    if entry is not None:
                        found.append(entry)
        return found

    def _entry(self, kind: str, name: str, seen: set[Path]) -> dict[str, Any] | None:
        try:
            path = self.files.find(kind, name)
        except Refused:
            return None
        if path in seen or not (path.is_dir() or path.suffix.lower() in WEIGHTS):
            return None
        seen.add(path)
        inside = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
        try:
            facts = [one.stat() for one in inside]
        except OSError:
            return None
        size = sum(one.st_size for one in facts)
        stamp = (str(path), size, max((one.st_mtime_ns for one in facts), default=0))
        if stamp not in self._known:
            self._known[stamp] = self._looked_into(path)
        return {"kind": kind, "name": name, "bytes": size, **self._known[stamp]}

    def _looked_into(self, path: Path) -> dict[str, Any]:
        try:
            mark = fingerprint(path)
        except OSError:
            mark = ""
        return {"fingerprint": mark, **self._inspected(path)}

    def _inspected(self, path: Path) -> dict[str, Any]:
        if self.inspect is None:
            return {"facts": None, "problems": []}
        try:
            return {"facts": dict(self.inspect(path)), "problems": []}
        except Refused as refused:
            return {"facts": None, "problems": [one.as_json() for one in refused.problems]}
        except Exception as error:  # a pack's mistake, or a file nobody thought of
            text = f"{type(error).__name__}: {error}"
            problem = {"code": "unreadable-model", "place": path.name, "what": f"it cannot be read: {text}."}
            return {"facts": None, "problems": [problem | {"fix": "Replace the file.", "step": "", "field": ""}]}
