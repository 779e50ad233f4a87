"""Every Problem in a graph, each with its place and its fix, in one walk over the steps.

Looks at steps, joins and plain values against the NodeDefs; loads nothing and calls no node. A problem in a step that
no target needs is reported like any other, but does not stop a run: `blocking` tells those that do. Never raises on a
Graph, whatever values its inputs hold. Linear in steps and joins.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graph_runtime.graph import OUTER, Graph, Join, Step, sources, wanted_steps
from graph_runtime.node_def import KnobDef, NodeDef, Wire
from graph_runtime.problem import Problem
from graph_runtime.sockets import fits
from graph_runtime.values import value_type

MAX_STEPS = 10_000
# Suggestions are dear (each compares with every name there is), so only the first few get them.
_SUGGESTIONS = 20
_SHOWN_OF_A_CYCLE = 12


def validate(graph: Graph, defs: Mapping[str, NodeDef], outer: Mapping[str, str] | None = None) -> list[Problem]:
    """All that is wrong with `graph`, in the order of its steps; empty if it can run.

    outer   for the graph of an Expansion: the wire type of each input of the expanding step
    """
    check = _Check(graph, defs, outer)
    for id, step in graph.steps.items():
        check.step(id, step)
    check.targets(expanding=outer is not None)
    if check.backwards:
        check.problems.extend(_cycles(graph))
    return check.problems


def blocking(graph: Graph, problems: Iterable[Problem], needed: Iterable[str]) -> list[Problem]:
    """The problems that stop a run of the steps in `needed`: theirs, and those of the graph as a whole."""
    held = set(needed)
    return [one for one in problems if not one.step or one.step in held or one.step not in graph.steps]


class _Form(NamedTuple):
    """A NodeDef as the walk asks for it.

    takes   the wire type of each input that takes one value
    plain   knobs for which a value of this very class, from the one number to the other, is certainly right
    """

    inputs: dict[str, Wire | KnobDef]
    takes: dict[str, str]
    plain: dict[str, tuple[type, float, float]]
    required: tuple[str, ...]
    outputs: dict[str, str]

    @classmethod
    def of(cls, one: NodeDef) -> _Form:
        takes = {wire.name: wire.type for wire in one.wires if not wire.many}
        return cls(
            {wire.name: wire for wire in one.wires} | {knob.name: knob for knob in one.knobs},
            takes | {knob.name: knob.wire_type for knob in one.knobs},
            {knob.name: _plain(knob) for knob in one.knobs if knob.type in ("INT", "FLOAT")},
            tuple(wire.name for wire in one.wires if not wire.optional),
            {output.name: output.type for output in one.outputs},
        )


def _plain(knob: KnobDef) -> tuple[type, float, float]:
    least = -sys.float_info.max if knob.min is None else knob.min
    most = sys.float_info.max if knob.max is None else knob.max
    return (int, max(least, -(1 << 64)), min(most, 1 << 64)) if knob.type == "INT" else (float, least, most)


class _Check:
    """One walk: the forms of the kinds met, the steps already passed, and what was wrong."""

    def __init__(self, graph: Graph, defs: Mapping[str, NodeDef], outer: Mapping[str, str] | None) -> None:
        self.graph, self.defs, self.outer = graph, defs, outer
        self.problems: list[Problem] = []
        self.forms: dict[str, _Form | None] = {}
        self.passed: dict[str, _Form | None] = {}
        self.backwards = False  # a join to a step further on: only then can there be a cycle
        self.suggestions = _SUGGESTIONS

    def wrong(self, code: str, step: str, field: str, what: str, fix: str) -> None:
        self.problems.append(Problem(code, f"{step}.{field}" if field else step, what, fix, step, field))

    def form(self, kind: str) -> _Form | None:
        if kind not in self.forms:
            found = self.defs.get(kind)
            self.forms[kind] = None if found is None else _Form.of(found)
        return self.forms[kind]

    def step(self, id: str, step: Step) -> None:
        form = self.form(step.kind)
        if form is None:
            self.unknown_kind(id, step.kind)
            for name, value in step.inputs.items():
                self.input(id, step, None, name, value)
        else:
            takes, plain, passed = form.takes, form.plain, self.passed
            for name, value in step.inputs.items():
                if type(value) is Join:
                    source = passed.get(value[0])
                    if source is not None and source.outputs.get(value[1], "") == takes.get(name):
                        continue
                elif name in plain:
                    cls, least, most = plain[name]
                    if type(value) is cls and least <= value <= most:  # type: ignore[operator]
                        continue
                self.input(id, step, form, name, value)
            for name in form.required:
                if step.inputs.get(name) is None:
                    kind = form.inputs[name].type
                    fix = f"Join an output of type {kind} to it."
                    self.wrong("missing-wire", id, name, f"needs {kind}, and nothing is joined to it.", fix)
        self.passed[id] = form

    def input(self, id: str, step: Step, form: _Form | None, name: str, value: Any) -> None:
        """One input that is not obviously right."""
        if value is None:
            return
        wanted = form.inputs.get(name) if form else None
        if form and wanted is None:
            what = f"{step.kind} has no input called {name!r}."
            self.wrong("unknown-input", id, name, what, self.suggest(name, form.inputs, "Remove it."))
        elif type(value) is Join:
            self.join(id, name, wanted, value)
        elif type(value) is list and any(type(one) is Join for one in value):
            self.several(id, name, wanted, value)
        elif wanted is not None:
            self.value(id, name, wanted, value)

    def join(self, id: str, name: str, wanted: Wire | KnobDef | None, join: Join) -> None:
        given = self.type_given(id, name, join)
        if given is None or wanted is None:
            return
        takes = wanted.type if type(wanted) is Wire else wanted.wire_type  # type: ignore[union-attr]
        if given != takes and not fits(given, takes):
            source = f"{join.step}.{join.output}" if join.step else f"the expanding step's {join.output}"
            self.wrong(
                "wrong-type", id, name, f"takes {takes}, but {source} gives {given}.",
                f"Put a node between them that turns {given} into {takes}.",
            )  # fmt: skip

    def type_given(self, id: str, name: str, join: Join) -> str | None:
        """The type of what a join leads to; None, and a Problem where it is due, when it leads nowhere."""
        if self.outer is not None and join.step == OUTER:
            if join.output in self.outer:
                return self.outer[join.output]
            what = f"is joined to {join.output!r}, which the expanding step was not given."
            self.wrong("unknown-output", id, name, what, self.suggest(join.output, self.outer, "Cut this wire."))
            return None
        source = self.graph.steps.get(join.step)
        if source is None:
            what = f"is joined to {join.step!r}, and there is no such step."
            self.wrong(
                "unknown-step",
                id,
                name,
                what,
                self.suggest(join.step, self.graph.steps, "Cut this wire, or join it elsewhere."),
            )
            return None
        if join.step not in self.passed:
            self.backwards = True
        form = self.form(source.kind)
        if form is None:  # said once, at that step
            return None
        given = form.outputs.get(join.output)
        if given is None:
            what = f"is joined to {join.step}.{join.output}, but {source.kind} has no such output."
            self.wrong(
                "unknown-output", id, name, what, self.suggest(join.output, form.outputs, "It has none: cut this wire.")
            )
        return given

    def several(self, id: str, name: str, wanted: Wire | KnobDef | None, value: Sequence[Any]) -> None:
        if wanted is not None and not (isinstance(wanted, Wire) and wanted.many):
            what = f"takes one value, but {len(value)} are joined to it."
            self.wrong("too-many", id, name, what, "Keep one of them.")
        for one in value:
            if type(one) is Join:
                self.join(id, name, wanted, one)
            elif wanted is not None:
                self.value(id, name, wanted, one)

    def value(self, id: str, name: str, wanted: Wire | KnobDef, value: Any) -> None:
        """A value that is no join."""
        if type(wanted) is Wire:
            given = value_type(value)
            if wanted.many and given == "JSON" and isinstance(value, list):
                for one in value:
                    self.value(id, name, wanted, one)
            elif given != wanted.type and not fits(given, wanted.type):
                what = f"takes {wanted.type}, but {_shown(value)} was given."
                self.wrong("wrong-type", id, name, what, f"Join an output of type {wanted.type} to it.")
            return
        assert isinstance(wanted, KnobDef)
        problem = knob_problem(id, wanted, value)
        if problem is not None:
            self.problems.append(problem)

    def unknown_kind(self, id: str, kind: str) -> None:
        pack = kind.partition("/")[0]
        packs = {known.partition("/")[0] for known in self.defs}
        otherwise = "Remove the step." if pack in packs else f"Install the pack {pack!r}, or remove the step."
        self.wrong("unknown-node", id, "", f"there is no node {kind!r}.", self.suggest(kind, self.defs, otherwise))

    def suggest(self, name: str, known: Iterable[str], otherwise: str) -> str:
        """The names that come close, as the fix."""
        if self.suggestions <= 0:
            return otherwise
        self.suggestions -= 1
        near = difflib.get_close_matches(name[:100], list(known)[:MAX_STEPS], n=3)
        return f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise

    def targets(self, expanding: bool) -> None:
        steps = self.graph.steps
        if OUTER in steps:
            self.problems.append(Problem("bad-id", "graph", "a step's id is empty.", "Give it one."))
        for id in self.graph.targets:
            if id not in steps:
                what = f"{id!r} is wanted, and there is no such step."
                fix = self.suggest(id, steps, "Want a step that is there.")
                self.problems.append(Problem("unknown-target", "targets", what, fix))
        if len(steps) > MAX_STEPS:
            what = f"it has {len(steps):,} steps; at most {MAX_STEPS:,} are run."
            self.problems.append(Problem("too-many-steps", "graph", what, "Split it."))
        if (
            not expanding
            and not wanted_steps(self.graph, self.defs)
            and not any(p.code == "unknown-node" for p in self.problems)
        ):
            what = "no step gives anything to keep."
            self.problems.append(
                Problem("no-output", "graph", what, "Add an output node, for example one that saves a picture.")
            )


def knob_problem(step: str, knob: KnobDef, value: Any) -> Problem | None:
    """Why `value` cannot be this knob's, or None."""
    huge = type(value) is int and abs(value) > 1 << 64
    refusal = "is an integer beyond all bounds" if huge else knob.refuses(value)
    if not refusal:
        return None
    code, fix = "wrong-value", _KNOB_FIX[knob.type]
    if isinstance(value, float) and not math.isfinite(value):
        code = "not-finite"
    elif knob.type == "CHOICE":
        code = "unknown-choice"
        near = difflib.get_close_matches(str(value)[:100], [str(one) for one in knob.choices], n=3)
        fix = f"Did you mean {' or '.join(map(repr, near))}?" if near else fix
    elif isinstance(value, (int, float)) and knob.type in ("INT", "FLOAT") and not isinstance(value, bool):
        outside = (knob.min is not None and value < knob.min) or (knob.max is not None and value > knob.max)
        code, fix = ("out-of-range", _range(knob)) if outside else (code, fix)
    return Problem(code, f"{step}.{knob.name}", _shortened(refusal) + ".", fix, step, knob.name)


