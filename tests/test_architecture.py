"""The rules that keep the tree as it is meant to be: who may import whom, and that importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for top in ("graph_runtime", "nodes", "custom_nodes") for path in (ROOT / top).rglob("*.py"))
LONGEST = 420
# A process of its own that looks at what strangers send and then ends.
PROBE = "graph_runtime.server.probe"
TRAINING = "nodes.models.starter"  # programs that are run to make a checkpoint, not imported to use it
OPTIONAL = {"nodes.models.weights.kernels": "triton"}  # imported only where this is installed

DOOR = {f"graph_runtime.{name}" for name in ("node", "node_def", "sockets", "context", "problem", "graph", "values")}
TENSORS = {"torch", "numpy", "PIL", "transformers", "safetensors", "gguf", "diffusers"}
FAMILIES = sorted(path.parent.name for path in (ROOT / "nodes" / "models").glob("*/transformer.py"))

# What each part may import of the project, the most particular part first; "" is everything else in it.
TABLE: dict[str, set[str]] = {
    "nodes.comfy": {"nodes", *DOOR},
    "nodes.models": {"nodes.models", "graph_runtime.problem"} | DOOR,
    "nodes": {"nodes", *DOOR},
    "graph_runtime": {"graph_runtime"},
    "custom_nodes": {"custom_nodes", "nodes", *DOOR},
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module imported anywhere in a file, also inside functions; `from a import b` counts as a and as a.b."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((one.name, node.lineno) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                home = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*home, *([base] if base else [])])
            yield from ((f"{base}.{one.name}", node.lineno) for one in node.names)


def ours(name: str) -> bool:
    return name.partition(".")[0] in ("graph_runtime", "nodes", "custom_nodes", "tests")


def each_import() -> Iterator[tuple[str, str, str]]:
    """(module, what it imports, where) for all sources."""
    for path in SOURCES:
        for name, line in imports_of(path):
            yield module_of(path), name, f"{path.relative_to(ROOT)}:{line} imports {name}"


def test_imports_follow_the_table() -> None:
    wrong = []
    for module, name, where in each_import():
        part = next(part for part in TABLE if within(module, part))
        if ours(name) and not any(within(name, allowed) for allowed in TABLE[part]):
            wrong.append(where)
    assert wrong == []


def test_the_runtime_knows_no_tensor() -> None:
    wrong = []
    for module, name, where in each_import():
        allowed = {"PIL"} if module == PROBE else set()
        if within(module, "graph_runtime") and name.partition(".")[0] in TENSORS - allowed:
            wrong.append(where)
    assert wrong == []


def test_nothing_imports_the_comfyui_door() -> None:
    found = [where for module, name, where in each_import() if within(name, "nodes.comfy")]
    assert [where for where in found if not where.startswith("nodes/comfy/")] == []


def test_families_do_not_import_each_other() -> None:
    assert FAMILIES
    wrong = [
        where
        for module, name, where in each_import()
        for one in FAMILIES
        for other in FAMILIES
        if one != other and within(module, f"nodes.models.{one}") and within(name, f"nodes.models.{other}")
    ]
    assert wrong == []


def test_what_a_test_needs_is_not_imported_to_run() -> None:
    wanted = {"pytest", "hypothesis", "diffusers", "sentencepiece", "accelerate", "tests"}
    found = [(module, where) for module, name, where in each_import() if name.partition(".")[0] in wanted]
    assert [where for module, where in found if not within(module, TRAINING)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_noun(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= LONGEST, "is there a second noun in it?"
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)], "state is passed"
    assert not {"utils", "helpers", "common", "manager"} & set(path.with_suffix("").parts)
    if text.strip():
        assert ast.get_docstring(tree), "a module opens with what it is"


EFFECTS = """
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import importlib, os, threading
for library in sys.argv[3].split():  # what libraries do when they are imported is theirs
    try:
        importlib.import_module(library)
    except ImportError:  # the name of something in a module
        home, _, name = library.rpartition(".")
        getattr(importlib.import_module(home), name)
found = []
def watch(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & 3 or event in (
        "os.mkdir", "os.remove", "os.rename", "os.link", "os.symlink", "socket.connect", "socket.bind",
        "subprocess.Popen", "os.system", "os.fork", "urllib.Request", "sqlite3.connect",
    ):
        found.append(f"{event} {args[:1]}")
before = dict(os.environ), list(sys.path), threading.active_count()
sys.addaudithook(watch)
for name in sys.argv[2].split():
    importlib.import_module(name)
if (dict(os.environ), list(sys.path), threading.active_count()) != before:
    found.append("the environment, sys.path or the number of threads changed")
print("\\n".join(found))
"""


def quiet(modules: list[str]) -> None:
    """Import them, everything they need from elsewhere having been imported already, and see that nothing happens."""
    there = set(modules)
    libraries = {name for module, name, _ in each_import() if module in there and not ours(name)} - {"__future__"}
    libraries = sorted(name for name in libraries if name.partition(".")[0] not in sys.stdlib_module_names)
    command = [sys.executable, "-c", EFFECTS, str(ROOT), " ".join(modules), " ".join(libraries)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def importable(top: str) -> list[str]:
    return [module_of(path) for path in SOURCES if within(module_of(path), top) and path.name != "__main__.py"]


def test_importing_the_runtime_has_no_effect() -> None:
    quiet(importable("graph_runtime"))


def test_importing_the_nodes_has_no_effect() -> None:
    absent = {module for module, library in OPTIONAL.items() if find_spec(library) is None}
    quiet([name for name in importable("nodes") if not within(name, TRAINING) and name not in absent])


def test_importing_the_runtime_loads_no_tensor_library_and_takes_no_second() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import graph_runtime, graph_runtime.cli"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "graph_runtime.cli" in loaded
    assert not TENSORS & loaded
    assert not {name for name in loaded if within(name, "nodes")}
