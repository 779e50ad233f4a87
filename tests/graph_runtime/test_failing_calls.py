"""Whatever call fails, once or from then on: what was answered is true after a restart, and trying again is enough.

The first call fails, then the second, and so on until a pass is not touched any more (as SQLite tests itself).
"""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from test_database import Plan

from graph_runtime.events import Finished, Started
from graph_runtime.files import Files
from graph_runtime.problem import Refused
from graph_runtime.run_queue import RunQueue
from graph_runtime.settings import Settings
from graph_runtime.store import Limits, Store

FREE = Limits(ballast_bytes=0, reserve_bytes=0)
TRIES = 3


class Life:
    """Three runs from submission to their ends, by a client and a worker that try again what was not answered."""

    def __init__(self) -> None:
        self.submitted: dict[str, str] = {}  # what was answered: the run of each key
        self.finished: set[str] = set()

    def live(self, queue: RunQueue) -> None:
        for key in ("a", "b", "c"):
            run = self.answered(lambda key=key: queue.submit({"steps": {}, "noise": key}, key=key))
            if run is not None:
                self.submitted[key] = run.id
        self.attempt(queue, ends=False)
        for _ in range(3):
            self.attempt(queue, ends=True)

    def attempt(self, queue: RunQueue, *, ends: bool) -> None:
        """One run at a worker, that finishes it or dies."""
        claim = self.answered(lambda: queue.claim("w"))
        if claim is None:
            return
        run, attempt = claim.run.id, claim.attempt
        self.answered(lambda: queue.record(run, attempt, [Started(run, "it"), Finished(run, "it", 0.1, 0, {})]))
        if not ends:
            self.answered(lambda: queue.crash(run, attempt, step="it"))
        elif self.answered(lambda: queue.finish(run, attempt, "succeeded")):
            self.finished.add(run)

    def answered(self, ask: Callable[[], Future[Any]]) -> Any:
        """The answer; None if there is none however often it is asked."""
        for _ in range(TRIES):
            future = ask()
            if future.exception() is None:
                return future.result()
        return None


@pytest.mark.parametrize("kind", ["once", "for good", "full"])
def test_whatever_statement_fails_every_answer_is_true_after_a_restart(quick: Path, kind: str) -> None:
    for n in range(1, 1000):
        plan = Plan(10**9, kind)
        store = Store(quick / str(n), limits=FREE, connect=plan.connect)
        queue = RunQueue(store)
        life = Life()
        plan.left = n
        life.live(queue)
        plan.left, hit = 10**9, plan.hit
        store.close()

        store = Store(quick / str(n), limits=FREE)
        queue = RunQueue(store)
        runs = {run.id: run for run in store.runs.page().runs}
        assert set(life.submitted.values()) <= runs.keys(), "an answered run is lost"
        for key in ("a", "b", "c"):
            again = queue.submit({"steps": {}, "noise": key}, key=key).result().id
            assert life.submitted.setdefault(key, again) == again
        assert len(store.runs.page().runs) == 3, "a run is there twice"
        assert all(runs[id].status == "succeeded" for id in life.finished), "an answered end is lost"
        while (claim := queue.claim("w").result()) is not None:
            assert queue.finish(claim.run.id, claim.attempt, "succeeded").result()
        for id in life.submitted.values():
            ends = [one for one in store.events.of_run(id) if one.data.get("status") == "succeeded"]
            assert len(ends) == 1, "each run ends once"
        store.close()
        if not hit:
            assert n > 40
            return
        if kind != "for good":
            assert len(life.finished) == 3, "one failure costs nobody anything"
    raise AssertionError("the statements do not end")


class FailingFiles:
    """Lets the n-th of the calls that reach the disk fail, in one folder."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, at: int, number: int, after: bool) -> None:
        self.folder, self.left, self.number, self.after, self.hit = str(folder), at, number, after, False
        for name in ("open", "link", "replace", "fsync", "unlink", "mkdir", "scandir"):
            patch.setattr(os, name, self.wrap(getattr(os, name), name in ("fsync",)))
        self.really_open = builtins.open
        patch.setattr(builtins, "open", self.open)

    def wrap(self, call: Any, always: bool = False) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if not always and self.folder not in str(args[0]):
                return call(*args, **kwargs)
            self.left -= 1
            if self.left == 0:
                self.hit = True
                if self.after:
                    call(*args, **kwargs)
                raise OSError(self.number, os.strerror(self.number))
            return call(*args, **kwargs)

        return counted

    def open(self, path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = self.wrap(self.really_open)(path, mode, *args, **kwargs)
        if self.folder in str(path) and "x" in mode:
            stream.close()
            os.truncate(path, 0)
            return Stream(self, self.really_open(path, "wb", 0))
        return stream


class Stream:
    """A file whose writes count."""

    def __init__(self, failing: FailingFiles, stream: BinaryIO) -> None:
        self.stream = stream
        self.write = failing.wrap(stream.write, always=True)
        self.flush, self.fileno, self.close = stream.flush, stream.fileno, stream.close

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done all the same"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["disk full", "I/O error"])
def test_whatever_call_fails_a_saved_file_is_whole_or_not_there(quick: Path, number: int, after: bool) -> None:
    """What a worker does alone, without a server that names files."""
    pieces = [b"x" * 4096, b"y" * 4096, b"z"]
    for n in range(1, 100):
        folder = quick / str(n)
        files = Files(Settings(data_dir=folder))

        def save(files: Files = files) -> Path:
            return files.save("tom", ".bin", lambda stream: [stream.write(piece) for piece in pieces])

        path: Path | None = None
        with pytest.MonkeyPatch.context() as patch:
            failing = FailingFiles(patch, folder, n, number, after)
            with suppress(Refused, OSError):
                path = save()
        found = list((folder / "output").rglob("*.bin")) if (folder / "output").is_dir() else []
        whole = [one for one in found if ".staging" not in one.parts]
        assert all(one.read_bytes() == b"".join(pieces) for one in whole), f"call {n} tore a file"
        assert path is None or path in [Path(os.path.realpath(one)) for one in whole], "an answered file is lost"
        again = save()
        assert again.read_bytes() == b"".join(pieces) and again != path
        if not failing.hit:
            assert n > 8
            return
    raise AssertionError("the calls do not end")
