"""One step of one run: where its inputs come from, how it stands, what it gave.

A `Scope` is one graph being run: the run's own, or that of an Expansion inside it, with what its Join(OUTER, …) mean. A
`Task` is a step in a scope. Tasks point at the tasks they need, also across scopes, so nothing here looks up a path.
Knows no events and calls no node: the executor moves tasks along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from graph_runtime.graph import Graph, Join
from graph_runtime.keys import VOLATILE, literal_part
from graph_runtime.node_def import KnobDef, NodeDef, Wire
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import PRIMITIVES, fits
from graph_runtime.validate import knob_problem
from graph_runtime.values import Many, as_type, summary, value_type


class State(IntEnum):
    """How a task stands. From DONE on it is settled."""

    NEW = 0  # nobody has asked for it
    ASKED = 1  # its inputs are being made
    EXPANDED = 2  # its node answered with graphs, which are being run
    DONE = 3
    FAILED = 4
    SKIPPED = 5


DONE = State.DONE


class Given(NamedTuple):
    """A value that is already there, and what stands for it in keys (None: its own spelling). `checked`: it suits."""

    value: Any
    part: str | None
    checked: bool = False


class Wired(NamedTuple):
    """A value that a task gives, or will give."""

    task: Task
    output: str


One = Given | Wired
Source = One | list[One]


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """A step in a scope.

    sources    where each input comes from, once that is known
    feeds      the tasks among them, once for each join
    waits      the tasks whose outputs must be there before it goes on; the first `at` of them are settled
    wanted     how many tasks still want its outputs; at 0 they are let go
    twin       the task with the same key that is computed instead
    granted    the lazy wires its node asked for
    volatile   something impure had a part in it, so its outputs are of this run only
    because    the task whose failure it is skipped for
    parts      what each call of its node gave: outputs, or an expansion under way; `mapped` if it was run over many
    made_from  the keys its outputs were made from
    dear       it used a model, so making its outputs again may mean loading one
    """

    id: str
    label: str
    node: NodeDef
    scope: Scope
    key: str
    state: State = State.NEW
    planned: bool = False
    sources: Mapping[str, Source] | None = None
    feeds: Sequence[Task] = ()
    waits: Sequence[Task] = ()
    at: int = 0
    granted: frozenset[str] = frozenset()
    wanted: int = 0
    outputs: Mapping[str, Any] | None = None
    volatile: bool = False
    twin: Task | None = None
    because: str = ""
    parts: Sequence[Any] = ()
    mapped: bool = False
    made_from: frozenset[str] = frozenset()
    dear: bool = False
    began: float = 0.0

    def eager(self) -> Sequence[Task]:
        """Those of its feeds that are needed in any case."""
        lazy = self.node.lazy
        if not lazy:
            return self.feeds
        return [task for name, source in (self.sources or {}).items() if name not in lazy for task in tasks_of(source)]

    def cut(self) -> Sequence[Task]:
        """Forget where its inputs come from; the tasks that it wanted, once for each join."""
        wanted = self.feeds if self.twin is None else (*self.feeds, self.twin)
        self.sources, self.feeds, self.twin = None, (), None
        return wanted


def tasks_of(source: Source) -> Iterator[Task]:
    """The tasks that one input's source leads to."""
    for one in source if isinstance(source, list) else (source,):
        if type(one) is Wired:
            yield one.task


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """A graph being run, with the keys of its steps.

    outer    what Join(OUTER, name) is
    within   the key that decides the values the graph holds itself
    origin   the step on the canvas that everything here belongs to, "" in the run's own graph
    prefix   what goes before a step's id to name it in events
    """

    graph: Graph
    keys: Mapping[str, str]
    outer: Mapping[str, Source] = field(default_factory=dict)
    within: str = ""
    origin: str = ""
    prefix: str = ""
    depth: int = 0
    tasks: dict[str, Task] = field(default_factory=dict)

    def task(self, id: str, defs: Mapping[str, NodeDef]) -> Task:
        task = self.tasks.get(id)
        if task is None:
            key = self.keys[id]
            label = self.prefix + id if self.prefix else id
            task = Task(id, label, defs[self.graph.steps[id].kind], self, key)
            task.volatile = key[0] == VOLATILE
            self.tasks[id] = task
        return task

    def link(self, task: Task, defs: Mapping[str, NodeDef]) -> None:
        """Find out where the task's inputs come from."""
        sources: dict[str, Source] = {}
        feeds: list[Task] = []
        input_named = task.node.input
        for name, value in self.graph.steps[task.id].inputs.items():
            if value is None:
                continue
            wanted = input_named(name)
            if type(value) is Join and value[0] and not (type(wanted) is Wire and wanted.many):
                source = self.tasks.get(value[0]) or self.task(value[0], defs)
                sources[name] = Wired(source, value[1])
                feeds.append(source)
                continue
            if type(wanted) is Wire and wanted.many:
                sources[name] = self.several(value, wanted, task, defs)
                feeds.extend(tasks_of(sources[name]))
                continue
            sources[name] = found = self.source(value, wanted, task, name, defs)
            if type(found) is not Given:
                feeds.extend(tasks_of(found))
        task.sources, task.feeds = sources, feeds

    def source(
        self, value: Any, wanted: Wire | KnobDef | None, task: Task, place: str, defs: Mapping[str, NodeDef]
    ) -> Source:
        if type(value) is Join:
            id, output = value
            return Wired(self.tasks.get(id) or self.task(id, defs), output) if id else self.outer[output]
        if type(wanted) is KnobDef:
            return Given(wanted.normalised(value), None, checked=True)
        proper = as_type(wanted.type, value) if type(wanted) is Wire else value
        return Given(proper, literal_part(proper, self.within, f"{task.id}.{place}"))

    def several(self, value: Any, wanted: Wire, task: Task, defs: Mapping[str, NodeDef]) -> list[One]:
        flat: list[One] = []
        for index, one in enumerate(value if type(value) is list else [value]):
            found = self.source(one, wanted, task, f"{wanted.name}.{index}", defs)
            flat.extend(found if isinstance(found, list) else [found])
        return flat


