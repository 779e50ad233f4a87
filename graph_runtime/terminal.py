"""How things look in a terminal: a run as it goes, problems, the palette, a checkpoint, the doctor's findings.

Results go to standard output, so that they can be piped; progress and problems to standard error. Text that came from a
workflow, a file or a pack is stripped of control characters. Knows nothing of how any of it came to be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from graph_runtime import events
from graph_runtime.doctor import Finding
from graph_runtime.problem import Problem
from graph_runtime.residency import size

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(text: object) -> str:
    """Text that cannot steer the terminal."""
    return _CONTROL.sub("�", str(text))


def out(text: str = "") -> None:
    """One line of the result."""
    sys.stdout.write(plain(text) + "\n")


def say(text: str) -> None:
    """One line beside the result."""
    sys.stderr.write(plain(text) + "\n")


def say_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        say(str(problem))


class Watch:
    """Shows a run on standard error: a bar with what is left where that is a terminal, else a line for each step."""

    def __init__(self, titles: Mapping[str, str], quiet: bool = False) -> None:
        """`titles`: what to call each step."""
        self.titles, self.quiet = titles, quiet
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal and not quiet
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.live,
            transient=True,
        )
        self.whole: TaskID | None = None
        self.parts: dict[str, TaskID] = {}

    def __enter__(self) -> Watch:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def title(self, step: str) -> str:
        canvas, mark, inner = step.partition("#")
        return plain(self.titles.get(canvas, canvas) + mark + inner)

    def line(self, text: str) -> None:
        if self.live:
            self.bar.console.print(escape(plain(text)), highlight=False, soft_wrap=True)
        elif not self.quiet:
            say(text)

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self.whole = self.bar.add_task("Steps", total=max(event.steps, 1))
            case events.Progress():
                name = f"{self.title(event.step)} {event.text}".strip()
                if event.step not in self.parts:
                    self.parts[event.step] = self.bar.add_task(escape(name), total=event.total)
                part = self.parts[event.step]
                self.bar.update(part, completed=event.done, total=event.total, description=escape(name))
            case events.Reused():
                self.step_over(*event.steps)
                self.line(f"  reused    {', '.join(map(self.title, event.steps))}")
            case events.Finished():
                self.step_over(event.step)
                self.line(f"  {event.seconds:6.2f} s  {self.title(event.step)}")
            case events.Failed() | events.Skipped():
                self.step_over(event.step)
                word = "failed" if isinstance(event, events.Failed) else "skipped"
                self.line(f"  {word:10}{self.title(event.step)}")
            case events.Log():
                self.line(f"            {self.title(event.step)}: {event.text}")

    def step_over(self, *steps: str) -> None:
        for step in steps:
            if step in self.parts:
                self.bar.remove_task(self.parts.pop(step))
            if self.whole is not None and "#" not in step:
                self.bar.advance(self.whole)


def show_nodes(hello: Mapping[str, Any]) -> None:
    """The palette: packs, their categories, their nodes."""
    by_kind = {one["kind"]: one for one in hello["nodes"]}
    for pack in hello["packs"]:
        out(f"{pack['title'] or pack['name']} ({pack['place']}), {len(pack['nodes'])} nodes")
        category = None
        for kind in pack["nodes"]:
            one = by_kind[kind]
            if one["category"] != category:
                category = one["category"]
                out(f"  {category}")
            marks = "".join(f" [{word}]" for word in ("output", "deprecated", "experimental") if one[word])
            out(f"    {kind:32} {_signature(one)}{marks}")
        out()


def _signature(one: Mapping[str, Any]) -> str:
    takes = ", ".join(f"{wire['name']} {wire['type']}{'?' if wire['optional'] else ''}" for wire in one["wires"])
    knobs = ", ".join(knob["name"] for knob in one["knobs"])
    gives = ", ".join(output["type"] for output in one["outputs"]) or "nothing"
    return f"({takes}{'; ' if takes and knobs else ''}{knobs}) → {gives}"


def show_checkpoint(facts: Mapping[str, Any]) -> None:
    """What `inspect` found in a file."""
    out(f"{facts['path']}: {facts['family'] or 'no known family'} {facts['variant']}".rstrip())
    out(f"  {facts['format']}, {size(facts['bytes'])}" + (f", “{facts['title']}”" if facts["title"] else ""))
    for name, part in facts["parts"].items():
        packing = f" {part['packing']}" if part["packing"] else ""
        count = f"{part['parameters'] / 1e6:,.1f} M parameters in {part['tensors']} tensors"
        out(f"  {name:14} {part['kind']} ({part['layout']}), {part['dtype']}{packing}, {count}, {size(part['bytes'])}")


def show_findings(findings: Iterable[Finding]) -> None:
    """What the doctor found."""
    marks = {"ok": "ok      ", "warning": "warning ", "failed": "FAILED  "}
    for one in findings:
        out(f"{marks[one.state]} {one.name:14} {one.what}")
        if one.fix:
            out(f"{'':24}{one.fix}")
