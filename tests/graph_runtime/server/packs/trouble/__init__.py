"""More nodes that misbehave, each in a way that could reach beyond its worker. See also the pack `faults`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import threading
import time
from dataclasses import dataclass

from graph_runtime.context import Context
from graph_runtime.node import node
from graph_runtime.sockets import socket


@socket("TROUBLE")
@dataclass
class Trouble:
    value: object = None

    def __reduce__(self) -> str:
        raise TypeError("this is not for sending")


@socket("TROUBLE_FILES")
@dataclass(frozen=True)
class Files:
    paths: tuple[str, ...]
    kind: str = "output"
    media: str = "text"


@node("trouble/fine", output=True)
def fine(*, number: int = 1) -> int:
    """Do nothing wrong."""
    return number


@node("trouble/sys_exit", output=True)
def sys_exit() -> int:
    """Ask the interpreter to end."""
    sys.exit(7)


@node("trouble/deep", output=True)
def deep() -> int:
    """Recurse until there is no stack."""
    sys.setrecursionlimit(1_000_000)

    def further(depth: int) -> int:
        return further(depth + 1) + 1

    return further(0)


@node("trouble/huge", output=True)
def huge() -> int:
    """Ask for a terabyte."""
    return len(bytearray(1 << 40))


@node("trouble/forks", output=True)
def forks() -> int:
    """Leave children behind."""
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
    return 1


@node("trouble/closes", output=True)
def closes() -> int:
    """Close every descriptor there is."""
    os.closerange(0, 256)
    return 1


@node("trouble/prints_much", output=True)
def prints_much() -> int:
    """Print 8 MB, some of it in one line."""
    for _ in range(1000):
        print("x" * 4000)
    sys.stderr.write("y" * 4_000_000)
    return 1


@node("trouble/wrong_type", output=True)
def wrong_type() -> int:
    """Return something else than was said."""
    return "seven"  # type: ignore[return-value]


@node("trouble/unpicklable", output=True)
def unpicklable() -> Trouble:
    """Return what cannot be sent anywhere."""
    return Trouble(threading.Lock())


@node("trouble/forges", output=True)
def forges() -> int:
    """Say on every descriptor that another run has ended."""
    event = {"type": "run-finished", "run": "another", "status": "succeeded", "seconds": 1, "problems": []}
    text = json.dumps({"type": "event", "event": event}).encode()
    for descriptor in range(3, 30):
        try:
            os.write(descriptor, struct.pack(">II", len(text), 0) + text)
        except OSError:
            continue
    time.sleep(30)
    return 1


@node("trouble/thread", output=True)
def thread() -> int:
    """Leave a thread behind that prints for ever."""

    def chatter() -> None:
        while True:
            print("still here", file=sys.stderr)
            time.sleep(0.05)

    threading.Thread(target=chatter, daemon=False).start()
    return 1


@node("trouble/changes", output=True)
def changes() -> int:
    """Change what belongs to the process: folder, signals, umask, environment."""
    os.chdir("/")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(0o777)
    os.environ.clear()
    return 1


@node("trouble/exits_in_thread", output=True)
def exits_in_thread() -> int:
    """End the process from another thread."""
    threading.Timer(0.05, lambda: os._exit(5)).start()
    time.sleep(10)
    return 1


@node("trouble/stops", output=True)
def stops() -> int:
    """Stop the whole process, heartbeat and all."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return 1


@node("trouble/aborts", output=True)
def aborts() -> int:
    """Abort in C."""
    ctypes.CDLL(None).abort()
    return 1


@node("trouble/floods", output=True)
def floods(ctx: Context, *, count: int = 100_000) -> int:
    """Report progress as fast as possible."""
    for number in range(count):
        ctx.progress(number + 1, count)
    return count


@node("trouble/talks", output=True)
def talks(ctx: Context, *, count: int = 100, length: int = 50_000) -> int:
    """Say much."""
    for _ in range(count):
        ctx.log("x" * length)
    return count


@node("trouble/writes_outside", output=True)
def writes_outside(ctx: Context, *, name: str = "../../outside") -> int:
    """Save a file outside its folder."""
    ctx.save(name, ".txt", lambda stream: stream.write(b"outside"))
    return 1


@node("trouble/works", output=True)
def works(ctx: Context, *, seconds: float = 1.0, mark: str = "") -> int:
    """Work for a while, as one should."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ctx.check()
        ctx.progress(1, 2, mark)
        time.sleep(0.01)
    return 1


@node("trouble/many", output=True)
def many(ctx: Context, *, text: str = "x", count: int = 3) -> Files:
    """Save several files, slowly."""
    paths = []
    for number in range(count):
        data = f"{text} {number} ".encode() * 2000
        paths.append(str(ctx.save("many", ".txt", lambda stream, data=data: stream.write(data))))
        time.sleep(0.01)
    return Files(tuple(paths))
