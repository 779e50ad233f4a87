"""A worker's life: load the packs, say hello, take a run, execute it, report, start over.

It owns what outlives a run: the models in memory, the kept results, the files. It is the same in this process and in
one of its own; `graph_runtime.workers` says how it is reached. What needs a tensor library it asks of the packs' hooks:

    machine   (device, threads) → Machine      what this machine computes with
    tensors   () → TensorFile                  how tensors become files, for results kept on disk

Without them it computes on the CPU, and what has tensors is not kept on disk. Knows nothing of pipes or servers.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event as Flag
from typing import Any, BinaryIO, Protocol

import psutil

from graph_runtime.cache import Cache
from graph_runtime.context import Recipe
from graph_runtime.events import Event, RunFinished, Wrote
from graph_runtime.executor import Emit, Executor, RunResult
from graph_runtime.files import Files
from graph_runtime.forecast import forecast
from graph_runtime.graph import Graph
from graph_runtime.model_shelf import ModelShelf
from graph_runtime.node_def import NodeDef
from graph_runtime.packs import Announce, Pack, hook, load_packs
from graph_runtime.problem import Problem, Refused
from graph_runtime.residency import HOST, Residency, is_out_of_memory
from graph_runtime.settings import Settings
from graph_runtime.sockets import socket_of
from graph_runtime.values import Many, value_type

PROTOCOL = 1

# Port: gives a staged file its place; it is told the label, the suffix and the kind.
NameFile = Callable[[Path, str, str, str], Path]


class Machine(Protocol):
    """What this machine computes with, as a pack's tensor library sees it."""

    @property
    def device(self) -> str:
        """ "cpu", "cuda:0"."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    @property
    def memory(self) -> int:
        """Bytes of the device; 0 where it has none of its own."""

    @property
    def salt(self) -> str:
        """What every result depends on besides its graph."""

    def peak_bytes(self) -> int:
        """The most bytes in use on the device since this was last asked; 0 if that is not measured."""


class TensorFile(Protocol):
    """How named tensors become one file and come back."""

    def nbytes(self, tensors: Mapping[str, Any]) -> int: ...

    def write(self, tensors: Mapping[str, Any], path: Path) -> None: ...

    def read(self, path: Path) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class PlainMachine:
    """A machine of which no pack knows more."""

    device: str = "cpu"
    title: str = "CPU"
    memory: int = 0
    salt: str = ""

    def peak_bytes(self) -> int:
        return 0


@dataclass(frozen=True)
class SocketCodec:
    """How values are kept on disk: their own `to_parts` and `from_parts`, found by the name of their socket."""

    sockets: Mapping[str, type]
    tensors: TensorFile | None = None

    def to_parts(self, value: Any) -> tuple[str, Any, Mapping[str, Any]] | None:
        name = value_type(value)
        made = getattr(value, "to_parts", None)
        if not callable(made) or self.sockets.get(name) is not type(value):
            return None
        facts, tensors = made()
        return None if tensors and self.tensors is None else (name, facts, tensors)

    def from_parts(self, socket: str, facts: Any, tensors: Mapping[str, Any]) -> Any:
        return self.sockets[socket].from_parts(facts, tensors)  # type: ignore[attr-defined]

    def nbytes(self, tensors: Mapping[str, Any]) -> int:
        return self.tensors.nbytes(tensors) if self.tensors else 0

    def write(self, tensors: Mapping[str, Any], path: Path) -> None:
        if self.tensors is not None:
            self.tensors.write(tensors, path)

    def read(self, path: Path) -> Mapping[str, Any]:
        return self.tensors.read(path) if self.tensors else {}


@dataclass(frozen=True)
class WorkerServices:
    """What the steps of this worker may ask for: see `Context`."""

    device: str
    residency: Residency
    files: Files
    name_file: NameFile | None = None

    def use(self, recipe: Recipe, room: int = 0) -> AbstractContextManager[Any]:
        return self.residency.use(recipe, room)

    def room(self, nbytes: int) -> bool:
        return self.residency.make_room(nbytes)

    def find(self, kind: str, name: str) -> Path:
        return self.files.find(kind, name)

    def save(self, run: str, name: str, suffix: str, write: Callable[[BinaryIO], None], kind: str) -> Path:
        if self.name_file is None:
            return self.files.save(name, suffix, write, kind)
        return self.name_file(self.files.stage(write, kind), name, suffix, kind)


class Worker:
    """Runs graphs, one at a time."""

    def __init__(
        self,
        settings: Settings,
        announce: Announce = lambda place: None,
        skip: Iterable[str] = (),
        name_file: NameFile | None = None,
    ) -> None:
        """Loads the packs; `announce` and `skip` as in `load_packs`. Raises Refused if the device is not there.

        name_file   gives saved files their names; without it the worker does
        """
        self.settings = settings
        self.packs: list[Pack] = load_packs(settings, announce, skip)
        self.defs: dict[str, NodeDef] = {one.kind: one for pack in self.packs for one in pack.defs}
        self.sockets: dict[str, type] = {name: cls for pack in self.packs for name, cls in pack.sockets.items()}
        machine, tensors = hook(self.packs, "machine"), hook(self.packs, "tensors")
        self.machine: Machine = machine(settings.device, settings.threads) if machine else PlainMachine()
        shipped = {label: path for pack in self.packs for label, path in pack.files.items()}
        self.files = Files(settings, shipped)
        self.models = ModelShelf(self.files, hook(self.packs, "inspect"))
        self.budgets = memory_budgets(settings, self.machine.memory)
        self.residency = Residency(self.machine.device, *self.budgets, self._spare(), self._budget_of)
        cache = Cache(
            settings.cache_memory,
            settings.cache_dir if settings.cache_disk else None,
            settings.cache_disk,
            codec=SocketCodec(self.sockets, tensors() if tensors else None),
            min_seconds=settings.cache_min_seconds,
        )
        self.executor = Executor(
            self.defs,
            cache,
            WorkerServices(self.machine.device, self.residency, self.files, name_file),
            self.files.identity,
            peak_bytes=self.machine.peak_bytes,
            recover=self.recover,
            salt=self.machine.salt,
        )

    def hello(self) -> dict[str, Any]:
        """Plain data: versions, device, packs, problems, and every NodeDef and socket.

        It is enough to draw the palette and to validate a graph where no node can be imported.
        """
        described = [found for cls in self.sockets.values() if (found := socket_of(cls))]
        return {
            "protocol": PROTOCOL,
            "version": program_version(),
            "python": platform.python_version(),
            "pid": os.getpid(),
            "device": self.machine.device,
            "device_title": self.machine.title,
            "memory": self.residency.report(),
            "packs": [pack.as_json() for pack in self.packs],
            "nodes": [one.as_json() for one in self.defs.values()],
            "sockets": [one.as_json() for one in described],
        }

    def execute(
        self, run: str, graph: Graph, document: Mapping[str, Any] | None, emit: Emit, cancelled: Flag
    ) -> RunResult:
        """Run a graph. The last event is always its RunFinished; the files its targets name are told just before."""
        last: list[RunFinished] = []

        def forward(event: Event) -> None:
            if isinstance(event, RunFinished):
                last.append(event)
            else:
                emit(event)

        try:
            result = self.executor.run(graph, run, forward, cancelled, document)
        except Exception as error:  # a mistake of ours, which must not end the worker
            text = "".join(traceback.format_exception(error)[-3:]).strip()
            what = f"the run ended by a mistake of the program: {text}"
            result = RunResult("failed", problems=(Problem("internal-error", run, what, "Please report it."),))
        for step, outputs in result.outputs.items():
            for wrote in files_named(run, step, outputs):
                emit(wrote)
        emit(last[0] if last else RunFinished(run, result.status, result.seconds, result.problems))
        return result

    def recover(self, error: BaseException, step: str, again: bool) -> bool:
        """Make room after an out-of-memory. Whether to call the node once more; Refused with the numbers if not."""
        if not is_out_of_memory(error):
            return False
        problem = self.residency.explain(error, step)
        if self.residency.recover(error) and not again:
            return True
        raise Refused(problem)

    def ask(self, what: str, given: Mapping[str, Any]) -> Any:
        """A question that is no run, answered with plain data; may be asked from another thread, during a run too.

            models     the models there are: kind, name, bytes, and what the packs' hook `inspect` says of them
            files      {"kind": …} → the names of the files of a kind
            workflow   {"path": …} → the workflow in a file, by the packs' hook `read_workflow`; None if there is none
            memory     what is in memory
            plan       {"graph": …} → what would be in memory, step by step, if the graph were run from an empty one

        Raises Refused.
        """
        match what:
            case "models":
                return self.models.listing()
            case "files":
                return self.files.names(str(given["kind"]))
            case "workflow":
                read = hook(self.packs, "read_workflow")
                return read(Path(given["path"])) if read else None
            case "memory":
                return self.residency.report()
            case "plan":
                graph = Graph.from_json(given["graph"])
                return forecast(graph, self.defs, self.sockets, self.files, self._empty())
        raise Refused(Problem("unknown-question", what[:40], "no worker knows this question.", "Ask another."))

    def _budget_of(self, device: str) -> int:
        """Bytes for models on another GPU, as the settings say it of this one's. Raises Refused if it is not there."""
        machine = hook(self.packs, "machine")
        return memory_budgets(self.settings, machine(device, self.settings.threads).memory)[0] if machine else 0

    def _spare(self) -> int:
        """Bytes of the device that no budget has, if nobody has said how much of it is for models."""
        on_host = self.machine.device == HOST
        said = self.settings.host_memory if on_host else self.settings.gpu_memory
        budget = self.budgets[1] // 4 if on_host else self.machine.memory - self.budgets[0]
        return 0 if said is not None else max(0, budget)

    def _empty(self) -> Residency:
        """Books of the same budgets with nothing in them. `gpu_memory` in bytes counts where there is no GPU, too: then
        it is a GPU that somebody thinks of."""
        imagined = self.machine.device == HOST and isinstance(self.settings.gpu_memory, int)
        spare = 0 if imagined else self._spare()
        return Residency("gpu" if imagined else self.machine.device, *self.budgets, spare, self._budget_of)

    def close(self) -> None:
        """Let go of the models."""
        self.residency.evict()


