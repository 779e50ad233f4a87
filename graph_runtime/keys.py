"""One content key per step: a hash of what it is and of its parents' keys.

    key = sha256( kind, version, source hash, purity, salt; for each input in the order of the NodeDef:
                  its parents' keys and outputs, or its value normalised by its type, or its default )

Step ids, positions and the order of steps never enter; a knob at its default and a knob left alone are the same; 20 and
20.0 of a float are the same; a file enters by its content identity. A `seeded` node is pure, as its seed is one of its
knobs. What is `impure` or `external` has a key of its own in each run, and so has everything after it: such keys begin
with "~" and are never kept. Linear in steps and joins; no recursion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from graph_runtime.graph import Graph, Join, Step, depth_first
from graph_runtime.node_def import KnobDef, NodeDef, Wire
from graph_runtime.problem import Problem, Refused
from graph_runtime.values import as_type, value_type

FileIdentity = Callable[[str, str], str]
"""(kind of file, name) → what its content is known by. Raises Refused when there is no such file."""

VOLATILE = "~"
_JSON = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "JSON"})


def volatile(key: str) -> bool:
    """Whether the key is of one run only."""
    return key.startswith(VOLATILE)


def content_key(*parts: Any) -> str:
    """The hash of plain values; volatile if one of the parts is a volatile key."""
    key = hashlib.sha256(ascii(parts).encode()).hexdigest()
    return VOLATILE + key if any(isinstance(part, str) and part.startswith(VOLATILE) for part in parts) else key


def step_keys(
    graph: Graph,
    defs: Mapping[str, NodeDef],
    file_identity: FileIdentity,
    *,
    order: Iterable[str] | None = None,
    outer: Mapping[str, Any] | None = None,
    within: str = "",
    run: str = "",
    salt: str = "",
) -> dict[str, str]:
    """The key of every step, or of those in `order` (each after its sources, as `depth_first` gives them).

    outer    for the graph of an Expansion: the part that stands for each input of the expanding step
    within   the key of the expanding step, which decides every value its graph holds
    run      what makes the keys of impure steps unlike those of other runs
    salt     what all results depend on besides the graph: device class, library versions

    The graph is valid: unknown kinds and joins that lead nowhere raise KeyError. Raises Refused naming every file that
    is not there.
    """
    keying = _Keying(defs, file_identity, outer or {}, within, run, salt)
    for id in depth_first(graph, list(graph.steps)) if order is None else order:
        keying.add(id, graph.steps[id])
    if keying.problems:
        raise Refused(keying.problems)
    return keying.keys


def joined(key: str, output: str, *element: int) -> tuple[Any, ...]:
    """The part of a key that stands for an output of a step with this key, or for one element of it."""
    return ("<", key, output, *element)


class _Form(NamedTuple):
    """A NodeDef as its keys are made of it."""

    head: str
    # name, knob or wire, whether it takes many, what stands for it when it is left alone
    inputs: tuple[tuple[str, Wire | KnobDef, bool, Any], ...]
    own_in_each_run: bool


class _Keying:
    """The keys made so far, the identities of the files met, and those that were missing."""

    def __init__(
        self,
        defs: Mapping[str, NodeDef],
        file_identity: FileIdentity,
        outer: Mapping[str, Any],
        within: str,
        run: str,
        salt: str,
    ) -> None:
        self.defs, self.file_identity, self.outer, self.within = defs, file_identity, outer, within
        self.run, self.salt = run, salt
        self.keys: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.forms: dict[str, _Form] = {}
        self.files: dict[tuple[str, str], str] = {}

    def form(self, kind: str) -> _Form:
        found = self.defs[kind]
        inputs: list[tuple[str, Wire | KnobDef, bool, Any]] = [
            (wire.name, wire, wire.many, None) for wire in found.wires
        ]
        inputs += [(knob.name, knob, False, knob.normalised(knob.default)) for knob in found.knobs]
        head = ascii((found.kind, found.version, found.source_hash, found.purity, self.salt))
        self.forms[kind] = made = _Form(head, tuple(inputs), found.purity in ("impure", "external"))
        return made

    def add(self, id: str, step: Step) -> None:
        form = self.forms.get(step.kind) or self.form(step.kind)
        given = step.inputs
        parts: list[Any] = [form.head]
        unkept = form.own_in_each_run
        for name, one, many, default in form.inputs:
            value = given.get(name)
            if type(value) is Join and not many:
                part = joined(self.keys[value.step], value.output) if value.step else self.outer[value.output]
                # A file whose name comes by wire is not known yet, so its content cannot be in the key.
                unkept = unkept or _volatile_part(part) or (type(one) is KnobDef and one.type == "FILE")
            elif value is None and not (type(one) is KnobDef and one.type == "FILE"):
                part = default
            else:
                part = self.part(id, one, default if value is None else value)
                unkept = unkept or _volatile_part(part)
            parts.append(part)
        if form.own_in_each_run:
            parts.append((self.run, self.within, id))
        key = hashlib.sha256(ascii(parts).encode()).hexdigest()
        self.keys[id] = VOLATILE + key if unkept else key

    def part(self, id: str, one: Wire | KnobDef, value: Any) -> Any:
        """What stands for an input that is not simply one join."""
        if type(one) is KnobDef:
            return self.file(id, one, value) if one.type == "FILE" else one.normalised(value)
        assert isinstance(one, Wire)
        if one.many:
            elements = value if isinstance(value, list) else [value]
            return ("[", *(self.element(id, one, index, element) for index, element in enumerate(elements)))
        return self.element(id, one, 0, value)

    def element(self, id: str, wire: Wire, index: int, value: Any) -> Any:
        if type(value) is Join:
            return joined(self.keys[value.step], value.output) if value.step else self.outer[value.output]
        place = f"{id}.{wire.name}.{index}" if wire.many else f"{id}.{wire.name}"
        return literal_part(as_type(wire.type, value), self.within, place)

    def file(self, id: str, knob: KnobDef, name: str) -> Any:
        """The content of the file, or its bare name when there is none chosen."""
        if not name:
            return name
        asked = (knob.file, name)
        if asked not in self.files:
            self.files[asked] = ""
            try:
                self.files[asked] = self.file_identity(*asked)
            except Refused as error:
                self.problems += [replace(one, step=id, field=knob.name) for one in error.problems]
            except OSError as error:
                what = f"{name!r} cannot be read: {error.strerror or error}."
                self.problems.append(
                    Problem("unreadable-file", f"{id}.{knob.name}", what, "Choose another file.", id, knob.name)
                )
        return ("file", self.files[asked])


def literal_part(value: Any, within: str, place: str) -> Any:
    """The part of a key that stands for a value in a graph. One that is not JSON only an Expansion can hold: the
    expanding step's key decides it."""
    return _plain(value) if value_type(value) in _JSON else joined(within, place)


def _volatile_part(part: Any) -> bool:
    """Whether a part has a volatile key in it."""
    if type(part) is not tuple or not part:
        return False
    if part[0] == "<":
        return bool(part[1].startswith(VOLATILE))
    return part[0] in ("[", "item") and any(_volatile_part(one) for one in part[1:])


def _plain(value: Any) -> Any:
    """A JSON value as tuples, so that it has one spelling."""
    if isinstance(value, dict):
        return ("{", *sorted((str(key), _plain(one)) for key, one in value.items()))
    if isinstance(value, (list, tuple)):
        return ("(", *map(_plain, value))
    return value
