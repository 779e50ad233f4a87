"""What has been renamed or reshaped since a workflow was saved, by name.

A document lists the names of the migrations it has been through, so that each is applied once, in the order of the
table, whatever program versions the document met on its way. A pack may bring its own for its own kinds. They work
on the plain JSON, before anything is understood of it, and leave alone what they do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Migration(Protocol):
    """A change to documents, known by its name for ever."""

    @property
    def name(self) -> str: ...

    def apply(self, document: dict[str, Any]) -> None:
        """Change the plain JSON in place. Documents that do not need it stay as they are."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A kind of node, its inputs or outputs are called something else.

    kind     what it was called
    to       what it is called now; "" if that has not changed
    inputs   wires and knobs, old name → new
    outputs  old name → new
    values   of a knob, by its new name: old value → new
    """

    name: str
    kind: str
    to: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def apply(self, document: dict[str, Any]) -> None:
        self._board(document["steps"])
        for one in definitions_in(document):
            touched = self._board(one["steps"])
            for side, names in (("inputs", self.inputs), ("outputs", self.outputs)):
                for end in ends_in(one.get(side)):
                    if end[0] in touched:
                        end[1] = _renamed_end(end[1], names)

    def _board(self, steps: dict[str, Any]) -> set[str]:
        touched = {id for id, step in steps.items() if isinstance(step, dict) and step.get("kind") == self.kind}
        for id in touched:
            self._step(steps[id])
        if self.outputs:
            for join in joins_in(steps):
                if join[0] in touched:
                    join[1] = self.outputs.get(join[1], join[1])
        return touched

    def _step(self, step: dict[str, Any]) -> None:
        step["kind"] = self.to or self.kind
        given = step.get("inputs")
        if not isinstance(given, dict):
            return
        taken = set(given) - set(self.inputs)
        renamed = {old: new for old, new in self.inputs.items() if new not in taken}
        step["inputs"] = {renamed.get(name, name): value for name, value in given.items()}
        for kept in ("after", "reroutes"):  # what the editor keeps by the names of inputs
            if isinstance(step.get(kept), dict):
                step[kept] = {_renamed_end(name, renamed): value for name, value in step[kept].items()}
        if isinstance(step.get("exposed"), list):
            step["exposed"] = [renamed.get(one, one) if isinstance(one, str) else one for one in step["exposed"]]
        for name, table in self.values.items():
            value = step["inputs"].get(name)
            if isinstance(value, str):
                step["inputs"][name] = table.get(value, value)


@dataclass(frozen=True, slots=True)
class Reshaped:
    """Any other change, as a function of the plain JSON."""

    name: str
    change: Callable[[dict[str, Any]], None]

    def apply(self, document: dict[str, Any]) -> None:
        self.change(document)


# In the order they were invented; never remove or rename one.
MIGRATIONS: tuple[Migration, ...] = (
    # Text encoders of every family are loaded by one node, so its files are no longer called by Flux.1's encoders.
    Renamed("text-encoder-files", "core/load_text_encoder", inputs={"clip": "file", "t5": "second_file"}),
)


def migrate(document: dict[str, Any], migrations: Iterable[Migration]) -> list[str]:
    """Apply what the document has not been through, in place; the names of those. It then lists them all."""
    listed = document.get("migrations")
    been = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    applied: list[str] = []
    for migration in migrations:
        if migration.name not in been:
            migration.apply(document)
            applied.append(migration.name)
    document["migrations"] = [*been, *applied]
    return applied


def joins_in(steps: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Every `[step, output]` pair that steps in plain JSON are joined by, to be changed in place."""
    for step in steps.values():
        given = step.get("inputs") if isinstance(step, dict) else None
        for value in given.values() if isinstance(given, dict) else ():
            for one in value if isinstance(value, list) else [value]:
                pair = one.get("join") if isinstance(one, dict) else None
                if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
                    yield pair


def definitions_in(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The subgraphs of a plain document that have steps."""
    found = document.get("definitions")
    for one in found.values() if isinstance(found, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("steps"), dict):
            yield one


def ends_in(ports: Any) -> Iterator[list[Any]]:
    """Every `[step, input or output]` that ports in plain JSON lead to, to be changed in place."""
    for port in ports if isinstance(ports, list) else ():
        inner = port.get("inner") if isinstance(port, dict) else None
        for end in inner if isinstance(inner, list) else ():
            if isinstance(end, list) and len(end) == 2 and all(isinstance(part, str) for part in end):
                yield end


def _renamed_end(end: str, names: Mapping[str, str]) -> str:
    """An end renamed; "values#2" is a place in the list of `values`."""
    name, mark, place = end.partition("#")
    return names.get(name, name) + mark + place
