"""All a running node may ask of its worker.

A node gets one `Context` per run of its step: to tell how far it is, to show a picture of what it has, to notice that
it should stop, to use a model, to find and to save files. What stands behind it (`Reporter`, `Services`) is given by
the executor and the worker; a node never sees them. Knows nothing of tensors, graphs or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, Literal, Protocol, runtime_checkable

from graph_runtime.problem import Cancelled

Where = Literal["device", "host", "disk"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to have a model in memory while it is used.

    name    "resident": all of it on the device. "lean": what is only needed before the steps comes and goes.
            "prefetch": blocks too, ahead of their use, from the host's memory. "disk": the same, from the file
    device  bytes on the device, at the most;  host  bytes in the machine's memory besides
    early   where what is only needed before the steps waits;  blocks  where those wait that are `away`
    away    numbers of the blocks that have no place of their own on the device, in the order in which they run
    ahead   how many of those are on their way, or there, while one computes; there is a buffer for each, and one for it
    """

    name: str
    device: int
    host: int = 0
    early: Where = "device"
    blocks: Where = "device"
    away: tuple[int, ...] = ()
    ahead: int = 2


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the parts of a model take, in bytes, as its headers tell.

    always  what is needed all the time
    early   what is needed before the blocks only, such as the weights of modulation or a table of words
    leaf    the most of that at once
    blocks  each repeated block, in the order in which they run, without what is early in it
    """

    always: int
    early: int = 0
    leaf: int = 0
    blocks: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        return self.always + self.early + sum(self.blocks)


class Loaded(Protocol):
    """A model in memory, as residency holds it."""

    @property
    def value(self) -> Any:
        """What `ctx.use` yields."""

    @property
    def nbytes(self) -> int:
        """Bytes it keeps on its device now."""

    def move(self, device: str) -> None:
        """Bring it to another device; raises MemoryError (or torch's OutOfMemoryError) when it does not fit."""

    def close(self) -> None:
        """Let go of the memory; it is not used after this."""


@runtime_checkable
class Recipe(Protocol):
    """How to get a model: frozen, small, picklable, equal by content. What MODEL, VAE and TEXT_ENCODER wires carry."""

    @property
    def title(self) -> str:
        """What a person calls it, for events and errors."""

    def key(self) -> str:
        """What would be loaded, by content: equal keys are one model in memory."""

    def nbytes(self) -> int:
        """Bytes it will take on the device, known before loading (from headers)."""

    def load(self, device: str, plan: Plan) -> Loaded:
        """Bring it into memory. A recipe without `footprint` is only ever asked for the plan "resident".

        A recipe may have an attribute `placed_on`, a device of its own: "cpu", "cuda:1"; "auto" is the worker's.
        """


@runtime_checkable
class InParts(Recipe, Protocol):
    """A recipe whose model need not be on the device as a whole."""

    def footprint(self) -> Footprint:
        """What its parts take; headers are read. Without blocks and early parts there is only one plan."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What there is to say of a step before it runs; see `node(outlook=…)`.

    works_with  bytes on the device beside the models, at the most; None where nobody knows
    gives       its outputs by name, or stand-ins: of the same size, without content. Those that are known
    """

    works_with: int | None = None
    gives: Mapping[str, Any] = field(default_factory=dict)


class Reporter(Protocol):
    """Where a step's news go. The executor is one."""

    def progress(self, step: str, done: int, total: int, text: str) -> None: ...

    def preview(self, step: str, make: Callable[[], bytes]) -> None: ...

    def log(self, step: str, text: str) -> None: ...


class Services(Protocol):
    """What a worker offers to every step it runs."""

    @property
    def device(self) -> str:
        """Where models compute: "cpu", "cuda:0"."""

    def use(self, recipe: Recipe, room: int = 0) -> AbstractContextManager[Any]: ...

    def room(self, nbytes: int) -> bool: ...

    def find(self, kind: str, name: str) -> Path: ...

    def save(self, run: str, name: str, suffix: str, write: Callable[[BinaryIO], None], kind: str) -> Path: ...


class Context:
    """What a node may ask for while its step runs.

    run, step     their ids
    device        where models compute: "cpu", "cuda:0"
    document      the workflow as it was given, to be embedded in what the node saves; None when there is none
    """

    __slots__ = ("_cancelled", "_reporter", "_services", "document", "run", "step", "used_model")

    def __init__(
        self,
        run: str,
        step: str,
        reporter: Reporter,
        services: Services,
        cancelled: Event,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        self.run, self.step, self.document = run, step, document
        self.used_model = False  # whether it has asked for one
        self._reporter, self._services, self._cancelled = reporter, services, cancelled

    @property
    def device(self) -> str:
        return self._services.device

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` parts are done. Raises Cancelled if the run should stop."""
        self.check()
        self._reporter.progress(self.step, done, total, text)

    def preview(self, make: Callable[[], bytes]) -> None:
        """Show what there is so far: the newest picture wins.

        make: gives it encoded (JPEG); it may be called later, on another thread, or never
        """
        self._reporter.preview(self.step, make)

    def log(self, text: str) -> None:
        """Tell the user something that is not an error."""
        self._reporter.log(self.step, text)

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise Cancelled if the run should stop. Call it in every long loop."""
        if self._cancelled.is_set():
            raise Cancelled

    def use(self, recipe: Recipe, room: int = 0) -> AbstractContextManager[Any]:
        """The model of this recipe, in memory and on the device for as long as the `with` block lasts.

        room  bytes that will be worked with meanwhile: the model is brought into memory so that they stay free
        """
        self.used_model = True
        return self._services.use(recipe, room)

    def room(self, nbytes: int) -> bool:
        """Whether so many bytes may be worked with beside the models in use; those that are not in use leave for it."""
        return self._services.room(nbytes)

    def find(self, kind: str, name: str) -> Path:
        """The file called `name` among the files of a kind ("image", "checkpoint", …).

        Raises Refused when there is none, or when the name would leave the folders of that kind.
        """
        return self._services.find(kind, name)

    def save(self, name: str, suffix: str, write: Callable[[BinaryIO], None], kind: str = "output") -> Path:
        """Write a file whole or not at all, under a name that is still free: name_00001.png. Never overwrites."""
        self.check()
        return self._services.save(self.run, name, suffix, write, kind)
