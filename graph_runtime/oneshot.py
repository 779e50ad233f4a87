"""One workflow, run once: read the file, change what the caller asks for, run it, tell what came of it.

What `latentloom run` does, without its words: `terminal` says how it looks. Knows no node.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graph_runtime.document import Document, open_document
from graph_runtime.document_step import DocumentStep
from graph_runtime.events import Event, Failed, Finished, Reused, RunFinished, Skipped, Status, Wrote
from graph_runtime.graph import Graph, Join, in_order, wanted_steps
from graph_runtime.node_def import KnobDef, NodeDef
from graph_runtime.packs import builtin_file, builtin_hook
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings
from graph_runtime.subgraphs import node_defs
from graph_runtime.validate import blocking, validate
from graph_runtime.workers import WorkerHandle

FILE_BYTES = 256 << 20
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
PICTURES = frozenset({".png", ".webp", ".jpg", ".jpeg", ".avif"})


@dataclass(frozen=True)
class Changes:
    """What the caller wants otherwise than the file says.

    knobs   "step.knob" and the value as it was typed, in the order given
    prompt  for the first knob called prompt, or else the first that takes several lines
    seed    for every seed
    """

    knobs: tuple[tuple[str, str], ...] = ()
    prompt: str | None = None
    seed: int | None = None


@dataclass
class Report:
    """What came of a run, gathered from its events."""

    run: str
    status: Status = "failed"
    seconds: float = 0.0
    files: list[Wrote] = field(default_factory=list)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def add(self, event: Event, kinds: Mapping[str, str]) -> None:
        def note(step: str, state: str, **more: Any) -> None:
            kind = kinds.get(step.partition("#")[0], "")
            self.steps[step] = {"step": step, "kind": kind, "state": state, **more}

        match event:
            case Finished():
                note(event.step, "computed", seconds=round(event.seconds, 4), outputs=event.outputs)
            case Reused():
                for step in event.steps:
                    note(step, "reused", tier=event.tier)
            case Failed():
                note(event.step, "failed", traceback=event.traceback)
            case Skipped():
                note(event.step, "skipped", because=event.because)
            case Wrote():
                self.files.append(event)
            case RunFinished():
                self.status, self.seconds, self.problems = event.status, event.seconds, event.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "status": self.status,
            "seconds": round(self.seconds, 4),
            "files": [
                {"step": one.step, "kind": one.kind, "media": one.media, "path": path}
                for one in self.files
                for path in one.paths
            ],
            "steps": list(self.steps.values()),
            "problems": [problem.as_json() for problem in self.problems],
        }


@dataclass(frozen=True)
class Prepared:
    """A workflow that can run. `problems` are in steps that nothing needs."""

    document: Document
    graph: Graph
    problems: tuple[Problem, ...] = ()

    @property
    def kinds(self) -> dict[str, str]:
        return {id: step.kind for id, step in self.graph.steps.items()}


def starter(settings: Settings) -> Path:
    """The workflow that comes with the built-in nodes. Raises Refused if they are not there."""
    path = builtin_file(settings, "workflow", "starter")
    if path is None:
        raise Refused(Problem("no-starter", "starter", "no pack brings a workflow.", "Name a workflow file."))
    return path


def read_source(path: Path, settings: Settings) -> bytes | dict[str, Any]:
    """What a workflow file holds, or the workflow in a picture. Raises Refused when there is none."""
    try:
        if path.stat().st_size > FILE_BYTES:
            fix = "Name a workflow, or a picture saved with one."
            raise Refused(Problem("too-large", str(path), "no workflow is that large.", fix))
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Refused(Problem("no-file", str(path), f"it cannot be read: {reason}.", "Correct the path.")) from None
    if path.suffix.lower() not in PICTURES and data.lstrip()[:1] in (b"{", b"\xef"):
        return data
    read = builtin_hook(settings, "read_workflow")
    try:
        found = read(data) if read else None
    except Refused:
        found = None
    if found is None:
        what = "there is no workflow in it."
        raise Refused(Problem("no-workflow", str(path), what, "Name a workflow's JSON, or a picture saved with one."))
    return dict(found)


def prepare(source: bytes | Mapping[str, Any], defs: Mapping[str, NodeDef], changes: Changes, place: str) -> Prepared:
    """The workflow with the changes made. Raises Refused with everything that stops it, `place` being its file."""
    try:
        document, _ = open_document(source, defs)
    except Refused as refused:
        there = (replace(one, place=re.sub("^document", lambda _: place, one.place)) for one in refused.problems)
        raise Refused(there) from None
    problems = change(document, defs, changes)
    graph = document.graph(defs)
    found = validate(graph, defs)
    wanted = wanted_steps(graph, defs)
    if not wanted:
        what = "nothing in it is an output, so there is nothing to run."
        problems += [*found, Problem("no-output", place, what, "Add a node that saves or shows something.")]
    stopping = blocking(graph, found, in_order(graph, wanted))
    if problems or stopping:
        raise Refused(problems or stopping)
    return Prepared(document, graph, tuple(found))


def run(
    worker: WorkerHandle,
    prepared: Prepared,
    watch: Callable[[Event], None] = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Report:
    """Run it to its end, each event going to `watch`. Ctrl-C cancels the run; at once, if `interrupted` says True."""
    report = Report(f"run-{uuid.uuid4().hex[:12]}")
    worker.start(report.run, prepared.graph, prepared.document.to_json())
    while True:
        try:
            for event in worker.events():
                report.add(event, prepared.kinds)
                watch(event)
            return report
        except KeyboardInterrupt:
            if interrupted():
                worker.kill()
            else:
                worker.cancel(report.run)


def change(document: Document, defs: Mapping[str, NodeDef], changes: Changes) -> list[Problem]:
    """Make the changes in the document; what could not be made. Seeds inside subgraphs are set too."""
    problems: list[Problem] = []
    defs = {**defs, **node_defs(document.definitions, defs)}
    if changes.prompt is not None:
        problems += _set_prompt(document, defs, changes.prompt)
    if changes.seed is not None:
        problems += _set_seeds(document, defs, changes.seed)
    for place, text in changes.knobs:
        problems += _set_knob(document, defs, place, text)
    return problems


def _knobs(document: Document, defs: Mapping[str, NodeDef]) -> Iterable[tuple[DocumentStep, KnobDef]]:
    """The knobs of all steps that are not fed by a wire, those inside subgraphs last."""
    boards = [document.steps, *(one.steps for one in document.definitions.values())]
    for step in (step for steps in boards for step in steps.values()):
        for knob in defs[step.kind].knobs if step.kind in defs else ():
            if not isinstance(step.inputs.get(knob.name), Join):
                yield step, knob


def _set_prompt(document: Document, defs: Mapping[str, NodeDef], text: str) -> list[Problem]:
    texts = [(step, knob) for step, knob in _knobs(document, defs) if knob.type == "STRING"]
    named = [one for one in texts if one[1].name == "prompt"] or [one for one in texts if one[1].multiline]
    if not named:
        what = "no step of this workflow takes a prompt."
        return [Problem("no-prompt", "--prompt", what, "Name the knob with --set step.knob=text.")]
    step, knob = named[0]
    step.inputs[knob.name] = text
    return []


def _set_seeds(document: Document, defs: Mapping[str, NodeDef], seed: int) -> list[Problem]:
    found = [(step, knob) for step, knob in _knobs(document, defs) if knob.seed]
    for step, knob in found:
        step.inputs[knob.name] = seed
    if found:
        return []
    return [Problem("no-seed", "--seed", "no step of this workflow takes a seed.", "Leave it out.")]


def _set_knob(document: Document, defs: Mapping[str, NodeDef], place: str, text: str) -> list[Problem]:
    said = f"--set {place}"
    id, _, name = place.rpartition(".")
    step = document.steps.get(id)
    if step is None:
        what = f"there is no step {id!r} in this workflow."
        return [Problem("no-step", said, what, _near("Steps are", id, document.steps))]
    found = defs.get(step.kind)
    if found is None:
        return [Problem("unknown-kind", said, f"nobody knows {step.kind}.", "Install the pack it comes from.")]
    one = found.input(name)
    if one is None:
        names = [knob.name for knob in found.knobs] + [wire.name for wire in found.wires]
        return [Problem("no-input", said, f"{step.kind} has no {name!r}.", _near("It has", name, names))]
    try:
        step.inputs[name] = typed(text, one.type)
    except ValueError:
        what = f"{text[:80]!r} is no {one.type}."
        return [Problem("wrong-type", said, what, "Write a value of that type.")]
    return []


def typed(text: str, type: str) -> Any:
    """What was typed, as a value of a wire's or knob's type. Raises ValueError if it is none."""
    match type:
        case "INT":
            return int(text)
        case "FLOAT":
            value = float(text)
            if not math.isfinite(value):
                raise ValueError(text)
            return value
        case "BOOLEAN":
            if text.lower() not in (*YES, *NO):
                raise ValueError(text)
            return text.lower() in YES
        case "FLOATS":
            return [float(part) for part in text.replace(",", " ").split()]
        case "FILE":
            return str(Path(text).absolute()) if Path(text).exists() else text
        case "STRING" | "CHOICE":
            return text
        case _:
            return json.loads(text)


def _near(words: str, name: str, names: Iterable[str]) -> str:
    there = list(names)
    close = difflib.get_close_matches(name, there, 1)
    return f"Did you mean {close[0]}?" if close else f"{words}: {', '.join(there[:20])}."
