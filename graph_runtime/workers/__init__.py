"""How a worker is reached: in this process (`inline`, for tests and scripts) or in its own (`process`, the default).

Both do what `WorkerHandle` says, and one test suite runs over both. Knows nothing of what happens inside a worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from graph_runtime.events import Event
from graph_runtime.graph import Graph


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

    def close(self) -> None:
        """Let the worker end; it is not used after this."""
