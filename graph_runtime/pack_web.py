"""What a pack brings for the browser: ES modules, and whatever lies in their folders.

An address carries a hash of all that is in the folder, so a browser keeps it for ever and hears of a change. Files are
listed once and looked up by address; nothing a browser asks for is ever made into a path. Knows nothing of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blake3

PREFIX = "/extensions"
SUFFIXES = frozenset({".js", ".css", ".json", ".svg", ".png", ".webp", ".woff2", ".wasm"})
MOST = 500  # files of one pack
LARGEST = 16 << 20


def web_files(pack: str, widgets: Mapping[str, Path], editor: Path | None = None) -> dict[str, Any]:
    """widgets: name → address of its module; editor: address of the module with `activate`, "" if there is none;
    web: "<hash>/<file>" → where it is on disk. {} for a pack that brings nothing."""
    wanted = [*widgets.values(), *([editor] if editor else [])]
    addresses: dict[Path, str] = {}
    web: dict[str, str] = {}
    for folder in sorted({path.parent for path in wanted}):
        files = _files(folder)
        digest = blake3.blake3()
        for name, path in files.items():
            digest.update(name.encode() + b"\0" + path.read_bytes())
        mark = digest.hexdigest()[:16]
        web |= {f"{mark}/{name}": str(path) for name, path in files.items()}
        there = [path for path in wanted if path.parent == folder and path.name in files]
        addresses |= {path: f"{PREFIX}/{pack}/{mark}/{path.name}" for path in there}
    if not wanted:
        return {}
    shown = {name: addresses[path] for name, path in widgets.items() if path in addresses}
    return {"widgets": shown, "editor": addresses.get(editor, "") if editor else "", "web": web}


def find(packs: list[Mapping[str, Any]], pack: str, name: str) -> Path | None:
    """The file behind an address, if it was listed."""
    for one in packs:
        if one.get("name") == pack:
            path = one.get("web", {}).get(name)
            return Path(path) if isinstance(path, str) else None
    return None


def _files(folder: Path) -> dict[str, Path]:
    """What may be served of a folder: no links, nothing large, nothing hidden."""
    found = [one for one in sorted(folder.rglob("*")) if one.is_file() and not one.is_symlink()][:MOST]
    named = {one.relative_to(folder).as_posix(): one for one in found if one.suffix in SUFFIXES}
    return {name: one for name, one in named.items() if not name.startswith(".") and one.stat().st_size <= LARGEST}
