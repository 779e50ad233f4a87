"""Nodes that go wrong in every way a node can, for the tests of workers."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Annotated

from graph_runtime.context import Context, Plan
from graph_runtime.node import Knob, node
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import socket


@socket("SAVED")
@dataclass(frozen=True)
class Saved:
    paths: tuple[str, ...]
    kind: str = "output"
    media: str = "text"

    def fresh(self) -> bool:
        return all(os.path.isfile(path) for path in self.paths)

    def to_parts(self) -> tuple[dict[str, object], dict[str, object]]:
        return {"paths": list(self.paths)}, {}

    @classmethod
    def from_parts(cls, facts: dict[str, list[str]], tensors: object) -> Saved:
        return cls(tuple(facts["paths"]))


@node("faults/add", output=True)
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@node("faults/save", output=True)
def save(text: str, *, ctx: Context, name: str = "text") -> Saved:
    """Write a text."""
    time.sleep(0.03)
    path = ctx.save(name, ".txt", lambda stream: stream.write(text.encode()))
    return Saved((str(path),))


@node("faults/slow_text")
def slow_text(*, text: str = "x") -> str:
    """A text that takes its time."""
    time.sleep(0.05)
    return text


@node("faults/raises", output=True)
def raises(*, text: str = "") -> int:
    """Raise."""
    raise RuntimeError(f"no, {text}")


@node("faults/refuses", output=True)
def refuses() -> int:
    """Refuse."""
    raise Refused(Problem("too-much", "refuses", "this is too much.", "Take less."))


@node("faults/news", output=True)
def news(ctx: Context, *, count: int = 3) -> int:
    """Progress, a log line and a picture."""
    ctx.log("begin")
    for number in range(count):
        ctx.progress(number + 1, count, "going")
        ctx.preview(lambda: b"\xff\xd8\xff" + bytes(range(256)))
    time.sleep(0.2)
    return count


@node("faults/polite", output=True)
def polite(ctx: Context, after: int | None = None) -> int:
    """Take for ever, but stop when asked to."""
    while True:
        ctx.check()
        time.sleep(0.01)


@node("faults/prints", output=True)
def prints() -> int:
    """Print on everything there is to print on."""
    print("printed")
    os.write(1, b"\x00\x00\x00\x05written past Python")
    subprocess.run([sys.executable, "-c", "print('a child prints', input() if 0 else '')"], check=True)
    return 1


@node("faults/exits", output=True)
def exits(*, code: int = 3) -> int:
    """End the process."""
    os._exit(code)


@node("faults/segfaults", output=True)
def segfaults() -> int:
    """Read from nowhere."""
    return int(ctypes.string_at(8)[0])


@node("faults/killed", output=True)
def killed() -> int:
    """Die as when the machine is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return 1


@node("faults/sleeps", output=True)
def sleeps(after: int | None = None, *, ignores_term: bool = False) -> int:
    """Sleep for ever and look at nothing."""
    if ignores_term:
        ctypes.CDLL(None).signal(signal.SIGTERM, 1)
    while True:
        time.sleep(3600)


@node("faults/holds", output=True)
def holds(*, length: Annotated[int, Knob(min=1)] = 64) -> int:
    """Hang in C without letting any other thread run."""
    return len(re.findall(r"(a+)+$", "a" * length + "b"))


@node("faults/leaves_a_child", output=True)
def leaves_a_child() -> int:
    """End the process, but leave a child that holds its pipes open."""
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    os._exit(9)


@node("faults/garbage", output=True)
def garbage() -> int:
    """Write nonsense on every descriptor there is."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue
    time.sleep(60)
    return 1


@node("faults/chatters", output=True)
def chatters(ctx: Context, *, count: int = 20000) -> int:
    """Say very much."""
    for number in range(count):
        ctx.log(str(number))
    ctx.log("x" * 1_000_000)
    return count


@node("faults/once_out_of_memory", output=True)
def once_out_of_memory(ctx: Context, *, always: bool = False) -> int:
    """Run out of memory the first time."""
    with ctx.use(Weights("flux", 1000)) as seen:
        seen.append(1)
        if always or len(Weights.loads) == 1:
            raise MemoryError("Tried to allocate 2.00 GiB")
        return len(Weights.loads)


@node("faults/uses")
def uses(ctx: Context, *, number: int = 1) -> int:
    """Use a model, quickly."""
    with ctx.use(Weights("clip", 10)):
        return number


class Weights:
    """A recipe of nothing, which counts its loads."""

    loads: list[str] = []  # noqa: RUF012 - what it is for

    def __init__(self, title: str, count: int) -> None:
        self.title, self.count = title, count
        self.value: list[int] = []

    def key(self) -> str:
        return self.title

    def nbytes(self) -> int:
        return self.count

    def load(self, device: str, plan: Plan) -> Held:
        self.loads.append(plan.name)
        return Held(self.count)


class Held:
    def __init__(self, count: int) -> None:
        self.value: list[int] = []
        self.nbytes = count

    def move(self, device: str) -> None:
        pass

    def close(self) -> None:
        self.nbytes = 0
