"""A worker with the built-in nodes, and one call that runs a graph on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graph_runtime.events import Event, Log, Reused, Started
from graph_runtime.graph import Graph
from graph_runtime.worker import Worker

SCHNELL, DEV = "tiny-schnell", "tiny-dev"


@dataclass
class Ran:
    """What came of a run: the outputs of its targets, and all it told."""

    status: str
    outputs: dict[str, Any]
    problems: tuple[Any, ...]
    events: list[Event] = field(default_factory=list)

    def one(self, step: str, output: str = "") -> Any:
        given = self.outputs[step]
        return given[output] if output else next(iter(given.values()))

    @property
    def computed(self) -> set[str]:
        return {event.step for event in self.events if isinstance(event, Started)}

    @property
    def logs(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Log))

    @property
    def reused(self) -> set[str]:
        return {step for event in self.events if isinstance(event, Reused) for step in event.steps}


@dataclass
class Bench:
    """A worker, the folders it works in, and `run`."""

    worker: Worker
    home: Path

    def run(
        self,
        steps: Mapping[str, Any],
        *targets: str,
        document: Mapping[str, Any] | None = None,
        cancelled: threading.Event | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Ran:
        """Run steps given as {id: (kind, inputs)}; "step.output" in an input is a join."""
        graph = Graph.from_json({"steps": {id: plain(*step) for id, step in steps.items()}, "targets": list(targets)})
        events: list[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            on_event(event)

        result = self.worker.execute("run", graph, document, emit, cancelled or threading.Event())
        return Ran(result.status, dict(result.outputs), tuple(result.problems), events)

    def good(self, steps: Mapping[str, Any], *targets: str, **more: Any) -> Ran:
        ran = self.run(steps, *targets, **more)
        assert ran.status == "succeeded", "\n".join(map(str, ran.problems))
        return ran


def plain(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": f"core/{kind}", "inputs": {name: joined(value) for name, value in inputs.items()}}


def joined(value: Any) -> Any:
    """ "@step.output" as a join."""
    if isinstance(value, str) and value.startswith("@"):
        return {"join": list(value[1:].rsplit(".", 1))}
    return [joined(one) for one in value] if isinstance(value, list) else value
