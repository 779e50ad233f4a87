"""Model folders as diffusers and transformers write them.

A component folder holds one model: one file, or several shards named by an index. A pipeline folder holds components,
named by model_index.json. An index is a stranger's file: a name in it must be a plain file name, and the file must lie
in the folder (or in the blobs of the hub's own cache, which keeps its snapshots as links).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes.models.weights.config import read_config
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, shown

MAX_SHARDS = 1000
INDEX = "model_index.json"
# The names the libraries look for first; the others only when they are alone.
USUAL = ("diffusion_pytorch_model.safetensors", "model.safetensors")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")

ReadFile = Callable[[Path], Header]


def read(folder: Path, read_file: ReadFile) -> Header:
    """The header of a component folder; `read_file` reads one file."""
    if (folder / INDEX).is_file():
        raise bad_file(folder, "This is a pipeline folder with several models.", "Choose one of the folders inside it.")
    indexes = sorted(p for p in folder.glob("*.json") if ".safetensors.index." in p.name)
    if indexes:
        return _sharded(folder, _one(folder, indexes, "indexes"), read_file)
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.gguf")])
    if not files:
        pickles = [p.name for p in sorted(folder.iterdir()) if p.suffix in PICKLES]
        what = f"It has {shown(pickles[0])}, a pickle, but no safetensors file." if pickles else "It has no weights."
        raise bad_file(folder, what, "Get the safetensors version of this model, or choose the right folder.")
    header = read_file(_inside(folder, _one(folder, files, "weight files").name))
    return Header(folder, "folder", header.tensors, header.metadata, component_config(folder))


def _one(folder: Path, paths: list[Path], what: str) -> Path:
    """The file to take among several: the one with a usual name, or the only one."""
    usual = [p for p in paths if p.name.removesuffix(".index.json") in USUAL]
    chosen = usual or paths
    if len(chosen) > 1:
        names = ", ".join(shown(p.name, 60) for p in chosen[:6])
        raise bad_file(folder, f"It has several {what}: {names}.", "Keep one of them in the folder, or choose a file.")
    return chosen[0]


def _sharded(folder: Path, index: Path, read_file: ReadFile) -> Header:
    """The tensors an index names, each from the shard it is said to be in."""
    weight_map = read_config(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise bad_file(index, "Its weight_map does not give a file name for each tensor.")
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_SHARDS:
        raise bad_file(index, f"It names {len(names):,} files; at most {MAX_SHARDS:,} are read.")
    paths = {name: _inside(folder, name) for name in names}
    shards = {name: read_file(path) for name, path in paths.items()}
    tensors: dict[str, TensorInfo] = {}
    for tensor, name in weight_map.items():
        if tensor not in shards[name]:
            raise bad_file(index, f"It says '{shown(tensor)}' is in {shown(name)}, but that file has no such tensor.")
        tensors[tensor] = shards[name].tensors[tensor]
    metadata = {key: value for shard in shards.values() for key, value in shard.metadata.items()}
    return Header(folder, "folder", tensors, metadata, component_config(folder))


def _inside(folder: Path, name: str) -> Path:
    """The file called `name` in the folder. Raises Refused when the name or a link leads out of it."""
    plain = name and name not in (".", "..") and not any(c in '/\\:"*?<>|' or not c.isprintable() for c in name)
    if not plain or len(name.encode("utf-8", "surrogatepass")) > 255:
        raise bad_file(folder, f"'{shown(name)}' is no plain file name.", "Get the folder from a source you trust.")
    path, root = folder / name, folder.resolve()
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise bad_file(folder, f"The file {shown(name)} is missing.", "Download the missing file.") from None
    if real.parent != root and _hub_blobs(root) != real.parent:
        raise bad_file(folder, f"{shown(name)} is a link that leads out of the folder.", "Put the file itself there.")
    return path


def _hub_blobs(folder: Path) -> Path | None:
    """Where the hub's cache keeps the files that models--…/snapshots/<revision>/… links to."""
    for above in folder.parents:
        if above.name == "snapshots" and above.parent.name.startswith("models--"):
            return above.parent / "blobs"
    return None


def components(folder: Path) -> dict[str, tuple[Path, str]]:
    """The parts of a pipeline folder: name → (folder, class). Those that are switched off or absent are left out."""
    found: dict[str, tuple[Path, str]] = {}
    for name, value in read_config(folder / INDEX).items():
        if isinstance(value, list) and len(value) == 2 and all(isinstance(item, str) for item in value):
            path = folder / name
            if name.isidentifier() and path.is_dir():
                found[name] = (path, value[1])
    return found


def component_config(folder: Path) -> dict[str, Any]:
    """config.json of a component folder; {} when it has none."""
    path = folder / "config.json"
    return read_config(path) if path.is_file() else {}
