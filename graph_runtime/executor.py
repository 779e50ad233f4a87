"""The loop that runs a graph: new, asked, (expanded,) settled.

Each step needed is a `Task` (`graph_runtime.task`). From the targets backwards, tasks are *planned*: what memory still
knows is done at once, and what only that would need is never looked at; every other task counts who wants its outputs.
Then one stack is worked off, depth first in the order of the inputs, so that a branch is finished, and its values let
go, before the next is begun:

    NEW → ASKED       the disk is asked for its key; if it does not know, what it waits for goes on the stack
    ASKED → DONE      they are there: the node is asked which lazy wires it wants, then called
    ASKED → EXPANDED  the node answered with graphs: their steps become tasks of a scope inside, and go on the stack
    → FAILED          it raised; what needs it becomes SKIPPED, and everything else goes on

    load ─ encode ─┐             stack      sample · load       load is called
                   sample        stack      sample · encode     encode is called, load's output is let go
    noise ─────────┘             stack      sample · noise      noise is called, then sample

Two tasks with one key are one computation: the second waits for the first. There is no recursion, so a chain, or a loop
made of expansions, may be as deep as `MAX_DEPTH` or memory allow. A call of `run` is alone in its thread; only previews
are made on another, so `emit` may be called from there. Knows no queue, no process and no tensor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any

from graph_runtime.cache import Cache
from graph_runtime.context import Services
from graph_runtime.events import CancelledEvent, Event, RunFinished, RunStarted, Status
from graph_runtime.graph import Graph, in_order, wanted_steps
from graph_runtime.keys import VOLATILE, FileIdentity, step_keys
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Cancelled, Problem, Refused
from graph_runtime.running import Running
from graph_runtime.task import Scope
from graph_runtime.validate import blocking, validate

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: the outputs of each target that was reached, and all problems."""

    status: Status
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


class Executor:
    """Runs graphs with these nodes, one at a time.

    services       what nodes may ask for through their Context
    file_identity  what a file's content is known by, for keys
    peak_bytes     port: the most bytes in use since it was last called; for the events
    recover        port: a node of this step raised; make room or otherwise change something, and answer True to have it
                   called once more. The last argument says whether that call has been; then the answer changes nothing
    salt           what every result depends on besides the graph: device class, library versions
    """

    def __init__(
        self,
        defs: Mapping[str, NodeDef],
        cache: Cache,
        services: Services,
        file_identity: FileIdentity,
        *,
        peak_bytes: Callable[[], int] | None = None,
        recover: Callable[[BaseException, str, bool], bool] | None = None,
        salt: str = "",
    ) -> None:
        self.defs, self.cache, self.services, self.file_identity = defs, cache, services, file_identity
        self.peak_bytes, self.recover, self.salt = peak_bytes, recover, salt

    def run(
        self,
        graph: Graph,
        run_id: str,
        emit: Emit,
        cancelled: Flag,
        document: Mapping[str, Any] | None = None,
    ) -> RunResult:
        """Run what the graph's targets need. Problems end up in the result, never in an exception."""
        began = time.perf_counter()
        running: Running | None = None
        status: Status = "failed"
        problems: list[Problem] = []
        outputs: dict[str, Mapping[str, Any]] = {}
        try:
            scope, targets = self.prepared(graph, run_id)
            emit(RunStarted(run_id, len(scope.keys)))
            with Running(self, run_id, emit, cancelled, document) as running:
                outputs = running.targets(scope, targets)
            problems = running.problems
            status = "failed" if problems else "succeeded"
        except Refused as refused:
            emit(RunStarted(run_id, 0))
            problems = list(refused.problems)
        except Cancelled:
            status = "cancelled"
            problems = running.problems if running else []
            emit(CancelledEvent(run_id, running.current if running else ""))
        seconds = time.perf_counter() - began
        emit(RunFinished(run_id, status, seconds, tuple(problems)))
        return RunResult(status, outputs, tuple(problems), seconds)

    def prepared(self, graph: Graph, run_id: str) -> tuple[Scope, tuple[str, ...]]:
        """The graph with a key for each step its targets need. Raises Refused with every problem in their way."""
        targets = wanted_steps(graph, self.defs)
        order = in_order(graph, targets)
        problems = validate(graph, self.defs)
        if problems and (stopping := blocking(graph, problems, order)):
            raise Refused(stopping)
        within = VOLATILE + run_id
        keys = step_keys(graph, self.defs, self.file_identity, order=order, within=within, run=run_id, salt=self.salt)
        return Scope(graph, keys, within=within), targets
