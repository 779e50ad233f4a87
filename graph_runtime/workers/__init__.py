"""How a worker is reached: in this process (`inline`, for tests and scripts) or in its own (`process`, the default).

Both do what `WorkerHandle` says, and one test suite runs over both. Knows nothing of what happens inside a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from graph_runtime.events import Event
from graph_runtime.graph import Graph


@dataclass(frozen=True, slots=True)
class Saving:
    """A file that a step has written and flushed, and that its worker's owner gives its name.

    index   counts the files of a step in a run, from 0
    label, suffix, kind   as in `Context.save`
    staged  name in the staging folder of that kind: 32 hexadecimal digits
    sha256  of its content
    """

    run: str
    step: str
    index: int
    label: str
    suffix: str
    kind: str
    staged: str
    sha256: str


# Gives a saved file its place. Raises Refused, which the node then sees.
SavePort = Callable[[Saving], Path]


class WorkerHandle(Protocol):
    """A worker, wherever it lives. It runs one graph at a time. Methods may be called from any thread."""

    def hello(self) -> dict[str, Any]:
        """What the worker is and can do, as plain data (see `Worker.hello`); starts it if need be.

        Raises Refused when it cannot be started.
        """

    def start(self, run: str, graph: Graph, document: Mapping[str, Any] | None = None) -> None:
        """Begin a run; starts the worker if need be. Raises Refused when it cannot be started or is busy."""

    def events(self) -> Iterator[Event]:
        """What happens in the run begun last, as it happens, up to and including its RunFinished.

        There is always a RunFinished, also when the worker dies; its problems then name the step it died in.
        """

    def cancel(self, run: str) -> None:
        """Ask the run to stop; if it does not within the grace in the settings, end the worker.

        Asking twice, or for a run that is over or another, does nothing.
        """

    def kill(self) -> None:
        """End the worker now, as far as that is possible. The next start begins a new one."""

    def ask(self, what: str, given: Mapping[str, Any], seconds: float = 30.0) -> Any:
        """What `Worker.ask` answers, also during a run. Starts no worker.

        Raises Refused when there is none, when it says so, or when it does not answer in time.
        """

    def close(self) -> None:
        """Let the worker end; it is not used after this."""
