"""A run as it goes, in a terminal. In a file of its own because its library takes long to import.

Knows nothing of how the run is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from graph_runtime import events
from graph_runtime.terminal import plain, say


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
