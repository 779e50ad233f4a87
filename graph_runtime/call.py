"""From a task's arguments to calls of its node, and from what the calls return to the task's outputs.

A node whose input is `Many` is called once for each value; several such inputs go side by side and the shorter ones
repeat their last value; over none at all it is not called and gives none. Knows no tasks and no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_runtime.node_def import NodeDef, Output
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import ANY
from graph_runtime.values import Many, summary, value_type


def calls(arguments: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The arguments of each call when the node is run over `Many`; None when it is called once."""
    if Many not in map(type, arguments.values()):
        return None
    over = {name: value for name, value in arguments.items() if type(value) is Many}
    length = max(map(len, over.values())) if all(over.values()) else 0
    return [arguments | {name: many[min(i, len(many) - 1)] for name, many in over.items()} for i in range(length)]


def outputs_of(node: NodeDef, returned: Any, step: str) -> dict[str, Any]:
    """What one call returned, by the names of the node's outputs. Raises Refused when it is not what was promised."""
    promised = node.outputs
    if not promised:
        return {}
    if len(promised) == 1 and not node.named_outputs:
        returned = (returned,)
    elif not isinstance(returned, tuple) or len(returned) != len(promised):
        names = ", ".join(one.name for one in promised)
        raise _broken(node, step, f"promises {names}, but it returned {summary(returned)}.")
    classes = node.returns or (frozenset(),) * len(promised)
    return {
        one.name: _one(node, value, one, known, step)
        for one, value, known in zip(promised, returned, classes, strict=True)
    }


def check_outputs(node: NodeDef, outputs: Mapping[str, Any], step: str) -> None:
    """Raise Refused when what an expansion came to is not what the node promised."""
    for one, known in zip(node.outputs, node.returns, strict=False):
        value = outputs[one.name]
        for each in value if type(value) is Many else (value,):
            if known and type(each) not in known:
                _check(node, each, one, known, step)


def together(node: NodeDef, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The outputs of all calls of one step as one: each output is `Many`, lists are put end to end."""
    merged: dict[str, Any] = {}
    for one in node.outputs:
        flat: list[Any] = []
        for part in parts:
            value = part[one.name]
            flat.extend(value if type(value) is Many else (value,))
        merged[one.name] = Many(flat)
    return merged


def _one(node: NodeDef, value: Any, promised: Output, known: frozenset[type], step: str) -> Any:
    if not promised.many:
        if known and type(value) not in known:
            _check(node, value, promised, known, step)
        return value
    if not isinstance(value, (list, tuple)):
        raise _broken(node, step, f"promises a list as {promised.name}, but it returned {summary(value)}.")
    for one in value if known else ():
        if type(one) not in known:
            _check(node, one, promised, known, step)
    return Many(value)


def _check(node: NodeDef, value: Any, promised: Output, known: frozenset[type], step: str) -> None:
    """Raise Refused when a value is of none of the classes promised. An integer is a number, True is not."""
    if isinstance(value, tuple(known)) and not isinstance(value, bool):
        return
    if float in known and isinstance(value, int) and not isinstance(value, bool):
        return
    given = value_type(value)
    given = type(value).__name__ if given == ANY else given
    raise _broken(
        node, step, f"promises {promised.type} as {promised.name}, but it returned {given}: {summary(value)}."
    )


def _broken(node: NodeDef, step: str, what: str) -> Refused:
    return Refused(
        Problem("broken-node", step, f"{node.kind} {what}", f"Tell the authors of the pack {node.pack!r}.", step)
    )
