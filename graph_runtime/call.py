"""From a task's arguments to calls of its node, and from what the calls return to the task's outputs.

A node whose input is `Many` is called once for each value; several such inputs go side by side and the shorter ones
repeat their last value; over none at all it is not called and gives none. Knows no tasks and no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused
from graph_runtime.values import Many, summary


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
        return {promised[0].name: _one(node, returned, promised[0].many, step, promised[0].name)}
    if not isinstance(returned, tuple) or len(returned) != len(promised):
        names = ", ".join(one.name for one in promised)
        raise _broken(node, step, f"promises {names}, but it returned {summary(returned)}.")
    return {
        one.name: _one(node, value, one.many, step, one.name) for one, value in zip(promised, returned, strict=True)
    }


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


def _one(node: NodeDef, value: Any, many: bool, step: str, name: str) -> Any:
    if not many:
        return value
    if not isinstance(value, (list, tuple)):
        raise _broken(node, step, f"promises a list as {name}, but it returned {summary(value)}.")
    return Many(value)


def _broken(node: NodeDef, step: str, what: str) -> Refused:
    return Refused(
        Problem("broken-node", step, f"{node.kind} {what}", f"Tell the authors of the pack {node.pack!r}.", step)
    )
