from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graph_runtime.artifacts import Artifact, Request
from graph_runtime.problem import Refused
from graph_runtime.run_queue import RunQueue
from graph_runtime.store import Limits, Store

FREE = Limits(ballast_bytes=0, reserve_bytes=0)


class Desk:
    """A store with one run at its first attempt."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, limits=FREE)
        self.queue = RunQueue(self.store)
        self.queue.submit({"steps": {}}, run="r").result()
        self.again()

    def again(self) -> None:
        claim = self.queue.claim("gpu0").result()
        assert claim is not None
        self.attempt = claim.attempt

    def request(self, index: int = 0, label: str = "cat", suffix: str = ".png") -> Request:
        return Request("r", self.attempt, "save", index, label, suffix)

    def staged(self, data: bytes) -> Path:
        path = self.store.artifacts.staging()
        path.write_bytes(data)
        return path

    def publish(self, data: bytes, index: int = 0, label: str = "cat") -> Artifact:
        return self.store.artifacts.publish(self.request(index, label), self.staged(data))

    def crash(self) -> None:
        """The server dies and comes back; the run is claimed again."""
        self.store.close()
        self.store = Store(self.store.folder, limits=FREE)
        self.queue = RunQueue(self.store)
        self.queue.resume().result()
        self.again()

    def files(self) -> dict[str, bytes]:
        root = self.store.folder / "output"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and ".staging" not in path.parts
        }

    def staging(self) -> list[Path]:
        return [path for path in (self.store.folder / "output" / ".staging").rglob("*") if path.is_file()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def test_files_are_counted_under_their_label(desk: Desk) -> None:
    made = [desk.publish(b"0", 0), desk.publish(b"1", 1), desk.publish(b"2", 2, "dogs/rex")]
    assert desk.files() == {"cat_00001.png": b"0", "cat_00002.png": b"1", "dogs/rex_00001.png": b"2"}
    assert [one.state for one in made] == ["ready"] * 3
    assert made[1].sha256 == hashlib.sha256(b"1").hexdigest() and made[1].bytes == 1
    assert desk.store.artifacts.of_run("r") == made
    assert desk.store.artifacts.newest(limit=1)[0].name == "dogs/rex_00001.png"
    assert desk.staging() == []


def test_the_same_again_is_the_same_file(desk: Desk) -> None:
    first = desk.publish(b"cat")
    desk.crash()
    assert desk.publish(b"cat") == first
    assert desk.files() == {"cat_00001.png": b"cat"}
    assert desk.staging() == []


def test_something_else_in_a_repetition_takes_the_place_of_what_the_run_made_before(desk: Desk) -> None:
    desk.publish(b"cat")
    desk.crash()
    second = desk.publish(b"another cat")
    assert second.state == "ready" and second.bytes == 11
    assert desk.files() == {"cat_00001.png": b"another cat"}


def test_what_somebody_else_put_there_is_left_alone(desk: Desk) -> None:
    out = desk.store.folder / "output"
    out.mkdir(exist_ok=True)
    (out / "cat_00001.png").write_bytes(b"mine")
    desk.publish(b"cat")
    (out / "cat_00003.png").write_bytes(b"mine too")
    desk.publish(b"cat 2", 1)
    (out / "cat_00002.png").write_bytes(b"painted over")
    desk.crash()
    desk.publish(b"cat, another")
    assert desk.files() == {
        "cat_00001.png": b"mine",
        "cat_00002.png": b"painted over",
        "cat_00003.png": b"mine too",
        "cat_00004.png": b"cat 2",
        "cat_00005.png": b"cat, another",
    }


def test_a_file_that_was_deleted_does_not_come_back(desk: Desk) -> None:
    made = desk.publish(b"cat")
    desk.store.artifacts.path(made).unlink()
    assert [one.state for one in desk.store.artifacts.look("r")] == ["missing"]
    desk.crash()
    assert desk.publish(b"cat").state == "missing"
    assert desk.publish(b"another").state == "missing"
    assert desk.files() == {} and desk.staging() == []


def test_a_deletion_nobody_has_noticed_counts_as_well(desk: Desk) -> None:
    desk.store.artifacts.path(desk.publish(b"cat")).unlink()
    assert desk.publish(b"cat").state == "missing"
    assert desk.files() == {}


def test_an_attempt_that_is_over_or_being_cancelled_makes_no_files(desk: Desk) -> None:
    old = desk.request()
    desk.queue.crash("r", desk.attempt).result()
    for request in (old, Request("nobody", 1, "save", 0, "cat", ".png")):
        with pytest.raises(Refused) as refusal:
            desk.store.artifacts.publish(request, desk.staged(b"late"))
        assert refusal.value.problems[0].code == "attempt-over"
    desk.again()
    desk.queue.cancel("r").result()
    with pytest.raises(Refused):
        desk.publish(b"late")
    with pytest.raises(Refused):
        desk.store.artifacts.reserve(desk.request())
    assert desk.files() == {}


def test_a_reserved_name_is_kept_for_its_file(desk: Desk) -> None:
    name = desk.store.artifacts.reserve(desk.request()).name
    assert desk.publish(b"other", 1).name != name
    assert desk.store.artifacts.of_run("r")[0].index == 1, "nothing is shown before it is there"
    desk.crash()
    assert desk.store.artifacts.reserve(desk.request()).name == name
    assert desk.publish(b"cat").name == name


@pytest.mark.parametrize("label", ["../cat", "/cat", "a/../b", "a\\b", ".staging/x", "nul", "cat\n", ""])
def test_a_label_cannot_lead_elsewhere(desk: Desk, label: str) -> None:
    with pytest.raises(Refused) as refusal:
        desk.publish(b"cat", label=label)
    assert refusal.value.problems[0].code == "bad-name"


def test_a_link_out_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "output").mkdir(exist_ok=True)
    (tmp_path / "output" / "away").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused) as refusal:
        desk.publish(b"cat", label="away/cat")
    assert refusal.value.problems[0].code == "leads-outside"
    assert list((tmp_path / "secret").iterdir()) == []


def two_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the staging folder be on a disk of its own, as far as linking and renaming can tell."""
    for name in ("link", "replace"):
        call = getattr(os, name)

        def across(source: Path, target: Path, call: Callable[[Path, Path], None] = call) -> None:
            if ".staging" in str(source):
                raise OSError(errno.EXDEV, "another disk")
            call(source, target)

        monkeypatch.setattr(os, name, across)


