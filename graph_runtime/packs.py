"""A folder or module → Pack: its NodeDefs, sockets and files, and what was wrong with it.

A pack is a Python module. It may say of itself, all optional:

    NAME    what its kinds begin with; else the name of its folder
    TITLE   what a person calls it
    NODES   the modules its nodes are in, in palette order, ".blur" being one of its own; else the nodes in itself
    HOOKS   what else the runtime may ask of it: name → "module:function"
    FILES   files that come with it: kind of file → name → path inside its folder
    WIDGETS what it brings for knobs in the editor: name → path of an ES module; Knob(widget="pack.name") shows it
    EDITOR  path of an ES module with `activate(app)`, which brings commands, panels and settings to the editor

Packs come from three places: the modules in the settings (the built-in nodes), what is installed under the entry point
group `latentloom.packs`, and the folders and files in `custom_nodes_dirs`. A folder is imported under a private name:
two packs may both have a `model.py`, and `sys.path` stays as it is. A pack that cannot be used is a Problem, and the
others load. Knows nothing of what nodes do.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from graph_runtime.node import definition
from graph_runtime.node_def import NodeDef
from graph_runtime.pack_web import web_files
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings
from graph_runtime.sockets import socket_of

GROUP = "latentloom.packs"
PRIVATE = "_latentloom_pack_"

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where a pack is: a module by name, or a folder or file by path. `place` is what a person would call it."""

    name: str
    place: str
    module: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Pack:
    """What came of loading one. With problems it may still have nodes: those that were right."""

    name: str
    place: str
    title: str = ""
    defs: tuple[NodeDef, ...] = ()
    sockets: Mapping[str, type] = field(default_factory=dict)
    hooks: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[tuple[str, str], Path] = field(default_factory=dict)  # (kind, name) → path
    widgets: Mapping[str, Path] = field(default_factory=dict)  # "pack.name" → the ES module
    editor: Path | None = None  # the ES module with `activate`
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data about it, without its nodes."""
        return {
            "name": self.name,
            "title": self.title,
            "place": self.place,
            "nodes": [one.kind for one in self.defs],
            "problems": [problem.as_json() for problem in self.problems],
            **web_files(self.name, self.widgets, self.editor),
            "seconds": round(self.seconds, 3),
        }


def load_packs(settings: Settings, announce: Announce = lambda place: None, skip: Iterable[str] = ()) -> list[Pack]:
    """Every pack there is, built-in ones first. Where two give the same kind, pack or socket, the first keeps it.

    announce   told a pack's place just before it is imported, so that a crash there can be laid at its door
    skip       places of packs that are not to be imported
    """
    skipped = frozenset(skip)
    packs: list[Pack] = []
    for source in find_packs(settings):
        if source.place in skipped:
            what = "importing this pack ended the worker, so it was left out."
            problem = Problem("pack-quarantined", source.place, what, "Correct or remove the pack, then start again.")
            packs.append(Pack(source.name, source.place, problems=(problem,)))
            continue
        announce(source.place)
        packs.append(_without_what_is_taken(load_pack(source), packs))
    return packs


def find_packs(settings: Settings) -> list[Source]:
    """Where packs are, in the order they load. Imports nothing."""
    found = [Source(name, name, module=name) for name in settings.packs]
    installed = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    found += [Source(one.name, f"{one.name} (installed, {one.value})", module=one.value) for one in installed]
    for folder in settings.custom_nodes_dirs:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_pack = (path / "__init__.py").is_file() if path.is_dir() else path.suffix == ".py"
            if is_pack and not path.name.startswith((".", "_")):
                found.append(Source(path.stem.replace("-", "_"), str(path), path=path))
    return found


def load_pack(source: Source) -> Pack:
    """Import a pack and read what its nodes say. Never raises for what is wrong with it."""
    began = time.perf_counter()
    try:
        module = _import_private(source.path) if source.path else importlib.import_module(source.module)
        manifest = _Manifest.of(module, source)
    except Refused as refused:
        return Pack(source.name, source.place, problems=refused.problems)
    except (Exception, SystemExit) as error:
        return Pack(source.name, source.place, problems=(_import_problem(source.place, error),))
    problems: list[Problem] = []
    modules = [] if manifest.nodes else [module]
    for name in manifest.nodes:
        try:
            modules.append(importlib.import_module(name, module.__name__))
        except (Exception, SystemExit) as error:
            problems.append(_import_problem(f"{source.place}: {name}", error))
    defs: dict[str, NodeDef] = {}
    sockets: dict[str, type] = {}
    for one in modules:
        _read_module(one, manifest.name, source.place, defs, sockets, problems)
    return Pack(
        name=manifest.name,
        place=source.place,
        title=manifest.title,
        defs=tuple(defs.values()),
        sockets=sockets,
        hooks=manifest.hooks,
        files=manifest.files,
        widgets=manifest.widgets,
        editor=manifest.editor,
        problems=tuple(problems),
        seconds=time.perf_counter() - began,
    )


def hook(packs: Iterable[Pack], name: str) -> Callable[..., Any] | None:
    """The function that a pack offers under `name`, imported now; the first pack's. None when none does."""
    for pack in packs:
        if name in pack.hooks:
            return _resolve(pack.hooks[name])
    return None


