"""A pack of numbers: real nodes small enough that what a graph gives can be computed beside it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from graph_runtime.cache import Cache
from graph_runtime.context import Context
from graph_runtime.events import Event
from graph_runtime.executor import Executor, RunResult
from graph_runtime.graph import OUTER, Expansion, Graph, Join, Step
from graph_runtime.node import Knob, Lazy, NodeDef, definition, node
from graph_runtime.sockets import socket

CALLS: list[str] = []  # the kinds of the nodes called, in order; a test clears it


@socket("TENSOR")
class Tensor:
    """Something large that is no number."""

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = values

    @property
    def nbytes(self) -> int:
        return 8 * len(self.values)

    def summary(self) -> str:
        return f"{len(self.values)} numbers"


class Divided(NamedTuple):
    """Whole and rest."""

    whole: int
    rest: int


@node("math/number")
def number(*, value: float = 0.0) -> float:
    """A number."""
    CALLS.append("math/number")
    return value


@node("math/whole")
def whole(*, value: Annotated[int, Knob(min=-100, max=1_000_000)] = 0) -> int:
    """A whole number."""
    CALLS.append("math/whole")
    return value


@node("math/add")
def add(a: float, b: float | None = None, *, plus: float = 0.0) -> float:
    """The sum."""
    CALLS.append("math/add")
    return a + (b or 0.0) + plus


@node("math/divide")
def divide(a: int, *, by: int = 2) -> Divided:
    """Whole and rest."""
    CALLS.append("math/divide")
    return Divided(*divmod(a, by))


@node("math/count")
def count(*, upto: int = 3) -> list[int]:
    """0, 1, 2, …"""
    CALLS.append("math/count")
    return list(range(upto))


@node("math/total")
def total(values: list[float]) -> float:
    """The sum of all."""
    CALLS.append("math/total")
    return float(sum(values))


@node("math/twice")
def twice(a: int) -> int:
    """Double."""
    CALLS.append("math/twice")
    return 2 * a


@node("math/choose", needs=lambda known: ["left"] if known["side"] == "left" else ["right"])
def choose(left: Lazy[float], right: Lazy[float], *, side: Literal["left", "right"] = "left") -> float:
    """One of two, and only that one is computed."""
    CALLS.append("math/choose")
    taken, other = (left, right) if side == "left" else (right, left)
    assert taken is not None and other is None
    return taken


@node("math/random", purity="impure")
def random(*, low: float = 0.0) -> float:
    """Never the same."""
    CALLS.append("math/random")
    return low + len(CALLS)


@node("math/seeded", purity="seeded")
def seeded(*, seed: Annotated[int, Knob(seed=True)] = 0) -> float:
    """The same for each seed."""
    CALLS.append("math/seeded")
    return float(seed * 7919 % 101)


@node("math/fail")
def fail(a: float, *, why: str = "because") -> float:
    """Raise."""
    CALLS.append("math/fail")
    raise ArithmeticError(why)


@node("math/file")
def file(*, name: Annotated[str, Knob(file="number")] = "") -> float:
    """The number a file stands for."""
    CALLS.append("math/file")
    return float(len(name))


@node("math/large")
def large(*, size: int = 100) -> Tensor:
    """Many numbers."""
    CALLS.append("math/large")
    return Tensor((1.0,) * size)


@node("math/first")
def first(values: Tensor) -> float:
    """The first of many."""
    CALLS.append("math/first")
    return values.values[0]


@node("math/lies")
def lies() -> int:
    """Promises a number and gives a text."""
    return "seven"  # type: ignore[return-value]


@node("math/show", output=True)
def show(value: float) -> float:
    """The end of a graph."""
    CALLS.append("math/show")
    return value


@node("math/any", output=True)
def anything(value: Any) -> Any:
    """Whatever comes."""
    return value


@node("math/work", output=True)
def work(ctx: Context, *, rounds: int = 3) -> int:
    """Tells how far it is and can be stopped."""
    for done in range(rounds):
        ctx.progress(done + 1, rounds)
    return rounds


@node("math/while")
def count_up(state: int, *, limit: int = 5) -> int:
    """A loop: adds one until `limit`, each round a graph in place of itself."""
    CALLS.append("math/while")
    if state >= limit:
        return state
    body = {
        "body": Step("math/increment", {"a": Join(OUTER, "state")}),
        "again": Step("math/while", {"state": Join("body", "int"), "limit": Join(OUTER, "limit")}),
    }
    return Expansion(Graph(body), {"int": Join("again", "int")})  # type: ignore[return-value]


@node("math/increment")
def increment(a: int) -> int:
    """One more."""
    CALLS.append("math/increment")
    return a + 1


@node("math/for_each")
def for_each(values: list[float], *, plus: float = 1.0) -> float:
    """The sum of every value plus `plus`: one step for each value."""
    steps = {f"add{i}": Step("math/add", {"a": v, "plus": plus}) for i, v in enumerate(values)}
    joined: list[object] = [Join(id, "float") for id in steps]
    return Expansion(  # type: ignore[return-value]
        Graph(steps | {"sum": Step("math/total", {"values": joined})}), {"float": Join("sum", "float")}
    )


@node("math/if", needs=lambda known: ())
def condition(when: bool, then: Lazy[float], otherwise: Lazy[float]) -> float:
    """A condition: passes on one of two wires that are not computed before."""
    return Expansion(Graph({}), {"float": Join(OUTER, "then" if when else "otherwise")})  # type: ignore[return-value]


@node("math/for_ever")
def for_ever(state: int) -> int:
    """A loop without an end."""
    steps = {
        "next": Step("math/increment", {"a": Join(OUTER, "state")}),
        "again": Step("math/for_ever", {"state": Join("next", "int")}),
    }
    return Expansion(Graph(steps), {"int": Join("again", "int")})  # type: ignore[return-value]


@node("math/itself")
def itself(state: int) -> int:
    """Waits for itself."""
    return Expansion(  # type: ignore[return-value]
        Graph({"me": Step("math/itself", {"state": Join(OUTER, "state")})}), {"int": Join("me", "int")}
    )


@node("math/hold")
def hold(value: Tensor) -> float:
    """Puts a value that is no JSON into a graph."""
    steps = {"first": Step("math/first", {"values": value})}
    return Expansion(Graph(steps), {"float": Join("first", "float")})  # type: ignore[return-value]


@node("math/gamble")
def gamble(a: float) -> float:
    """Pure itself, but what it expands into is not."""
    return Expansion(Graph({"r": Step("math/random", {"low": Join(OUTER, "a")})}), {"float": Join("r", "float")})  # type: ignore[return-value]


@node("math/true")
def true(*, value: bool = True) -> bool:
    """True or false."""
    return value


DEFS: dict[str, NodeDef] = {
    found.kind: found for one in list(globals().values()) if (found := definition(one)) is not None
}


class Nothing:
    """Services for nodes that ask for none."""

    device = "cpu"

    def use(self, recipe: object, room: int = 0) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def room(self, nbytes: int) -> bool:
        raise NotImplementedError

    def find(self, kind: str, name: str) -> Path:
        raise NotImplementedError

    def save(self, *given: object) -> Path:
        raise NotImplementedError


class Bench:
    """An executor with everything around it, and what it has told."""

    def __init__(self, cache: Cache | None = None, **ports: Any) -> None:
        self.files: dict[str, str] = {}
        self.cache = cache if cache is not None else Cache(1 << 24)
        self.executor = Executor(DEFS, self.cache, Nothing(), self.identity, **ports)
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.runs = 0

    def identity(self, kind: str, name: str) -> str:
        return self.files.get(name, "") or name

    def run(self, graph: Graph, document: Mapping[str, Any] | None = None) -> RunResult:
        """Run with a fresh list of events and calls."""
        self.runs += 1
        self.events.clear()
        CALLS.clear()
        return self.executor.run(graph, f"run{self.runs}", self.events.append, self.cancelled, document)

    def value(self, graph: Graph, target: str = "") -> Any:
        """The one output of the target, which has to succeed."""
        result = self.run(graph)
        assert result.status == "succeeded", result.problems
        (value,) = result.outputs[target or graph.targets[0]].values()
        return value

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def called(self) -> list[str]:
        return [kind.removeprefix("math/") for kind in CALLS]


def graph(*targets: str, **steps: Step) -> Graph:
    """A graph from keyword arguments."""
    return Graph(steps, targets)
