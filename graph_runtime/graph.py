"""What runs: steps, the joins between them, and the targets. Nothing of how it looks.

A step's inputs are plain values, a `Join` to another step's output, or a list with joins in it (for a wire that takes
many). `None` is an input left open. Knows nothing of what the kinds mean; `validate` and `executor` are given NodeDefs.

As JSON:

    {"steps": {"img": {"kind": "core/load_image", "inputs": {"file": "cat.png"}},
               "mix": {"kind": "core/mix", "inputs": {"a": {"join": ["img", "image"]}, "amount": 0.5}}},
     "targets": ["mix"]}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused

# The step a Join names inside an Expansion to mean the expanding step's own input: Join(OUTER, "image").
OUTER = ""


class Join(NamedTuple):
    """A wire's far end: an output of a step, by name."""

    step: str
    output: str


@dataclass(frozen=True, slots=True)
class Step:
    """One use of a kind of node."""

    kind: str
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps by id, and the ids of those wanted. No targets means every step of an output kind."""

    steps: dict[str, Step]
    targets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "steps": {
                id: {"kind": step.kind, "inputs": {name: input_to_json(v) for name, v in step.inputs.items()}}
                for id, step in self.steps.items()
            },
            "targets": list(self.targets),
        }

    @classmethod
    def from_json(cls, data: Any) -> Graph:
        """The Graph that `to_json` wrote. Raises Refused when it has another shape; what steps say is not judged."""
        problems: list[Problem] = []

        def wrong(place: str, what: str, fix: str) -> None:
            problems.append(Problem("malformed-graph", place, what, fix))

        raw = data.get("steps") if isinstance(data, Mapping) else None
        if not isinstance(raw, Mapping):
            wrong("graph", "it has no `steps`.", 'Give an object {"steps": {id: {"kind": …, "inputs": {…}}}}.')
            raise Refused(problems)
        steps: dict[str, Step] = {}
        for id, one in raw.items():
            kind, inputs = (one.get("kind"), one.get("inputs", {})) if isinstance(one, Mapping) else (None, None)
            if not isinstance(id, str) or not isinstance(kind, str) or not isinstance(inputs, Mapping):
                wrong(f"steps.{id}", "this is not a step.", 'A step is {"kind": "pack/name", "inputs": {…}}.')
                continue
            steps[id] = Step(kind, {str(name): input_from_json(value) for name, value in inputs.items()})
        targets = data.get("targets", [])
        if not isinstance(targets, (list, tuple)) or not all(isinstance(t, str) for t in targets):
            wrong("targets", "these are not ids of steps.", "Give a list of step ids, or leave it out.")
        if problems:
            raise Refused(problems)
        return cls(steps, tuple(targets))


@dataclass(frozen=True, slots=True)
class Expansion:
    """A node's answer: run this graph in my place, and take my outputs from there.

    outputs   for each output of the node, a Join into `graph`, a Join(OUTER, name) that passes an input on, or a value.
    Inside, Join(OUTER, name) is the expanding step's own input; a lazy one is computed only now, and only if used.
    The graph's targets (or, without any, its output nodes) run as well.
    """

    graph: Graph
    outputs: Mapping[str, Any] = field(default_factory=dict)


def input_from_json(value: Any) -> Any:
    """A step's input as the runtime holds it. What only resembles a join stays as it is, for `validate` to refuse."""
    if isinstance(value, dict):
        pair = value.get("join")
        if len(value) == 1 and isinstance(pair, (list, tuple)) and len(pair) == 2:
            step, output = pair
            if isinstance(step, str) and isinstance(output, str):
                return Join(step, output)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return [input_from_json(one) for one in value]
    return value


def input_to_json(value: Any) -> Any:
    if isinstance(value, Join):
        return {"join": [value.step, value.output]}
    if isinstance(value, (list, tuple)):
        return [input_to_json(one) for one in value]
    return value


def joins(value: Any) -> Iterable[Join]:
    """The joins in one input."""
    if isinstance(value, Join):
        return (value,)
    if isinstance(value, list):
        return [one for one in value if isinstance(one, Join)]
    return ()


def sources(step: Step) -> Iterator[str]:
    """The ids of the steps this one is joined to, as often as it is, those of an expansion's outside left out."""
    for value in step.inputs.values():
        if isinstance(value, Join):
            if value.step != OUTER:
                yield value.step
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, Join) and one.step != OUTER:
                    yield one.step


def wanted_steps(graph: Graph, defs: Mapping[str, NodeDef]) -> tuple[str, ...]:
    """The graph's targets; without any, every step whose kind is an output."""
    if graph.targets:
        return tuple(dict.fromkeys(graph.targets))
    return tuple(id for id, step in graph.steps.items() if (one := defs.get(step.kind)) is not None and one.output)


def in_order(graph: Graph, starts: Collection[str]) -> list[str]:
    """The steps that `starts` need and they themselves, each after those it is joined to.

    Joins that lead nowhere are passed over, and where steps wait for each other the order is broken once: `validate`
    says so. Linear; no recursion, so a chain may be as long as it likes.
    """
    backwards = _listed_in_order(graph, starts)
    return _depth_first(graph, starts) if backwards is None else backwards


def _listed_in_order(graph: Graph, starts: Collection[str]) -> list[str] | None:
    """One sweep from the last step to the first: enough if the steps are listed in order; None if they are not."""
    steps = graph.steps
    wanted, passed = set(starts), set[str]()
    order: list[str] = []
    for id in reversed(steps):
        if id in wanted:
            passed.add(id)
            order.append(id)
            for value in steps[id].inputs.values():
                if type(value) is Join:
                    if value[0] in passed:
                        return None
                    wanted.add(value[0])
                elif type(value) is list:
                    joined = {join.step for join in joins(value)}
                    if joined & passed:
                        return None
                    wanted |= joined
    if len(order) < sum(id in steps for id in wanted):  # one is wanted by a step that comes before it
        return None
    order.reverse()
    return order


def _depth_first(graph: Graph, starts: Collection[str]) -> list[str]:
    steps = graph.steps
    order: list[str] = []
    open: set[str] = set()
    done: set[str] = set()
    stack = [start for start in reversed(list(starts)) if start in steps]
    while stack:
        id = stack[-1]
        if id not in open:
            open.add(id)
            before = [source for source in sources(steps[id]) if source not in open and source in steps]
            if before:
                stack.extend(reversed(before))
                continue
        stack.pop()
        if id not in done:
            done.add(id)
            order.append(id)
    return order
