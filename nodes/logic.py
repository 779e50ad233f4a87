"""Nodes that choose, gather and repeat. A list that a node gives makes what follows run once for each of its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from graph_runtime.graph import OUTER, Expansion, Graph, Join, Step, joins
from graph_runtime.node import Knob, Lazy, node
from nodes.sockets import refused

TIMES_AT_MOST = 1000


def _chosen(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    return ("on_true",) if inputs["condition"] else ("on_false",)


@node("core/switch", category="logic", needs=_chosen)
def switch(on_true: Lazy[Any] = None, on_false: Lazy[Any] = None, *, condition: bool = True) -> Any:
    """One of two values. What leads to the other one is not computed.

    on_true: given on if the condition holds
    on_false: given on if it does not
    condition: which of the two
    """
    chosen = on_true if condition else on_false
    if chosen is None:
        name = "on_true" if condition else "on_false"
        raise refused("nothing-chosen", f"Switch.{name}", "is chosen, but nothing is wired to it.", "Wire it.")
    return chosen


@node("core/make_list", category="logic/list")
def make_list(items: list[Any]) -> list[Any]:
    """Values as a list: what follows runs once for each.

    items: in this order; a list among them gives its values
    """
    return list(items)


@node("core/list_length", title="Length of list", category="logic/list")
def list_length(items: list[Any]) -> int:
    """How many values a list has."""
    return len(items)


@node("core/pick_from_list", category="logic/list")
def pick_from_list(items: list[Any], *, index: Annotated[int, Knob(min=-100000, max=100000)] = 0) -> Any:
    """One value of a list.

    index: 0 is the first; a negative number counts from the end
    """
    if not -len(items) <= index < len(items):
        what = f"there is no value {index} in a list of {len(items)}."
        raise refused("outside", "Pick from list.index", what, "Choose another one.")
    return items[index]


@node("core/part_of_list", category="logic/list")
def part_of_list(
    items: list[Any],
    *,
    first: Annotated[int, Knob(min=0, max=100000)] = 0,
    count: Annotated[int, Knob(min=1, max=100000)] = 1,
) -> list[Any]:
    """Some values of a list: what follows runs once for each.

    first: 0 is the first
    count: how many from there, or fewer if the list ends
    """
    part = items[first : first + count]
    if not part:
        what = f"a list of {len(items)} has no value {first}."
        raise refused("outside", "Part of list.first", what, "Choose an earlier one.")
    return part


@node("core/count", title="Count up", category="logic/list")
def count(
    *,
    start: Annotated[int, Knob(min=-(2**53), max=2**53)] = 0,
    step: Annotated[int, Knob(min=-(2**31), max=2**31)] = 1,
    count: Annotated[int, Knob(min=1, max=1000)] = 4,
) -> list[int]:
    """Whole numbers, one by one: what follows runs once for each. For seeds, sizes, numbers of steps.

    start: the first
    step: from each to the next
    count: how many
    """
    return [start + number * step for number in range(count)]


@node("core/spread", title="Spread numbers", category="logic/list")
def spread(*, first: float = 0.0, last: float = 1.0, count: Annotated[int, Knob(min=1, max=1000)] = 5) -> list[float]:
    """Numbers at equal distances, one by one: what follows runs once for each.

    first: the first
    last: the last
    count: how many, both ends included
    """
    return [first + (last - first) * number / max(1, count - 1) for number in range(count)]


BODY = '{"steps": {}, "result": {"join": ["", "value"]}}'


@node("core/repeat", category="logic")
def repeat(
    value: Any,
    a: Any = None,
    b: Any = None,
    c: Any = None,
    *,
    times: Annotated[int, Knob(min=0, max=TIMES_AT_MOST)] = 2,
    body: Annotated[str, Knob(multiline=True)] = BODY,
    index: Annotated[int, Knob(min=0, max=10**6, advanced=True)] = 0,
) -> Any:
    """A small graph run again and again, each time on what it gave the time before.

    The body is a graph as JSON: `steps` as in a workflow, and `result`, the join that the next round takes as its
    value. Inside, {"join": ["", "value"]} is the value of this round, {"join": ["", "index"]} the number of the round,
    and a, b and c are the wires of that name. With `again`, a join to a yes-or-no, the rounds end as soon as it is no.

    value: what the first round is given
    a: given to every round as it is
    b: given to every round as it is
    c: given to every round as it is
    times: how many rounds, at most
    body: the graph of one round
    index: the number of the first round
    """
    given = [name for name, wire in (("a", a), ("b", b), ("c", c)) if wire is not None]
    if times == 0:
        return value
    body_graph, result, again = _read_body(body, {"value", "index", *given})
    steps: dict[str, Step] = {}
    last: Any = Join(OUTER, "value")
    for round_ in range(times if again is None else 1):
        inner = {"value": last, "index": index + round_}
        for id, step in body_graph.steps.items():
            steps[f"{round_}.{id}"] = Step(step.kind, {k: _placed(v, round_, inner) for k, v in step.inputs.items()})
        last = _placed(result, round_, inner)
    if again is None:
        return Expansion(Graph(steps), {"any": last})
    more = {"value": last, "times": times - 1, "body": body, "index": index + 1}
    steps["more"] = Step("core/repeat", more | {name: Join(OUTER, name) for name in given})
    condition = _placed(again, 0, {"value": Join(OUTER, "value"), "index": index})
    steps["again"] = Step("core/switch", {"condition": condition, "on_true": Join("more", "any"), "on_false": last})
    return Expansion(Graph(steps), {"any": Join("again", "any")})


def _read_body(text: str, given: set[str]) -> tuple[Graph, Join, Join | None]:
    """The body's graph, its result and its `again`. Raises Refused where it is no graph, or joins what is not there."""
    place = "Repeat.body"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused("bad-body", place, f"this is not JSON: {error}.", f"Write for example {BODY}.") from None
    if not isinstance(body, dict) or not isinstance(body.get("steps", {}), dict):
        raise refused("bad-body", place, "this is not a graph.", f"Write for example {BODY}.")
    ends = {name: body.get(name) for name in ("result", "again") if body.get(name) is not None}
    holder = {"kind": "core/make_list", "inputs": ends}
    graph = Graph.from_json({"steps": {**body.get("steps", {}), OUTER: holder}})
    ends = graph.steps.pop(OUTER).inputs
    if not isinstance(ends.get("result"), Join):
        raise refused("bad-body", place, "it names no `result`.", 'Add "result": {"join": [step, output]}.')
    wrong = [
        join
        for value in (*ends.values(), *(v for step in graph.steps.values() for v in step.inputs.values()))
        for join in joins(value)
        if (join.output not in given if join.step == OUTER else join.step not in graph.steps)
    ]
    if wrong:
        shown = ", ".join(f"{join.step}.{join.output}" for join in wrong)
        what = f"it joins what is not there: {shown}."
        raise refused("bad-body", place, what, f"There are its steps and {', '.join(sorted(given))}.")
    return graph, ends["result"], ends.get("again")


def _placed(value: Any, round_: int, inner: Mapping[str, Any]) -> Any:
    """An input of the body as it is in one round: its own steps by their new ids, `value` and `index` of that round."""
    if isinstance(value, Join):
        if value.step != OUTER:
            return Join(f"{round_}.{value.step}", value.output)
        return inner.get(value.output, value)
    if isinstance(value, list):
        return [_placed(one, round_, inner) for one in value]
    return value
