"""One run under way: the tasks' way from asked to settled. See `graph_runtime.executor` for the whole picture."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Event as Flag
from types import TracebackType
from typing import TYPE_CHECKING, Any

from graph_runtime.call import calls, check_outputs, outputs_of, together
from graph_runtime.context import Context
from graph_runtime.events import Event, Failed, Finished, Log, Preview, Progress, Reused, Skipped, Started
from graph_runtime.expansion import Inner, expand
from graph_runtime.graph import Expansion
from graph_runtime.previews import Previews
from graph_runtime.problem import Cancelled, Problem, Refused
from graph_runtime.task import DONE, Scope, State, Task, gather, tasks_of
from graph_runtime.values import summary

if TYPE_CHECKING:
    from graph_runtime.executor import Executor

_MOST_TRACEBACK = 20_000


class Running:
    """A run: which task answers which key, what went wrong, and what is being called now. Nodes' news come in here."""

    def __init__(
        self,
        executor: Executor,
        run: str,
        emit: Callable[[Event], None],
        cancelled: Flag,
        document: Mapping[str, Any] | None,
    ) -> None:
        self.defs, self.cache, self.executor = executor.defs, executor.cache, executor
        self.run, self.emit, self.cancelled, self.document = run, emit, cancelled, document
        self.by_key: dict[str, Task] = {}
        self.problems: list[Problem] = []
        self.current = ""
        self.expansions: dict[str, int] = {}
        self.previews = Previews(
            lambda step, image: emit(Preview(run, step, image)), lambda step, text: emit(Log(run, step, text))
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.previews.__exit__(kind, error, trace)

    def targets(self, scope: Scope, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Settle the targets and all they need; the outputs of those that were reached."""
        tasks = {id: scope.task(id, self.defs) for id in ids}
        self.plan(tasks.values())
        self.settle(tasks.values())
        return {id: task.outputs for id, task in tasks.items() if task.outputs is not None}

    def plan(self, tasks: Iterable[Task]) -> None:
        """Count who wants what, from these tasks backwards as far as memory does not know the answer."""
        work = list(tasks)
        for task in work:
            task.wanted += 1
        work.reverse()
        reused: list[str] = []
        while work:
            task = work.pop()
            if task.planned:
                continue
            task.planned = True
            first = self.by_key.setdefault(task.key, task)
            if first is not task and not (first.state is State.DONE and first.outputs is None):
                task.twin = first
                first.wanted += 1
                work.append(first)
                continue
            self.by_key[task.key] = task
            outputs = None if task.volatile else self.cache.recall(task.key)
            if outputs is not None:
                task.state, task.outputs = State.DONE, outputs
                reused.append(task.label)
                continue
            task.scope.link(task, self.defs)
            for source in reversed(task.feeds):
                source.wanted += 1
                if not source.planned:
                    work.append(source)
        if reused:
            self.emit(Reused(self.run, tuple(reused), "memory"))

    def settle(self, tasks: Iterable[Task]) -> None:
        """Work off the stack until these tasks are settled. Raises Cancelled."""
        for target in tasks:
            stack = [target]
            while stack:
                if self.cancelled.is_set():
                    raise Cancelled
                task = stack[-1]
                before = None if task.state >= DONE else self.advance(task)
                if before is not None:
                    stack.append(before)
                else:
                    stack.pop()

    def advance(self, task: Task) -> Task | None:
        """Move a task along; the task that must be settled first, or None when this one is settled."""
        if task.state is State.NEW:
            task.state = State.ASKED
            if self.on_disk(task):
                return None
            task.waits = [task.twin] if task.twin is not None else task.eager()
        while task.state < DONE:
            if task.at < len(task.waits):
                before = self.waiting(task)
                if before is not None or task.state >= DONE:
                    return before
            if task.state is State.EXPANDED:
                self.collect(task)
            elif task.twin is not None:
                self.share(task, task.twin)
            elif not self.more_wanted(task):
                self.call(task)
        return None

    def waiting(self, task: Task) -> Task | None:
        """The next task this one waits for; skips the task if one of them came to nothing."""
        while task.at < len(task.waits):
            before = task.waits[task.at]
            if before.state < DONE:
                if before.state is State.NEW:
                    return before
                self.fail(task, [_endless(task)])  # only a twin further up can be under way: it waits for itself
                return None
            task.at += 1
            if before.state is not State.DONE:
                task.because = task.because or before.because or before.label
                if task.state is not State.EXPANDED:  # inside an expansion the other steps still run
                    break
        if task.because and (task.state is not State.EXPANDED or task.at == len(task.waits)):
            self.emit(Skipped(self.run, task.label, task.because))
            self.settled(task, State.SKIPPED)
        return None

    def on_disk(self, task: Task) -> bool:
        if task.volatile or task.twin is not None or self.cache.disk is None:
            return False
        hit = self.cache.get(task.key, {one.key for one in task.feeds})
        if hit is None:
            return False
        task.outputs = hit.outputs
        self.emit(Reused(self.run, (task.label,), hit.tier))
        self.settled(task, State.DONE)
        return True

    def share(self, task: Task, twin: Task) -> None:
        task.outputs, task.volatile = twin.outputs, task.volatile or twin.volatile
        self.emit(Reused(self.run, (task.label,), "run"))
        self.settled(task, State.DONE)

    def more_wanted(self, task: Task) -> bool:
        """Ask the node which lazy wires it wants as well, and wait for those; False when it has all it wants."""
        node = task.node
        if not node.lazy:
            return False
        sources = task.sources or {}
        lazy = (node.lazy & sources.keys()) - task.granted
        if not lazy:
            return False
        try:
            known = gather(task)
            each = calls(known)
            named = {
                name
                for one in ([known] if each is None else each)
                for name in (node.needs(one) if node.needs else lazy)
            }
        except Exception as error:
            self.raised(task, error, {})
            return True
        new = [wire.name for wire in node.wires if wire.name in lazy & named]
        task.granted |= set(new)
        task.waits = [*task.waits[: task.at], *(one for name in new for one in tasks_of(sources[name]))]
        return bool(new)

    def call(self, task: Task) -> None:
        """Call the node, once or over many; afterwards the task is done, expanded or failed."""
        self.current = task.label
        self.emit(Started(self.run, task.label))
        if self.executor.peak_bytes is not None:
            self.executor.peak_bytes()
        task.began = time.perf_counter()
        arguments: dict[str, Any] = {}
        try:
            arguments = gather(task)
            each = calls(arguments)
            if each is None:
                parts = [self.part(task, None, arguments)]
            else:
                parts = [self.part(task, index, one) for index, one in enumerate(each)]
        except (Exception, SystemExit) as error:
            self.raised(task, error, arguments)
            return
        task.mapped = each is not None
        inner = [part for part in parts if type(part) is Inner]
        if not inner:
            self.done(task, together(task.node, parts) if task.mapped else parts[0])
            return
        task.parts = parts
        task.waits, task.at = [one for part in inner for one in part.tasks], 0
        self.plan(task.waits)
        task.made_from, task.volatile = self.origins(task)
        self.let_go(task.cut())  # what is inside holds what it needs of these
        task.state = State.EXPANDED

    def part(self, task: Task, index: int | None, arguments: dict[str, Any]) -> Any:
        """What one call gave: outputs, or an expansion under way. `index` tells which of many it is."""
        returned = self.call_once(task, arguments)
        if type(returned) is Expansion:
            return expand(self, task, index, returned, arguments)
        return outputs_of(task.node, returned, task.label)

    def call_once(self, task: Task, arguments: dict[str, Any]) -> Any:
        node = task.node
        if node.function is None:
            raise Refused(
                Problem("no-function", task.label, f"{node.kind} cannot run here.", "Run it in a worker.", task.label)
            )
        given = arguments
        if node.lazy:
            given = dict.fromkeys(node.lazy) | given
        if node.context:
            context = Context(self.run, task.label, self, self.executor.services, self.cancelled, self.document)
            given = {**given, node.context: context}
        recover = self.executor.recover
        try:
            return node.function(**given)
        except (Exception, SystemExit) as error:
            if recover is None or not recover(error, task.label, False):
                raise
            _forget_frames(error)
        finally:
            task.dear = task.dear or (bool(node.context) and context.used_model)
        try:
            return node.function(**given)
        except (Exception, SystemExit) as error:
            recover(error, task.label, True)
            raise

    def collect(self, task: Task) -> None:
        """All that the expansions wanted is there: take the outputs."""
        parts = [part.outputs_now() if isinstance(part, Inner) else part for part in task.parts]
        try:
            for part in parts:
                check_outputs(task.node, part, task.label)
        except Refused as refused:
            self.raised(task, refused, {})
            return
        task.volatile = task.volatile or any(one.volatile for one in task.waits)
        self.done(task, together(task.node, parts) if task.mapped else parts[0])

    def done(self, task: Task, outputs: dict[str, Any]) -> None:
        seconds = time.perf_counter() - task.began
        task.outputs = outputs
        if task.state is not State.EXPANDED:
            task.made_from, task.volatile = self.origins(task)
        if not task.volatile:
            # An output is kept in any case, so that an equal run in another process finds its whole answer there.
            self.cache.put(task.key, outputs, seconds, task.made_from, dear=task.dear or task.node.output)
        peak = self.executor.peak_bytes() if self.executor.peak_bytes is not None else 0
        self.previews.drop(task.label)
        self.emit(Finished(self.run, task.label, seconds, peak, {name: summary(one) for name, one in outputs.items()}))
        self.settled(task, State.DONE)

    def origins(self, task: Task) -> tuple[frozenset[str], bool]:
        """The keys a task was made from, and whether something impure is among them."""
        feeds = task.feeds
        return frozenset([one.key for one in feeds]), task.volatile or True in [one.volatile for one in feeds]

    def raised(self, task: Task, error: BaseException, arguments: Mapping[str, Any]) -> None:
        """A node's exception becomes the task's failure."""
        canvas = task.scope.origin or task.label
        if isinstance(error, Refused):
            problems = [replace(one, step=canvas) for one in error.problems]
        else:
            problems = [_raised(task.label, canvas, task.node.kind, error)]
        here = error.__traceback__
        while here is not None and here.tb_frame.f_globals.get("__name__") == __name__ and here.tb_next is not None:
            here = here.tb_next  # how the node came to be called is not its author's concern
        text = "".join(traceback.format_exception(type(error), error, here))[-_MOST_TRACEBACK:]
        self.fail(task, problems, {name: summary(one) for name, one in arguments.items()}, text)
        _forget_frames(error)

    def fail(
        self, task: Task, problems: list[Problem], inputs: Mapping[str, str] | None = None, traceback: str = ""
    ) -> None:
        self.problems += problems
        self.previews.drop(task.label)
        self.emit(Failed(self.run, task.label, task.node.kind, tuple(problems), dict(inputs or {}), traceback))
        self.settled(task, State.FAILED)

    def settled(self, task: Task, state: State) -> None:
        """The task has its final state and needs its inputs no more."""
        before, task.state = task.state, state
        self.let_go(task.waits if before is State.EXPANDED else task.cut())
        task.waits = task.parts = ()

    def let_go(self, tasks: Iterable[Task]) -> None:
        """One reader less for each of these. What nobody wants is released; if it never ran, so are its inputs."""
        work = list(tasks)
        while work:
            task = work.pop()
            task.wanted -= 1
            if task.wanted:
                continue
            if task.state >= DONE:
                task.outputs = None
            elif task.state is State.NEW and task.planned:
                task.planned = False
                work.extend(task.cut())

    # ── what a node's Context reports ──

    def progress(self, step: str, done: int, total: int, text: str) -> None:
        self.emit(Progress(self.run, step, done, total, text))

    def preview(self, step: str, make: Callable[[], bytes]) -> None:
        self.previews.offer(step, make)

    def log(self, step: str, text: str) -> None:
        self.emit(Log(self.run, step, text))


def _raised(label: str, canvas: str, kind: str, error: BaseException) -> Problem:
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    what = f"{kind} raised {type(error).__name__}: {str(error)[:500]}"
    if out_of_memory:
        fix = "Use a smaller picture or batch, a smaller model, or quantized weights."
        return Problem("out-of-memory", label, what, fix, canvas)
    return Problem("node-failed", label, what, "Change its inputs, or tell the authors of the pack.", canvas)


def _endless(task: Task) -> Problem:
    return Problem(
        "endless", task.label, "to compute it, it would have to be computed first: it expands into itself.",
        "Let the expansion change at least one of its inputs.", task.scope.origin or task.label,
    )  # fmt: skip


def _forget_frames(error: BaseException) -> None:
    """Let go of the locals that a traceback holds: they may be gigabytes."""
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None
