"""A part of a workflow under one name: used by steps of kind "subgraph/<id>", as often as one likes.

    "definitions": {"half": {"title": "Half",
        "inputs": [{"name": "image", "type": "IMAGE", "inner": [["mix", "a"]]}],
        "outputs": [{"name": "image", "type": "IMAGE", "inner": [["mix", "image"]]}],
        "steps": {"mix": {"kind": "core/mix", "inputs": {"amount": 0.5}}}}}

An input port feeds the inner inputs it names, "values#2" being the third place in a list of joins; what it is not given
keeps the value it has inside. An output port gives the one inner output it names. What runs has no subgraphs: the steps
inside `big` are called "big/mix". The editor flattens by the same rules (`web/src/core/flatten.ts`), held to them by
`tests/fixtures/graphs`. No recursion, and bounds on what a small file can grow to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graph_runtime.document_step import DocumentStep, read_steps
from graph_runtime.graph import Join
from graph_runtime.node_def import KnobDef, NodeDef, Output, Wire
from graph_runtime.problem import Problem
from graph_runtime.validate import MAX_STEPS

PREFIX = "subgraph/"
MAX_ID = 4096
MAX_JOINS = 200_000
_AT_THE_END = 1_000_000
_IN_LIST = re.compile(r"(.*)#([0-9]{1,6})", re.DOTALL)


@dataclass(slots=True)
class Port:
    """An input or output of a subgraph. `inner` are ends inside: (step, input or output)."""

    name: str
    type: str = "ANY"
    inner: list[tuple[str, str]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "inner": [list(one) for one in self.inner]} | self.extra


@dataclass(slots=True)
class Definition:
    """A subgraph as it was saved; groups, notes and what else there is are in `extra`."""

    steps: dict[str, DocumentStep]
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    title: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"title": self.title}
        data["inputs"] = [port.to_json() for port in self.inputs]
        data["outputs"] = [port.to_json() for port in self.outputs]
        data["steps"] = {id: step.to_json() for id, step in self.steps.items()}
        return data | self.extra

    def input(self, name: str) -> Port | None:
        return next((port for port in self.inputs if port.name == name), None)

    def output(self, name: str) -> Port | None:
        return next((port for port in self.outputs if port.name == name), None)

    def as_node(self, kind: str) -> NodeDef:
        """What it takes and gives, for leading wires past it: every port counts as a wire."""
        wires = tuple(Wire(port.name, port.type, optional=True) for port in self.inputs)
        return NodeDef(kind, wires=wires, outputs=tuple(Output(port.name, port.type) for port in self.outputs))


def node_defs(definitions: Mapping[str, Definition], defs: Mapping[str, NodeDef]) -> dict[str, NodeDef]:
    """Each subgraph as a kind of node: ports that set a knob inside are knobs, the others wires."""
    made: dict[str, NodeDef] = {}
    for id, one in definitions.items():
        knobs = [_knob(definitions, one, port, defs) for port in one.inputs]
        wires = [wire for wire, knob in zip(one.as_node("").wires, knobs, strict=True) if knob is None]
        found = tuple(knob for knob in knobs if knob is not None)
        made[PREFIX + id] = replace(one.as_node(PREFIX + id), wires=tuple(wires), knobs=found)
    return made


def _knob(
    definitions: Mapping[str, Definition], one: Definition, port: Port, defs: Mapping[str, NodeDef]
) -> KnobDef | None:
    """The knob that a port's first end leads to, through subgraphs inside, under the port's name; None if none."""
    at, end = one, port.inner[0] if port.inner else None
    for _ in range(len(definitions) + 1):
        step = at.steps.get(end[0]) if end is not None else None
        if end is None or step is None:
            return None
        inside = definitions.get(step.kind.removeprefix(PREFIX)) if step.kind.startswith(PREFIX) else None
        if inside is None:
            found = defs[step.kind].input(end[1]) if step.kind in defs else None
            return replace(found, name=port.name) if isinstance(found, KnobDef) else None
        below = inside.input(end[1])
        at, end = inside, below.inner[0] if below is not None and below.inner else None
    return None


def read_definitions(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, Definition]:
    """The definitions in plain JSON. What is none goes to `problems`."""
    found: dict[str, Definition] = {}
    for id, one in raw.items():
        if not id or "/" in id or not isinstance(one, dict) or not isinstance(one.get("steps"), dict):
            what = "this is not a subgraph."
            fix = 'A subgraph has an id without "/" and is {"steps": {…}, "inputs": […], "outputs": […]}.'
            problems.append(Problem("malformed-document", f"definitions.{id}", what, fix))
            continue
        rest = {name: value for name, value in one.items() if name != "steps"}
        found[id] = Definition(
            read_steps(one["steps"], f"definitions.{id}.steps", problems),
            _take_ports(rest, "inputs"),
            _take_ports(rest, "outputs"),
            rest.pop("title") if isinstance(rest.get("title"), str) else "",
            rest,
        )
    return found


def _take_ports(rest: dict[str, Any], name: str) -> list[Port]:
    raw = rest.get(name)
    if not isinstance(raw, list) or not all(map(_is_port, raw)):
        return []
    del rest[name]
    return [
        Port(
            one["name"], one.get("type", "ANY"), [(step, end) for step, end in one.get("inner", ())],
            {key: value for key, value in one.items() if key not in ("name", "type", "inner")},
        )
        for one in raw
    ]  # fmt: skip


def _is_port(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not isinstance(one.get("type", ""), str):
        return False
    inner = one.get("inner", [])
    return isinstance(inner, list) and all(
        isinstance(end, list) and len(end) == 2 and all(isinstance(part, str) for part in end) for end in inner
    )


@dataclass(slots=True)
class Flat:
    """Steps without subgraphs, but for those that are off or cannot be opened, and what went wrong on the way.

    stops   the problems for which nothing of it may run
    """

    steps: dict[str, DocumentStep]
    targets: tuple[str, ...]
    problems: list[Problem]
    stops: list[Problem]


def flatten(
    steps: Mapping[str, DocumentStep],
    targets: Sequence[str],
    definitions: Mapping[str, Definition],
    defs: Mapping[str, NodeDef],
) -> Flat:
    """Put what is inside in place of each subgraph that is on."""
    work = _Flattening(definitions)
    work.open(steps)
    work.lead()
    wanted = dict.fromkeys(id for target in dict.fromkeys(targets) for id in work.wanted(target, defs))
    return Flat(work.leaves, tuple(wanted), work.problems, work.stops)


@dataclass(slots=True)
class _Frame:
    """A board being walked. fed: by inner step, the (input, place in a list, value) its ports bring."""

    prefix: str
    definition: str
    steps: Iterator[tuple[str, DocumentStep]]
    fed: dict[str, list[tuple[str, int | None, Any]]]


class _Flattening:
    """One walk. `opened` are the subgraphs replaced, with the span of `order` that their insides take."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self.definitions = definitions
        self.leaves: dict[str, DocumentStep] = {}
        self.opened: dict[str, Definition] = {}
        self.kinds: dict[str, str] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.order: list[str] = []
        self.problems: list[Problem] = []
        self.stops: list[Problem] = []
        self.joins = 0
        self.led: dict[Join, tuple[Join, str]] = {}

    def wrong(self, code: str, step: str, field: str, what: str, fix: str, *, stop: bool = False) -> None:
        found = Problem(code, f"{step}.{field}" if field else step or "graph", what, fix, step, field)
        self.problems.append(found)
        if stop:
            self.stops.append(found)

    def open(self, steps: Mapping[str, DocumentStep]) -> None:
        """Walk all boards from the outside in, each step after what it is inside of."""
        stack = [_Frame("", "", iter(steps.items()), {})]
        active: dict[str, None] = {}
        while stack:
            frame = stack[-1]
            name, step = next(frame.steps, ("", None))
            if step is None:
                stack.pop()
                active.pop(frame.definition, None)
                if stack:
                    id = frame.prefix[:-1]
                    self.spans[id] = (self.spans[id][0], len(self.leaves))
                continue
            id = frame.prefix + name
            inputs = {key: _prefixed(value, frame.prefix) for key, value in step.inputs.items()}
            self.deliver(inputs, frame.fed.get(name, ()))
            if id in self.leaves or id in self.opened:
                what = "this id is taken by a step inside a subgraph."
                self.wrong("bad-id", id, "", what, "Give the outer step another id.", stop=True)
            elif self.opens(id, step, active):
                inside = self.definitions[step.kind.removeprefix(PREFIX)]
                self.opened[id], self.kinds[id] = inside, step.kind
                self.spans[id] = (len(self.leaves), len(self.leaves))
                below = step.kind.removeprefix(PREFIX)
                active[below] = None
                fed = self.feed(id, step.kind, inside, inputs)
                stack.append(_Frame(f"{id}/", below, iter(inside.steps.items()), fed))
            else:
                self.leaves[id] = DocumentStep(step.kind, inputs, mode=step.mode)

    def opens(self, id: str, step: DocumentStep, active: Mapping[str, None]) -> bool:
        """Whether a step is a subgraph to be replaced. One that is off is led past or left out as a whole."""
        if not step.kind.startswith(PREFIX) or step.mode != "on":
            return False
        name = step.kind.removeprefix(PREFIX)
        if name not in self.definitions:
            what = f"there is no subgraph {name!r} in this workflow."
            self.wrong("unknown-node", id, "", what, "Remove the step, or paste one that brings the subgraph with it.")
        elif name in active:
            way = list(active)
            path = " → ".join([*way[way.index(name) :][:12], name])
            self.wrong(
                "subgraph-cycle", id, "", f"the subgraph contains itself: {path}.", "Remove this step.", stop=True
            )
        elif len(id) > MAX_ID:
            self.wrong("subgraph-too-deep", id[:80], "", "it is nested too deep.", "Nest it less.", stop=True)
        elif len(self.leaves) + len(self.opened) >= 2 * MAX_STEPS:
            if not any(one.code == "too-many-steps" for one in self.stops):
                what = f"with its subgraphs it has more than {2 * MAX_STEPS:,} steps."
                self.wrong("too-many-steps", "", "", what, "Split it.", stop=True)
        else:
            return True
        return False

    def feed(
        self, id: str, kind: str, inside: Definition, inputs: Mapping[str, Any]
    ) -> dict[str, list[tuple[str, int | None, Any]]]:
        """What the ports bring to the steps inside."""
        fed: dict[str, list[tuple[str, int | None, Any]]] = {}
        for name, value in inputs.items():
            port = inside.input(name)
            if port is None:
                self.wrong("unknown-input", id, name, f"{kind} has no input called {name!r}.", "Remove it.")
            for step, end in port.inner if port is not None and value is not None else ():
                found = _IN_LIST.fullmatch(end)
                fed.setdefault(step, []).append((found[1], int(found[2]), value) if found else (end, None, value))
        return fed

    def deliver(self, inputs: dict[str, Any], fed: Sequence[tuple[str, int | None, Any]]) -> None:
        """Put what ports bring among a step's own inputs."""
        lists: dict[str, list[tuple[int, Any]]] = {}
        for name, at, value in fed:
            self.joins += len(value) if isinstance(value, list) else 1
            if self.joins > MAX_JOINS:
                if not any(one.code == "too-many-joins" for one in self.stops):
                    what = f"its ports bring more than {MAX_JOINS:,} values."
                    self.wrong("too-many-joins", "", "", what, "Split it.", stop=True)
                return
            own = inputs.get(name)
            if at is not None or (isinstance(own, list) and any(isinstance(one, Join) for one in own)):
                lists.setdefault(name, []).append((_AT_THE_END if at is None else at, value))
            else:
                inputs[name] = value
        for name, brought in lists.items():
            own = inputs.get(name)
            inputs[name] = _woven([] if own is None else own if isinstance(own, list) else [own], brought)

    def lead(self) -> None:
        """Lead every join to a subgraph's output on to the step inside that gives it."""
        if not self.opened:
            return
        for id, step in self.leaves.items():
            for name, value in step.inputs.items():
                if isinstance(value, Join):
                    step.inputs[name] = self.source(value, id, name)
                elif isinstance(value, list) and any(isinstance(one, Join) for one in value):
                    step.inputs[name] = [self.source(one, id, name) if isinstance(one, Join) else one for one in value]

    def source(self, join: Join, id: str, field: str) -> Join:
        found, why = self.follow(join)
        if why:
            self.wrong(why, id, field, *self.dead_end(found, why))
        return found

    def dead_end(self, join: Join, why: str) -> tuple[str, str]:
        at = f"{join.step}.{join.output}"
        if why == "open-port":
            fix = "Open the subgraph and join something to it, or cut this wire."
            return f"is joined to {at}, and nothing inside is joined to that output.", fix
        return f"is joined to {at}, but {self.kinds[join.step]} has no such output.", "Cut this wire."

    def follow(self, join: Join) -> tuple[Join, str]:
        """Where a join ends, and "" or the code of the reason why it ends nowhere."""
        if join not in self.led:
            at, why = join, ""
            while (inside := self.opened.get(at.step)) is not None and not why:
                port = inside.output(at.output)
                if port is None or not port.inner:
                    why = "unknown-output" if port is None else "open-port"
                else:
                    step, output = port.inner[0]
                    at = Join(f"{at.step}/{step}", output)
            self.led[join] = (at, why)
        return self.led[join]

    def wanted(self, target: str, defs: Mapping[str, NodeDef]) -> list[str]:
        """The steps that a target stands for: of a subgraph what its ports give and its output nodes, or else all."""
        inside = self.opened.get(target)
        if inside is None:
            return [target]
        ends = (self.follow(Join(target, port.name)) for port in inside.outputs)
        given = [join.step for join, why in ends if not why and join.step in self.leaves]
        first, last = self.spans[target]
        if len(self.order) != len(self.leaves):
            self.order = list(self.leaves)
        within = self.order[first:last]
        outputs = [id for id in within if (one := defs.get(self.leaves[id].kind)) is not None and one.output]
        return [*given, *outputs] or within


def _prefixed(value: Any, prefix: str) -> Any:
    """An input's value with its joins named from the outside; a list is always a new one."""
    if isinstance(value, Join):
        return Join(prefix + value.step, value.output)
    if isinstance(value, list) and any(isinstance(one, Join) for one in value):
        return [Join(prefix + one.step, one.output) if isinstance(one, Join) else one for one in value]
    return value


def _woven(own: Sequence[Any], brought: Sequence[tuple[int, Any]]) -> list[Any]:
    """A list of joins with what ports bring in the places they have in it."""
    rest = iter(own)
    left = len(own)
    ports = sorted(brought, key=lambda one: one[0])
    made: list[Any] = []
    place = next_port = 0
    while left or next_port < len(ports):
        if next_port < len(ports) and (not left or ports[next_port][0] <= place):
            value = ports[next_port][1]
            made.extend(value if isinstance(value, list) else [value])
            next_port += 1
        else:
            made.append(next(rest))
            left -= 1
        place += 1
    return made
