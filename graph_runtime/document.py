"""The saved workflow: what runs (`Graph`), and how it lies on the canvas.

    {"format": "latentloom", "version": 1, "migrations": [], "title": "Cats",
     "steps": {"mix": {"kind": "core/mix", "version": 1, "inputs": {"a": {"join": ["img", "image"]}, "amount": 0.5},
                       "position": [120, 40], "title": "Half", "note": "", "mode": "on"}},
     "targets": [], "groups": [{"title": "Prompt", …}], "notes": [{"text": "try 0.3", …}]}

Whatever else is in there belongs to the editor, to a pack or to a newer program, and comes out again as it went in; so
do nodes nobody knows, with their values and wires. Opening never installs, loads or runs anything.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graph_runtime.document_migrations import MIGRATIONS, Migration, migrate
from graph_runtime.graph import Graph, Join, Step, input_from_json, input_to_json, joins
from graph_runtime.jsontext import check_json, read_json
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import fits
from graph_runtime.validate import MAX_STEPS, validate

FORMAT = "latentloom"
VERSION = 1

Mode = Literal["on", "muted", "bypassed"]
_MODES: tuple[Mode, ...] = ("on", "muted", "bypassed")


@dataclass(slots=True)
class DocumentStep:
    """A step as it was saved.

    version   of its kind when it was saved; 0 if nobody said
    position  of its upper left corner on the canvas, in canvas units
    mode      muted: it and what needs it do not run. bypassed: what follows takes what goes in instead of what comes
    out extra     what this program does not know, kept
    """

    kind: str
    inputs: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    position: tuple[float, float] | None = None
    title: str = ""
    note: str = ""
    mode: Mode = "on"
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"kind": self.kind}
        if self.version:
            data["version"] = self.version
        data["inputs"] = {name: input_to_json(value) for name, value in self.inputs.items()}
        if self.position is not None:
            data["position"] = list(self.position)
        for name, value, usual in (("title", self.title, ""), ("note", self.note, ""), ("mode", self.mode, "on")):
            if value != usual:
                data[name] = value
        return data | self.extra


@dataclass(slots=True)
class Document:
    """A saved workflow, migrated to what this program understands."""

    steps: dict[str, DocumentStep] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    title: str = ""
    groups: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
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
        return data | self.extra

    def graph(self, defs: Mapping[str, NodeDef] | None = None) -> Graph:
        """What runs: without the muted steps and all that needs them, and with wires led past the bypassed ones.

        `defs` are needed to lead a wire past a step; one that fits nothing that goes in is left open.
        """
        steps = {id: Step(step.kind, dict(step.inputs)) for id, step in self.steps.items()}
        off = {id for id, step in self.steps.items() if step.mode == "bypassed"}
        if off:
            past = _Past(steps, off, defs or {})
            steps = {id: Step(one.kind, past.inputs(one)) for id, one in steps.items() if id not in off}
        gone = _needing(steps, {id for id, step in self.steps.items() if step.mode == "muted"})
        steps = {id: one for id, one in steps.items() if id not in gone}
        return Graph(steps, tuple(id for id in self.targets if id not in gone and id not in off))


def open_document(
    data: bytes | str | Mapping[str, Any], defs: Mapping[str, NodeDef], migrations: Iterable[Migration] = MIGRATIONS
) -> tuple[Document, list[Problem]]:
    """The document, and what `validate` says of its graph.

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
    return document, validate(document.graph(defs), defs)


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
    if len(raw["steps"]) > MAX_STEPS:
        what = f"it has {len(raw['steps']):,} steps; at most {MAX_STEPS:,} are read."
        raise refuse("too-many-steps", what, "Split it.")


def _read(raw: dict[str, Any]) -> Document:
    """The migrated JSON as a Document. A field that has another form than it should is kept as unknown."""
    problems: list[Problem] = []
    steps: dict[str, DocumentStep] = {}
    for id, one in raw["steps"].items():
        given = one.get("inputs", {}) if isinstance(one, dict) else None
        if not id or not isinstance(given, dict) or not isinstance(one.get("kind"), str):
            what, fix = "this is not a step.", 'A step has an id and is {"kind": "pack/name", "inputs": {…}}.'
            problems.append(Problem("malformed-document", f"steps.{id}", what, fix))
        else:
            steps[id] = _read_step(one, given)
    if problems:
        raise Refused(problems)
    rest = {name: value for name, value in raw.items() if name not in ("format", "version", "steps", "migrations")}
    targets = rest.get("targets")
    named = isinstance(targets, list) and all(isinstance(one, str) for one in targets)
    return Document(
        steps,
        tuple(rest.pop("targets")) if named else (),
        rest.pop("title") if isinstance(rest.get("title"), str) else "",
        rest.pop("groups") if isinstance(rest.get("groups"), list) else [],
        rest.pop("notes") if isinstance(rest.get("notes"), list) else [],
        raw["migrations"],
        rest,
    )


def _read_step(one: dict[str, Any], given: dict[str, Any]) -> DocumentStep:
    rest = {name: value for name, value in one.items() if name not in ("kind", "inputs")}
    step = DocumentStep(one["kind"], {name: input_from_json(value) for name, value in given.items()})
    if type(rest.get("version")) is int and rest["version"] > 0:
        step.version = rest.pop("version")
    place = rest.get("position")
    if (
        isinstance(place, list)
        and len(place) == 2
        and all(type(at) in (int, float) and math.isfinite(at) for at in place)
    ):
        x, y = rest.pop("position")
        step.position = (x, y)
    if isinstance(rest.get("title"), str):
        step.title = rest.pop("title")
    if isinstance(rest.get("note"), str):
        step.note = rest.pop("note")
    if rest.get("mode") in _MODES:
        step.mode = rest.pop("mode")
    step.extra = rest
    return step


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