def builtin_hook(settings: Settings, name: str) -> Callable[..., Any] | None:
    """As `hook`, of the modules in the settings only, and without importing any node."""
    for module in settings.packs:
        hooks = getattr(importlib.import_module(module), "HOOKS", {})
        if name in hooks:
            return _resolve(hooks[name])
    return None


def builtin_files(settings: Settings, kind: str) -> dict[str, Path]:
    """The files of a kind that the modules in the settings say come with them, without importing any node."""
    found: dict[str, Path] = {}
    for module in settings.packs:
        pack = importlib.import_module(module)
        home = Path(pack.__file__ or ".").parent
        for name, path in getattr(pack, "FILES", {}).get(kind, {}).items():
            found.setdefault(name, home / str(path))
    return found


def builtin_file(settings: Settings, kind: str, name: str) -> Path | None:
    """A file that a module in the settings says comes with it, without importing any node."""
    return builtin_files(settings, kind).get(name)


def _resolve(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


@dataclass(frozen=True)
class _Manifest:
    """What a pack's module says of itself."""

    name: str
    title: str
    nodes: tuple[str, ...]
    hooks: dict[str, str]
    files: dict[tuple[str, str], Path]
    widgets: dict[str, Path]
    editor: Path | None

    @classmethod
    def of(cls, module: ModuleType, source: Source) -> _Manifest:
        """Raises Refused when something in it has the wrong form."""
        name = getattr(module, "NAME", source.name)
        title = getattr(module, "TITLE", "") or str(name)
        nodes, hooks, files, widgets = (getattr(module, said, ()) for said in ("NODES", "HOOKS", "FILES", "WIDGETS"))
        editor = getattr(module, "EDITOR", "")
        problems = []

        def wants(right: bool, said: str, fix: str) -> None:
            if not right:
                problems.append(Problem("bad-manifest", f"{source.place}: {said}", "this has the wrong form.", fix))

        wants(isinstance(name, str) and name.isidentifier(), "NAME", 'Write one word, NAME = "my_pack".')
        wants(isinstance(title, str), "TITLE", 'Write TITLE = "My pack".')
        wants(
            isinstance(nodes, tuple | list) and all(isinstance(one, str) for one in nodes),
            "NODES",
            'Write the names of modules, NODES = (".blur", ".sharpen").',
        )
        wants(
            not hooks or (isinstance(hooks, dict) and all(":" in str(one) for one in hooks.values())),
            "HOOKS",
            'Write HOOKS = {"name": "module:function"}.',
        )
        wants(
            not files or (isinstance(files, dict) and all(isinstance(one, dict) for one in files.values())),
            "FILES",
            'Write FILES = {"checkpoint": {"name": "path inside the pack"}}.',
        )
        wants(
            not widgets or (isinstance(widgets, dict) and all(str(one).endswith(".js") for one in widgets.values())),
            "WIDGETS",
            'Write WIDGETS = {"dial": "web/dial.js"}.',
        )
        wants(
            not editor or (isinstance(editor, str) and editor.endswith(".js")),
            "EDITOR",
            'Write EDITOR = "web/editor.js".',
        )
        if problems:
            raise Refused(problems)
        home = Path(module.__file__ or ".").parent
        named = {(kind, label): home / path for kind, some in dict(files).items() for label, path in some.items()}
        shown = {f"{name}.{label}": home / path for label, path in dict(widgets).items()}
        return cls(name, title, tuple(nodes), dict(hooks), named, shown, home / editor if editor else None)


def _import_private(path: Path) -> ModuleType:
    """Import a folder or file under a name of its own. Its relative imports work; nothing else changes."""
    path = path.resolve()
    name = PRIVATE + path.stem.replace("-", "_") + "_" + hashlib.sha256(str(path).encode()).hexdigest()[:8]
    for known in [one for one in sys.modules if one == name or one.startswith(name + ".")]:
        del sys.modules[known]
    file, inside = (path / "__init__.py", [str(path)]) if path.is_dir() else (path, None)
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # while it runs, so that it can import its own parts
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _read_module(
    module: ModuleType,
    pack: str,
    place: str,
    defs: dict[str, NodeDef],
    sockets: dict[str, type],
    problems: list[Problem],
) -> None:
    """Add the nodes defined in a module, and every socket class it knows, its own or imported."""
    for value in list(vars(module).values()):
        described = socket_of(value)
        if described is not None:
            sockets.setdefault(described.name, value)
        if getattr(value, "__module__", None) != module.__name__:
            continue
        try:
            found = definition(value)
        except Refused as refused:
            problems += [replace(one, place=f"{place}: {one.place}") for one in refused.problems]
            continue
        if found is None:
            continue
        if found.pack != pack:
            what = f"{found.kind} does not begin with the name of its pack."
            problems.append(Problem("foreign-kind", f"{place}: {found.kind}", what, f"Call it {pack}/… instead."))
        elif found.kind in defs:
            what = "the pack has two nodes of this kind."
            problems.append(Problem("kind-twice", f"{place}: {found.kind}", what, "Give one of them another kind."))
        else:
            defs[found.kind] = found


def _without_what_is_taken(pack: Pack, before: Iterable[Pack]) -> Pack:
    """The pack less what an earlier one already gives, with a Problem for each."""
    problems = list(pack.problems)
    names = {one.name: one.place for one in before if one.defs or not one.problems}
    if pack.name in names:
        what = f"the pack in {names[pack.name]} has the name {pack.name} already."
        problem = Problem("pack-twice", pack.place, what, "Rename this one's folder or its NAME, or remove one.")
        return Pack(pack.name, pack.place, pack.title, problems=(*problems, problem), seconds=pack.seconds)
    taken = {name: (cls, one.place) for one in reversed(list(before)) for name, cls in one.sockets.items()}
    for name, cls in pack.sockets.items():
        if name in taken and taken[name][0] is not cls:
            what = f"the socket {name} is another class than in {taken[name][1]}."
            fix = "Import that class, or choose another name."
            problems.append(Problem("socket-twice", f"{pack.place}: {name}", what, fix))
    sockets = {name: cls for name, cls in pack.sockets.items() if name not in taken}
    return replace(pack, sockets=sockets, problems=tuple(problems))


def _import_problem(place: str, error: BaseException) -> Problem:
    """Why an import failed: the error, and the last lines of the traceback that are the pack's own."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "importlib" not in one.filename]
    own = [one for one in frames if one.filename != __file__][-3:]
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({error.filename}, line {error.lineno})"
    else:
        where = "".join(f"\n      {one.filename}, line {one.lineno}: {one.line}" for one in own)
    fix = "Correct the pack, or remove it."
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name.partition(".")[0]
        if missing not in sys.modules and not missing.startswith(PRIVATE):
            fix = f"Install what it needs, {missing}, beside this program, or remove the pack."
    return Problem("pack-failed", place, f"it cannot be imported: {type(error).__name__}: {error}{where}", fix)