def files_named(run: str, step: str, outputs: Mapping[str, Any]) -> Iterable[Wrote]:
    """The files that a step's outputs name: values with `paths`, `kind` and `media`, as what has saved them returns."""
    for value in outputs.values():
        for one in value if type(value) is Many else (value,):
            paths = getattr(one, "paths", None)
            if isinstance(paths, tuple):
                kind, media = str(getattr(one, "kind", "output")), str(getattr(one, "media", ""))
                yield Wrote(run, step, kind, media, tuple(map(str, paths)))


def memory_budgets(settings: Settings, device_memory: int) -> tuple[int, int]:
    """Bytes for models on the device and on the host: as set, or what leaves room for the pictures and everybody else.

    On the device a tenth, and at least 1.5 GB, stay free; of the host's memory a fifth of what is available.
    """
    machine = psutil.virtual_memory()
    limit = _container_limit()
    device = device_memory - max(device_memory // 10, 1_500_000_000)
    available = min(machine.available, limit) * 4 // 5
    return (
        max(0, _amount(settings.gpu_memory, device_memory, device)),
        _amount(settings.host_memory, min(machine.total, limit), available),
    )


def _amount(said: float | None, whole: int, unsaid: int) -> int:
    """Bytes that a setting means: as many, a share of the whole, or what nobody said."""
    if said is None:
        return unsaid
    return int(said * whole) if isinstance(said, float) else said


def _container_limit() -> int:
    """Bytes that this container may use, where there is such a limit."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        return 1 << 62


def program_version() -> str:
    try:
        return version("latentloom")
    except PackageNotFoundError:  # run from its source
        return "0+source"


def read_defs(hello: Mapping[str, Any]) -> dict[str, NodeDef]:
    """The NodeDefs of a hello, without their functions."""
    return {one["kind"]: NodeDef.from_json(one) for one in hello["nodes"]}


def read_problems(hello: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the packs of a hello."""
    return [Problem.from_json(one) for pack in hello["packs"] for one in pack["problems"]]