def gather(task: Task) -> dict[str, Any]:
    """What is known of the arguments of the task's node; `Many` where the node is to be run once for each.

    Inputs left open and lazy wires not granted are left out, but a wire that takes many is an empty list. Raises
    Refused with everything that came over wires and does not suit its input.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    sources = task.sources or {}
    for wire in task.node.wires:
        name = wire.name
        source = sources.get(name)
        if wire.lazy and name not in task.granted:
            continue
        if source is not None:
            found[name] = _over_wire(task, wire, source, problems)
        elif wire.many:
            found[name] = []
    for knob in task.node.knobs:
        name = knob.name
        source = sources.get(name)
        if source is None:
            found[name] = knob.normalised(knob.default)
        elif type(source) is Given and source.checked:
            found[name] = source.value
        else:
            found[name] = _over_wire(task, knob, source, problems)
    if problems:
        raise Refused(problems)
    return found


def _over_wire(task: Task, wanted: Wire | KnobDef, source: Source, problems: list[Problem]) -> Any:
    """The value of a source, in the form its input wants."""
    if type(source) is Wired:  # mostly one value that is just what is wanted
        value = source.task.outputs[source.output]  # type: ignore[index]
        if type(wanted) is Wire and PRIMITIVES.get(type(value)) == wanted.type and not wanted.many:
            return value
    suited = _knob_value if type(wanted) is KnobDef else _wire_value
    values: list[Any] = []
    for one in source if isinstance(source, list) else (source,):
        value = one.value if type(one) is Given else one.task.outputs[one.output]  # type: ignore[union-attr,index]
        several = type(value) is Many
        each = [suited(task, wanted, part, problems) for part in (value if several else (value,))]  # type: ignore[arg-type]
        if not (type(wanted) is Wire and wanted.many):
            return Many(each) if several else each[0]
        values += each
    return values


def _wire_value(task: Task, wire: Wire, value: Any, problems: list[Problem]) -> Any:
    kind = value_type(value)
    if kind == wire.type or fits(kind, wire.type):
        return as_type(wire.type, value)
    what = f"takes {wire.type}, but what came is {kind} ({summary(value)})."
    fix = "Correct the node it comes from: it gives something else than it says."
    problems.append(Problem("wrong-type", f"{task.label}.{wire.name}", what, fix, task.label, wire.name))
    return None


def _knob_value(task: Task, knob: KnobDef, value: Any, problems: list[Problem]) -> Any:
    if knob.type == "FLOATS" and not isinstance(value, (list, tuple)):
        value = getattr(value, "values", value)  # a SIGMAS value holds its numbers under this name
    problem = knob_problem(task.label, knob, value)
    if problem is None:
        return knob.normalised(value)
    problems.append(problem)
    return None
