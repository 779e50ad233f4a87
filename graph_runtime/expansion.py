"""A node answered with a graph: its steps become tasks of a scope inside. Knows how, not when: the run asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph_runtime.graph import OUTER, Expansion, Join, in_order, wanted_steps
from graph_runtime.keys import content_key, element_of, joined, listed, step_keys
from graph_runtime.node_def import Wire
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import ANY
from graph_runtime.task import Given, Scope, Source, Task, Wired, tasks_of
from graph_runtime.validate import validate
from graph_runtime.values import Many

if TYPE_CHECKING:
    from graph_runtime.running import Running

MAX_DEPTH = 10_000


@dataclass(frozen=True, slots=True)
class Inner:
    """One expansion under way: what must be settled for it, and where each output of the expanding step comes from."""

    tasks: tuple[Task, ...]
    outputs: Mapping[str, Source]

    def outputs_now(self) -> dict[str, Any]:
        return {
            name: Many(_value(source)) if isinstance(source, list) else _value(source)
            for name, source in self.outputs.items()
        }


def expand(
    running: Running, task: Task, index: int | None, expansion: Expansion, arguments: Mapping[str, Any]
) -> Inner:
    """Make the scope and the tasks of an expansion; `index` tells which call of a node that is run over many it was.

    Raises Refused when the graph is wrong, gives too little, or is too deep inside others.
    """
    depth = task.scope.depth + 1
    if depth > MAX_DEPTH:
        what = f"it is expanded {MAX_DEPTH:,} times inside itself."
        raise Refused(Problem("too-deep", task.label, what, "End the loop earlier."))
    graph, executor = expansion.graph, running.executor
    outer = {name: _outer(task, name, index, arguments) for name in {*(task.sources or ()), *arguments}}
    problems = validate(graph, running.defs, outer={name: _type(task, name) for name in outer})
    if problems:
        raise Refused(problems)
    missing = [one.name for one in task.node.outputs if one.name not in expansion.outputs]
    if missing:
        what = f"its expansion does not say where {', '.join(missing)} come from."
        raise Refused(Problem("broken-node", task.label, what, f"Tell the authors of the pack {task.node.pack!r}."))
    inside = [one.step for one in expansion.outputs.values() if type(one) is Join and one.step != OUTER]
    targets = list(dict.fromkeys((*wanted_steps(graph, running.defs), *inside)))
    within = content_key("expansion", task.key, -1 if index is None else index)
    scope = Scope(graph, {}, {name: source for name, (source, _) in outer.items()}, within)
    scope.keys = step_keys(
        graph, running.defs, executor.file_identity, order=in_order(graph, targets),
        outer={name: part for name, (_, part) in outer.items()}, within=within, run=running.run, salt=executor.salt,
    )  # fmt: skip
    scope.origin = task.scope.origin or task.label
    count = running.expansions[scope.origin] = running.expansions.get(scope.origin, 0) + 1
    scope.prefix, scope.depth = f"{scope.origin}#{count}.", depth
    outputs = {name: _output(scope, one, running) for name, one in expansion.outputs.items()}
    tasks = [scope.task(id, running.defs) for id in targets]
    passed_on = [one for source in outputs.values() for one in tasks_of(source) if one.scope is not scope]
    return Inner((*tasks, *passed_on), outputs)


def _outer(task: Task, name: str, index: int | None, arguments: Mapping[str, Any]) -> tuple[Source, str]:
    """An input of the expanding step, as a source for the steps inside and as a part of their keys."""
    source = (task.sources or {}).get(name)
    if name not in arguments:  # lazy, and not computed: whoever inside wants it has it computed
        assert source is not None
        return source, _part(source)
    value = arguments[name]
    wanted = task.node.input(name)
    if source is None:  # a knob left alone, or an empty list
        part = listed(()) if isinstance(value, list) else ascii(value)
    else:
        part = _part(source)
        if index is not None and _is_many(source):
            part = element_of(part, index)
    if type(wanted) is Wire and wanted.many:
        value = Many(value)
    return Given(value, part), part


def _part(source: Source) -> str:
    if isinstance(source, list):
        return listed(map(_part, source))
    if type(source) is Wired:
        return joined(source.task.key, source.output)
    assert type(source) is Given
    return ascii(source.value) if source.part is None else source.part


def _is_many(source: Source) -> bool:
    return not isinstance(source, list) and type(_value(source)) is Many


def _value(source: Source) -> Any:
    if isinstance(source, list):
        return [_value(one) for one in source]
    return source.value if type(source) is Given else source.task.outputs[source.output]  # type: ignore[union-attr,index]


def _type(task: Task, name: str) -> str:
    wanted = task.node.input(name)
    if wanted is None:
        return ANY
    return wanted.type if type(wanted) is Wire else wanted.wire_type  # type: ignore[union-attr]


def _output(scope: Scope, one: Any, running: Running) -> Source:
    if type(one) is not Join:
        return Given(one, "")
    if one.step == OUTER:
        if one.output not in scope.outer:
            what = f"its expansion passes on {one.output!r}, which it was not given."
            raise Refused(Problem("broken-node", scope.prefix, what, "Tell the authors of the pack."))
        return scope.outer[one.output]
    if one.step not in scope.keys:
        raise Refused(
            Problem("unknown-step", scope.prefix, f"its expansion has no step {one.step!r}.", "Tell the authors.")
        )
    return Wired(scope.task(one.step, running.defs), one.output)