_KNOB_FIX = {
    "INT": "Give a whole number.",
    "FLOAT": "Give a finite number.",
    "STRING": "Give a text.",
    "BOOLEAN": "Give true or false.",
    "CHOICE": "Choose one of them.",
    "FILE": "Give the name of a file.",
    "FLOATS": "Give a list of finite numbers.",
}


def _range(knob: KnobDef) -> str:
    if knob.min is None or knob.max is None:
        return f"Give at least {knob.min:g}." if knob.min is not None else f"Give at most {knob.max:g}."
    return f"Give a number from {knob.min:g} to {knob.max:g}."


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _shown(value: Any) -> str:
    """A value in a message: its type, and what it is if that is short."""
    return (
        f"{value_type(value)} {_shortened(repr(value), 60)}" if type(value) in (bool, float, str) else value_type(value)
    )


def _cycles(graph: Graph, most: int = 10) -> list[Problem]:
    """One Problem for each way that steps wait for themselves, up to `most`: p → q → p, each arrow "waits for"."""
    problems: list[Problem] = []
    done: set[str] = set()
    for start in graph.steps:
        if start in done or len(problems) >= most:
            continue
        trail: dict[str, Iterator[str]] = {start: sources(graph.steps[start])}
        while trail:
            id = next(reversed(trail))
            for source in trail[id]:
                if source in trail and len(problems) < most:
                    names = list(trail)
                    problems.append(_cycle(names[names.index(source) :]))
                elif source not in done and source not in trail and source in graph.steps:
                    trail[source] = sources(graph.steps[source])
                    break
            else:
                done.add(id)
                del trail[id]
    return problems


def _cycle(names: list[str]) -> Problem:
    shown, first = names[:_SHOWN_OF_A_CYCLE], names[0]
    left_out = [f"… ({len(names) - len(shown):,} more)"] if len(names) > len(shown) else []
    path = " → ".join((*shown, *left_out, first))
    return Problem(
        "cycle", first, f"these steps wait for each other: {path}.", "Cut one of the wires between them.", first
    )