def no_links(source: Path, target: Path) -> None:
    raise PermissionError(errno.EPERM, "no hard links")


def test_another_disk_is_reached_by_a_whole_copy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    two_disks(monkeypatch)
    desk.publish(b"cat")
    desk.crash()
    desk.publish(b"another")
    assert desk.files() == {"cat_00001.png": b"another"}


def test_a_folder_without_hard_links_never_loses_a_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    desk.publish(b"cat")
    (desk.store.folder / "output" / "cat_00002.png").write_bytes(b"mine")
    desk.publish(b"cat 2", 1)
    assert desk.files() == {"cat_00001.png": b"cat", "cat_00002.png": b"mine", "cat_00003.png": b"cat 2"}


# ── every call may be the last ──


class Fails:
    """Lets the n-th of the calls that change files fail: once, or as if the process had been killed there."""

    NAMES = ("link", "replace", "fsync", "unlink", "open")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException, after: bool) -> None:
        self.left, self.error, self.after, self.hit, self.dead = at, error, after, False, False
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, call):  # type: ignore[no-untyped-def]
        def counted(*args, **kwargs):  # type: ignore[no-untyped-def]
            self.left -= 1
            if self.dead:
                raise self.error
            if self.left == 0:
                self.hit, self.dead = True, isinstance(self.error, Killed)
                if self.after:
                    call(*args, **kwargs)
                raise self.error
            return call(*args, **kwargs)

        return counted


class Killed(BaseException):
    """The process ends here; nothing after it runs."""


@pytest.mark.parametrize("disk", ["one disk", "two disks", "no hard links"])
@pytest.mark.parametrize("kind", ["error", "full", "kill before", "kill after"])
@pytest.mark.parametrize("other", [b"cat", b"another cat"])
@pytest.mark.parametrize("before", [b"", b"earlier cat"])
def test_whatever_call_fails_there_is_one_whole_file_in_the_end(
    quick: Path, monkeypatch: pytest.MonkeyPatch, disk: str, kind: str, other: bytes, before: bytes
) -> None:
    """Attempt 1 publishes `before` (if any); attempt 2 is cut short at its n-th call; attempt 3 publishes `other`."""
    if disk == "two disks":
        two_disks(monkeypatch)
    elif disk == "no hard links":
        monkeypatch.setattr(os, "link", no_links)
    for n in range(1, 40):
        desk = Desk(quick / str(n))
        if before:
            desk.publish(before)
            desk.crash()
        staged = desk.staged(b"cat")
        error = {"error": OSError(errno.EIO, "broken"), "full": OSError(errno.ENOSPC, "full")}.get(kind, Killed())
        with pytest.MonkeyPatch.context() as patch:
            fails = Fails(patch, n, error, after=kind == "kill after")
            try:
                desk.store.artifacts.publish(desk.request(), staged)
            except (Refused, OSError, Killed):
                assert set(desk.files().values()) <= {before, b"cat"}, "never a torn file"
        desk.crash()
        assert desk.staging() == []
        desk.publish(other)
        assert desk.files() == {"cat_00001.png": other}, f"call {n}"
        desk.store.close()
        if not fails.hit:
            assert n > 3
            return
    raise AssertionError("the calls do not end")
