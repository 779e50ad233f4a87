"""A step as it was saved: what runs of it, how it lies on the canvas, and whatever else was said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graph_runtime.graph import input_from_json, input_to_json
from graph_runtime.problem import Problem

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


def read_steps(raw: Mapping[str, Any], place: str, problems: list[Problem]) -> dict[str, DocumentStep]:
    """The steps of a board in plain JSON. What is no step goes to `problems`, its place beginning with `place`."""
    steps: dict[str, DocumentStep] = {}
    for id, one in raw.items():
        given = one.get("inputs", {}) if isinstance(one, dict) else None
        if not id or not isinstance(given, dict) or not isinstance(one.get("kind"), str):
            what, fix = "this is not a step.", 'A step has an id and is {"kind": "pack/name", "inputs": {…}}.'
            problems.append(Problem("malformed-document", f"{place}.{id}", what, fix))
        else:
            steps[id] = _read_step(one, given)
    return steps


def _read_step(one: dict[str, Any], given: dict[str, Any]) -> DocumentStep:
    """A field that has another form than it should is kept as unknown."""
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
