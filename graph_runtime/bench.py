"""What the executor costs for each step, measured: chains and wide graphs, run for the first time, again, and with one
change.

The nodes do nothing worth mentioning (an addition), so what is measured is ours. `tests/bench/executor.md` keeps
figures with the machine they were taken on. Knows no tensor; calls nothing that a worker would not.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from graph_runtime.cache import Cache
from graph_runtime.context import Recipe
from graph_runtime.events import Event
from graph_runtime.executor import Executor
from graph_runtime.graph import Graph, Join, Step, in_order
from graph_runtime.keys import step_keys
from graph_runtime.node import definition, node
from graph_runtime.node_def import NodeDef
from graph_runtime.validate import validate

SIZES = (10, 100, 1_000, 10_000)
REPEATS = 7


@node("bench/number")
def number(*, value: float = 0.0) -> float:
    """A number."""
    return value


@node("bench/add")
def add(a: float, *, plus: float = 0.0) -> float:
    """One wire, one knob."""
    return a + plus


@node("bench/total", output=True)
def total(values: list[float]) -> float:
    """As many wires as there are."""
    return sum(values)


def chain(size: int, last: float = 1.0) -> Graph:
    """Each step needs the one before. `last` is the knob of the last step."""
    steps = {"s0": Step("bench/number", {"value": 1.0})}
    for i in range(1, size):
        steps[f"s{i}"] = Step(
            "bench/add", {"a": Join(f"s{i - 1}", "float"), "plus": last if i == size - 1 else float(i)}
        )
    return Graph(steps, (f"s{size - 1}",))


def wide(size: int, last: float = 1.0) -> Graph:
    """One step needs all others. `last` is the knob of the last of those."""
    others = size - 1
    steps = {f"s{i}": Step("bench/number", {"value": last if i == others - 1 else -float(i)}) for i in range(others)}
    steps["total"] = Step("bench/total", {"values": [Join(id, "float") for id in steps]})
    return Graph(steps, ("total",))


def bench_executor(sizes: Sequence[int] = SIZES, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """One row for each shape and size: microseconds per step, least and median over `repeats`.

    first     nothing is known: validate, keys, and every node called
    cached    the same graph once more
    changed   the last knob is another: one or two nodes are called
    validate, keys   these parts alone
    """
    return [_row(shape, size, repeats) for shape in (chain, wide) for size in sizes]


def _row(shape: Callable[[int, float], Graph], size: int, repeats: int) -> dict[str, Any]:
    defs = _defs()
    taken: dict[str, list[float]] = {name: [] for name in ("first", "cached", "changed", "validate", "keys")}
    for _ in range(repeats):
        executor = Executor(defs, Cache(1 << 30), _Nothing(), _identity)
        for name, last in (("first", 1.0), ("cached", 1.0), ("changed", 2.0)):
            graph = shape(size, last)  # made anew, as each request brings its own
            taken[name].append(_seconds(partial(_run, executor, graph)))
        order = in_order(graph, graph.targets)
        taken["validate"].append(_seconds(partial(validate, graph, defs)))
        taken["keys"].append(_seconds(partial(step_keys, graph, defs, _identity, order=order)))
    row: dict[str, Any] = {"shape": shape.__name__, "steps": size}
    for name, seconds in taken.items():
        each = [1e6 * one / size for one in seconds]
        row[f"{name}_us_min"], row[f"{name}_us_median"] = min(each), statistics.median(each)
    return row


def _defs() -> dict[str, NodeDef]:
    found = (definition(one) for one in (number, add, total))
    return {one.kind: one for one in found if one is not None}


def _run(executor: Executor, graph: Graph) -> None:
    events: list[Event] = []
    result = executor.run(graph, "bench", events.append, threading.Event())
    if result.problems:
        raise RuntimeError(str(result.problems[0]))


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()  # what other programs take is not ours
    work()
    return time.process_time() - began


def _identity(kind: str, name: str) -> str:
    return name


class _Nothing:
    """Services for nodes that ask for none."""

    device = "cpu"

    def use(self, recipe: Recipe, room: int = 0) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def room(self, nbytes: int) -> bool:
        raise NotImplementedError

    def find(self, kind: str, name: str) -> Path:
        raise NotImplementedError

    def save(self, run: str, name: str, suffix: str, write: Callable[[BinaryIO], None], kind: str) -> Path:
        raise NotImplementedError
