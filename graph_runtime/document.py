"""The saved workflow: what runs (`Graph`), and how it lies on the canvas.

    {"format": "latentloom", "version": 1, "migrations": [], "title": "Cats",
     "steps": {"mix": {"kind": "core/mix", "version": 1, "inputs": {"a": {"join": ["img", "image"]}, "amount": 0.5},
                       "position": [120, 40], "title": "Half", "note": "", "mode": "on"}},
     "targets": [], "groups": [{"title": "Prompt", …}], "notes": [{"text": "try 0.3", …}],
     "definitions": {"half": {…}}}

`definitions` are the subgraphs, used by steps of kind "subgraph/half" (see `subgraphs`).

Whatever else is in there belongs to the editor, to a pack or to a newer program, and comes out again as it went in; so
do nodes nobody knows, with their values and wires. Opening never installs, loads or runs anything.
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph_runtime.document_migrations import MIGRATIONS, Migration, migrate
from graph_runtime.document_step import DocumentStep, read_steps
from graph_runtime.graph import Graph, Join, Step, joins
from graph_runtime.jsontext import check_json, read_json
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import fits
from graph_runtime.subgraphs import PREFIX, Definition, Flat, flatten, read_definitions
from graph_runtime.validate import MAX_STEPS, validate

FORMAT = "latentloom"
VERSION = 1


@dataclass(slots=True)
class Document:
    """A saved workflow, migrated to what this program understands."""

    steps: dict[str, DocumentStep] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    title: str = ""
    groups: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        data = {
            "format": FORMAT,
            "version": VERSION,
            "migrations": list(self.migrations),
            "title": self.title,
            "steps": {id: step.to_json() for id, step in self.steps.items()},
            "targets": list(self.targets),
            "groups": self.groups,
            "notes": self.notes,
        }
        if self.definitions:
            data["definitions"] = {id: one.to_json() for id, one in self.definitions.items()}
        return data | self.extra

    def graph(self, defs: Mapping[str, NodeDef] | None = None) -> Graph:
        """What runs: subgraphs opened, without the muted steps and all that needs them, and with wires led past the
        bypassed ones.

        `defs` are needed to lead a wire past a step; one that fits nothing that goes in is left open. Raises Refused
        when a subgraph contains itself or grows beyond bounds.
        """
        flat = self.flat(defs or {})
        if flat.stops:
            raise Refused(flat.stops)
        return self._running(flat, defs or {})

    def check(self, defs: Mapping[str, NodeDef]) -> list[Problem]:
        """All that is wrong with it, inner steps being called "outer/inner"; empty if it can run."""
        flat = self.flat(defs)
        said = {(one.step, one.field) for one in flat.problems}
        found = validate(self._running(flat, defs), defs)
        again = ("unknown-node", "unknown-step", "bad-id")
        return flat.problems + [one for one in found if one.code not in again or (one.step, one.field) not in said]

    def flat(self, defs: Mapping[str, NodeDef]) -> Flat:
        """Its steps with subgraphs opened."""
        return flatten(self.steps, self.targets, self.definitions, defs)

    def _running(self, flat: Flat, defs: Mapping[str, NodeDef]) -> Graph:
        steps = {id: Step(step.kind, dict(step.inputs)) for id, step in flat.steps.items()}
        off = {id for id, step in flat.steps.items() if step.mode == "bypassed"}
        if off:
            ports = {PREFIX + id: one.as_node(PREFIX + id) for id, one in self.definitions.items()}
            past = _Past(steps, off, ChainMap(ports, dict(defs)))
            steps = {id: Step(one.kind, past.inputs(one)) for id, one in steps.items() if id not in off}
        gone = _needing(steps, {id for id, step in flat.steps.items() if step.mode == "muted"})
        steps = {id: one for id, one in steps.items() if id not in gone}
        return Graph(steps, tuple(id for id in flat.targets if id not in gone and id not in off))


def open_document(
    data: bytes | str | Mapping[str, Any], defs: Mapping[str, NodeDef], migrations: Iterable[Migration] = MIGRATIONS
) -> tuple[Document, list[Problem]]:
    """The document, and what `check` says of it.

    Raises Refused when it is malformed, out of bounds, of another format or of a newer version. A node nobody knows is
    a Problem, not a refusal.
    """
    if isinstance(data, (bytes, str)):
        raw = read_json(data)
    else:
        check_json(data)
        raw = copy.deepcopy(dict(data))
    _check_format(raw)
    migrate(raw, migrations)
    document = _read(raw)
    return document, document.check(defs)


def _check_format(raw: Any) -> None:
    def refuse(code: str, what: str, fix: str) -> Refused:
        return Refused(Problem(code, "document", what, fix))

    if not isinstance(raw, dict):
        raise refuse("malformed-document", "it is not an object.", 'A workflow begins with {"format": "latentloom"}.')
    given, version = raw.get("format", FORMAT), raw.get("version", VERSION)
    if given != FORMAT or not isinstance(raw.get("steps"), dict):
        comfy = isinstance(raw.get("nodes"), list) or any(
            isinstance(v, dict) and "class_type" in v for v in raw.values()
        )
        if comfy:
            raise refuse("comfy-workflow", "this is a workflow of ComfyUI.", "Open it as one.")
        raise refuse("malformed-document", "it has no steps of ours.", f'Give "format": "{FORMAT}" and "steps".')
    if type(version) is not int or version < 1:
        raise refuse(
            "malformed-document", f"its version is {str(version)[:40]}.", f"Versions are whole numbers up to {VERSION}."
        )
    if version > VERSION:
        what = f"it is of version {version}; this program knows up to {VERSION}."
        raise refuse("newer-document", what, "Open it with a newer program.")
    count = len(raw["steps"]) + _inner_steps(raw.get("definitions"))
    if count > MAX_STEPS:
        what = f"it has {count:,} steps; at most {MAX_STEPS:,} are read."
        raise refuse("too-many-steps", what, "Split it.")


def _inner_steps(definitions: Any) -> int:
    """How many steps there are inside subgraphs, each being counted once."""
    found = definitions.values() if isinstance(definitions, dict) else ()
    return sum(len(one["steps"]) for one in found if isinstance(one, dict) and isinstance(one.get("steps"), dict))


def _read(raw: dict[str, Any]) -> Document:
    """The migrated JSON as a Document. A field that has another form than it should is kept as unknown."""
    problems: list[Problem] = []
    steps = read_steps(raw["steps"], "steps", problems)
    given = raw.get("definitions")
    definitions = read_definitions(given, problems) if isinstance(given, dict) else {}
    if problems:
        raise Refused(problems)
    rest = {name: value for name, value in raw.items() if name not in ("format", "version", "steps", "migrations")}
    if isinstance(given, dict):
        del rest["definitions"]
    targets = rest.get("targets")
    named = isinstance(targets, list) and all(isinstance(one, str) for one in targets)
    return Document(
        steps,
        tuple(rest.pop("targets")) if named else (),
        rest.pop("title") if isinstance(rest.get("title"), str) else "",
        rest.pop("groups") if isinstance(rest.get("groups"), list) else [],
        rest.pop("notes") if isinstance(rest.get("notes"), list) else [],
        raw["migrations"],
        definitions,
        rest,
    )


class _Past:
    """Where a wire from a bypassed step comes from instead: the first of its own inputs with a type that fits."""

    def __init__(self, steps: Mapping[str, Step], off: set[str], defs: Mapping[str, NodeDef]) -> None:
        self.steps, self.off, self.defs = steps, off, defs

    def inputs(self, step: Step) -> dict[str, Any]:
        led: dict[str, Any] = {}
        for name, value in step.inputs.items():
            if isinstance(value, list) and any(isinstance(one, Join) for one in value):
                value = [one for one in map(self.instead, value) if one is not None]
            elif isinstance(value, Join):
                value = self.instead(value)
            led[name] = value
        return led

    def instead(self, value: Any) -> Any:
        """A join that ends at a step that runs; None when there is none."""
        been: set[Join] = set()
        while isinstance(value, Join) and value.step in self.off and value not in been:
            been.add(value)
            value = next(self.candidates(value), None)
        return None if isinstance(value, Join) and value.step in self.off else value

    def candidates(self, join: Join) -> Iterator[Join]:
        step = self.steps[join.step]
        found = self.defs.get(step.kind)
        output = found.output_named(join.output) if found else None
        for wire in found.wires if found and output else ():
            if output is not None and fits(wire.type, output.type):
                yield from joins(step.inputs.get(wire.name))


def _needing(steps: Mapping[str, Step], muted: set[str]) -> set[str]:
    """The muted steps and all that are joined to them, however far down."""
    readers: dict[str, list[str]] = {}
    for id, step in steps.items() if muted else ():
        for value in step.inputs.values():
            for join in joins(value):
                readers.setdefault(join.step, []).append(id)
    gone, work = set(muted), list(muted)
    while work:
        for reader in readers.get(work.pop(), ()):
            if reader not in gone:
                gone.add(reader)
                work.append(reader)
    return gone
