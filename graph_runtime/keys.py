"""One content key per step: a hash of what it is and of its parents' keys.

    key = sha256( kind, version, source hash, purity, salt; for each input in the order of the NodeDef:
                  its parents' keys and outputs, or its value normalised by its type, or its default )

Positions and the order of steps never enter, nor do step ids, but for one case: a node that writes the workflow into
what it makes (`document`) stands for the steps it was made by, so that its file opens as the graph that was run. A knob
at its default and a knob left alone are the same; 20 and 20.0 of a float are the same; a file enters by its content
identity. A `seeded` node is pure, as its seed is one of its knobs. What is `impure` or `external` has a key of its own
in each run, and so has everything after it: such keys begin with "~" and are never kept. Linear in steps and joins; no
recursion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from graph_runtime.graph import Graph, Join, Step, in_order, joins
from graph_runtime.node_def import KnobDef, NodeDef, Wire
from graph_runtime.problem import Problem, Refused
from graph_runtime.values import as_type, value_type

FileIdentity = Callable[[str, str], str]
"""(kind of file, name) → what its content is known by. Raises Refused when there is no such file."""

VOLATILE = "~"
_DIGITS = 40  # of the hash, in base 16: 160 bits
_EMPTY = "[0,"
_AS_IT_IS: dict[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool, "CHOICE": str}
_JSON = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "JSON"})


def volatile(key: str) -> bool:
    """Whether the key is of one run only."""
    return key.startswith(VOLATILE)


def content_key(*parts: Any) -> str:
    """The hash of plain values; volatile if one of the parts is a volatile key."""
    key = hashlib.sha256(ascii(parts).encode()).hexdigest()[:_DIGITS]
    return VOLATILE + key if any(isinstance(part, str) and part.startswith(VOLATILE) for part in parts) else key


def step_keys(
    graph: Graph,
    defs: Mapping[str, NodeDef],
    file_identity: FileIdentity,
    *,
    order: Iterable[str] | None = None,
    outer: Mapping[str, str] | None = None,
    within: str = "",
    run: str = "",
    salt: str = "",
) -> dict[str, str]:
    """The key of every step, or of those in `order` (each after its sources, as `in_order` gives them).

    outer    for the graph of an Expansion: the part that stands for each input of the expanding step
    within   the key of the expanding step, which decides every value its graph holds
    run      what makes the keys of impure steps unlike those of other runs
    salt     what all results depend on besides the graph: device class, library versions

    The graph is valid: unknown kinds and joins that lead nowhere raise KeyError. Raises Refused naming every file that
    is not there.
    """
    keying = _Keying(graph, defs, file_identity, outer or {}, within, run, salt)
    for id in in_order(graph, list(graph.steps)) if order is None else order:
        keying.add(id, graph.steps[id])
    if keying.problems:
        raise Refused(keying.problems)
    return keying.keys


def joined(key: str, output: str) -> str:
    """The part of a key that stands for an output of a step with this key."""
    return f"<{key}{output!a}"


def element_of(part: str, index: int) -> str:
    """The part that stands for one of the values that `part` stands for."""
    return f"{part}@{index}"


def listed(parts: Iterable[str]) -> str:
    """The part that stands for several, on a wire that takes many."""
    held = list(parts)
    return f"[{VOLATILE if any(map(volatile_part, held)) else ''}{len(held)},{','.join(held)}"


def literal_part(value: Any, within: str, place: str) -> str:
    """The part of a key that stands for a value in a graph.

    One that is not JSON only an Expansion can hold: the expanding step's key decides it.
    """
    return ascii(_plain(value)) if value_type(value) in _JSON else joined(within, place)


def volatile_part(part: str) -> bool:
    """Whether a part stands for something of one run only."""
    return part[1:2] == VOLATILE and part[0] in "<["


class _Form(NamedTuple):
    """A NodeDef as its keys are made of it.

    usual     the part of each input that is left alone, in the order of the NodeDef, and last what stands for the kind
    inputs    by name: its place in that order, what it is, whether it takes many, and the class of values that are
              already as `normalised` would make them
    files     the knobs with the name of a file, whose usual part is the content of that file
    """

    usual: list[str]
    inputs: dict[str, tuple[int, Wire | KnobDef, bool, type | None]]
    files: tuple[KnobDef, ...]
    own_in_each_run: bool
    document: bool


class _Keying:
    """The keys made so far, the identities of the files met, and those that were missing."""

    def __init__(
        self,
        graph: Graph,
        defs: Mapping[str, NodeDef],
        file_identity: FileIdentity,
        outer: Mapping[str, str],
        within: str,
        run: str,
        salt: str,
    ) -> None:
        self.graph, self.defs, self.file_identity, self.outer, self.within = graph, defs, file_identity, outer, within
        self.run, self.salt = run, salt
        self.keys: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.forms: dict[str, _Form] = {}
        self.files: dict[tuple[str, str], str] = {}

    def form(self, kind: str) -> _Form:
        found = self.defs[kind]
        usual = [_EMPTY if wire.many else "None" for wire in found.wires]
        usual += [ascii(knob.normalised(knob.default)) for knob in found.knobs]
        either: list[Wire | KnobDef] = [*found.wires, *found.knobs]
        inputs = {
            one.name: (
                index,
                one,
                type(one) is Wire and one.many,
                _AS_IT_IS.get(one.type) if type(one) is KnobDef else None,
            )
            for index, one in enumerate(either)
        }
        head = content_key(found.kind, found.version, found.source_hash, found.purity, self.salt)
        self.forms[kind] = made = _Form(
            [*usual, head],
            inputs,
            tuple(knob for knob in found.knobs if knob.type == "FILE"),
            found.purity in ("impure", "external"),
            found.document,
        )
        return made

    def add(self, id: str, step: Step) -> None:
        form = self.forms.get(step.kind) or self.form(step.kind)
        given, keys, parts = step.inputs, self.keys, form.usual.copy()
        unkept = form.own_in_each_run
        for name, value in given.items():
            index, one, many, text = form.inputs[name]
            if type(value) is Join and not many:
                step_id, output = value
                part = f"<{keys[step_id]}{output!a}" if step_id else self.outer[output]
                if part[1:2] == VOLATILE and part[0] in "<[":
                    unkept = True
                elif text is None and type(one) is KnobDef and one.type == "FILE":
                    unkept = True  # its name comes by wire, so its content cannot be in the key
            elif value is None:
                continue
            elif type(value) is text:  # already in the one form it has
                part = ascii(value)
            elif type(one) is KnobDef:
                part = ascii(one.normalised(value))
            else:
                assert type(one) is Wire
                part = self.over_wire(id, one, value)
                unkept = unkept or volatile_part(part)
            parts[index] = part
        for knob in form.files:
            self.file(id, knob, given.get(knob.name), parts, form.inputs[knob.name][0])
        if form.own_in_each_run:
            parts.append(ascii((self.run, self.within, id)))
        if form.document:
            parts.append(self.named(id, step))
        key = hashlib.sha256(",".join(parts).encode()).hexdigest()[:_DIGITS]
        self.keys[id] = VOLATILE + key if unkept else key

    def named(self, id: str, step: Step) -> str:
        """What stands for the ids of a step and of all it is made by, and for how they are joined."""
        known = self.names
        for before in islice(self.keys, len(known), None):
            known[before] = self.name(before, self.graph.steps[before])
        return self.name(id, step)

    def name(self, id: str, step: Step) -> str:
        sources = [self.names[one.step] for value in step.inputs.values() for one in joins(value) if one.step]
        return hashlib.sha256(ascii((id, sources)).encode()).hexdigest()[:_DIGITS]

    def over_wire(self, id: str, wire: Wire, value: Any) -> str:
        if wire.many:
            each = value if type(value) is list else [value]
            return listed(self.element(wire, one, f"{id}.{wire.name}.{index}") for index, one in enumerate(each))
        return self.element(wire, value, f"{id}.{wire.name}")

    def element(self, wire: Wire, value: Any, place: str) -> str:
        if type(value) is Join:
            return joined(self.keys[value.step], value.output) if value.step else self.outer[value.output]
        return literal_part(as_type(wire.type, value), self.within, place)

    def file(self, id: str, knob: KnobDef, value: Any, parts: list[str], index: int) -> None:
        """Put the content of the file in its place, unless none is chosen or its name comes by wire."""
        name = knob.default if value is None else value
        if not name or type(value) is Join:
            return
        asked = (knob.file, name)
        if asked not in self.files:
            self.files[asked] = ""
            try:
                self.files[asked] = self.file_identity(*asked)
            except Refused as error:
                self.problems += [replace(one, step=id, field=knob.name) for one in error.problems]
            except OSError as error:
                place, what = f"{id}.{knob.name}", f"{name!r} cannot be read: {error.strerror or error}."
                self.problems.append(Problem("unreadable-file", place, what, "Choose another file.", id, knob.name))
        parts[index] = f"file {self.files[asked]!a}"


def _plain(value: Any) -> Any:
    """A JSON value as tuples, so that it has one spelling."""
    if isinstance(value, dict):
        return ("{", *sorted((str(key), _plain(one)) for key, one in value.items()))
    if isinstance(value, (list, tuple)):
        return ("(", *map(_plain, value))
    return value
