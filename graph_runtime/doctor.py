"""Is everything there that is needed? Each thing looked at is one Finding: what it is, how it stands, what to do.

Looks without changing: no folder is made and no setting written. The worker is started as any run would start it, so
that what it says of device and packs is what runs will meet.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil

from graph_runtime.packs import find_packs
from graph_runtime.problem import Problem, Refused
from graph_runtime.residency import size
from graph_runtime.settings import Settings, config_file
from graph_runtime.worker import program_version, read_problems
from graph_runtime.workers import WorkerHandle

LIBRARIES = ("torch", "transformers", "safetensors", "gguf", "numpy", "pillow", "pydantic")
LEAST_PYTHON = (3, 11)
SOUND_SQLITE = (3, 51, 3)  # 3.7.0 to 3.51.2 can corrupt a WAL file when two connections checkpoint at once
LITTLE_DISK = 2_000_000_000

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    state: State
    what: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings, worker: WorkerHandle) -> list[Finding]:
    """Everything there is to look at; never raises for what it finds."""
    findings = [_program(), *_libraries(), _sqlite(), _memory(), _config()]
    findings += [_folder("data", settings.data_dir), _folder("output", settings.output_dir)]
    findings += [_models(settings), _custom_nodes(settings)]
    try:
        hello = worker.hello()
    except Refused as refused:
        return findings + [_problem("worker", problem) for problem in refused.problems]
    return [*findings, *_worker(hello)]


def _program() -> Finding:
    what = f"latentloom {program_version()}, Python {platform.python_version()}, {platform.platform()}"
    right = sys.version_info >= LEAST_PYTHON
    fix = "" if right else f"Use Python {'.'.join(map(str, LEAST_PYTHON))} or later."
    return Finding("program", "ok" if right else "failed", what, fix)


def _libraries() -> Iterable[Finding]:
    """Their versions, without importing them."""
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("libraries", "ok", ", ".join(found))
    if missing:
        fix = "Install the program with its dependencies."
        yield Finding("libraries", "failed", f"missing: {', '.join(missing)}", fix)


def _sqlite() -> Finding:
    linked = sqlite3.sqlite_version_info
    if linked >= SOUND_SQLITE:
        return Finding("sqlite", "ok", sqlite3.sqlite_version)
    what = f"{sqlite3.sqlite_version}; before {'.'.join(map(str, SOUND_SQLITE))} two processes may spoil one database"
    return Finding("sqlite", "warning", what, "Nothing to do as long as one process has the data folder.")


def _memory() -> Finding:
    now = psutil.virtual_memory()
    return Finding("memory", "ok", f"{size(now.available)} of {size(now.total)} free, {os.cpu_count()} CPUs")


def _config() -> Finding:
    path = config_file()
    return Finding("settings", "ok", f"{path}{'' if path.is_file() else ' (not there; defaults hold)'}")


def _folder(name: str, folder: Path) -> Finding:
    """Whether it can be written, and what is free there. The nearest folder that exists answers."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        fix = f"Make {there} writable, or set another {name}_dir."
        return Finding(f"{name} folder", "failed", f"{folder} cannot be written", fix)
    free = shutil.disk_usage(there).free
    what = f"{folder}, {size(free)} free"
    if free < LITTLE_DISK:
        return Finding(f"{name} folder", "warning", what, "Make room: pictures and kept results need some.")
    return Finding(f"{name} folder", "ok", what)


def _models(settings: Settings) -> Finding:
    folders = ", ".join(f"{one}{'' if one.is_dir() else ' (not there)'}" for one in settings.model_dirs)
    return Finding("model folders", "ok", folders)


def _custom_nodes(settings: Settings) -> Finding:
    folders = ", ".join(f"{one}{'' if one.is_dir() else ' (not there)'}" for one in settings.custom_nodes_dirs)
    return Finding("custom nodes", "ok", f"{folders}; {len(find_packs(settings))} packs in all")


def _worker(hello: Mapping[str, Any]) -> Iterable[Finding]:
    memory = hello["memory"]
    yield Finding("device", "ok", f"{hello['device']}, {hello['device_title']}")
    host = f", {size(memory['host_budget'])} for those that wait" if memory["host_budget"] else ""
    yield Finding("model memory", "ok", f"{size(memory['device_budget'])} on {hello['device']}{host}")
    for pack in hello["packs"]:
        count = f"{len(pack['nodes'])} nodes, loaded in {pack['seconds']:.1f} s"
        if pack["nodes"] or not pack["problems"]:
            yield Finding(f"pack {pack['name']}", "ok", f"{count}, {pack['place']}")
    for problem in read_problems(hello):
        yield _problem("pack", problem)


def _problem(name: str, problem: Problem) -> Finding:
    return Finding(name, "failed", f"{problem.place}: {problem.what}", problem.fix)
