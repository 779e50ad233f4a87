from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from blake3 import blake3

from graph_runtime.problem import Refused
from nodes.models.weights import identity
from nodes.models.weights.identity import Identities


def old(path: Path, content: bytes) -> Path:
    """A file that was written an hour ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    past = time.time() - 3600
    os.utime(path, (past, past))
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose bytes were really read."""
    seen: list[Path] = []
    real = identity._hash
    monkeypatch.setattr(identity, "_hash", lambda path: (seen.append(path), real(path))[1])
    return seen


def test_equal_bytes_are_one_identity_under_any_name(tmp_path: Path) -> None:
    content = os.urandom(9 << 20)
    first, second = old(tmp_path / "a", content), old(tmp_path / "deep/b", content)
    identities = Identities()
    assert identities.of(first) == identities.of(second) == blake3(content).hexdigest()


def test_a_file_is_read_once_even_by_the_next_process(tmp_path: Path, hashed: list[Path]) -> None:
    path = old(tmp_path / "a", b"content")
    first = Identities(tmp_path / "store.sqlite")
    found = [first.of(path), first.of(path)]
    first.close()
    assert [*found, Identities(tmp_path / "store.sqlite").of(path)] == [blake3(b"content").hexdigest()] * 3
    assert len(hashed) == 1


def test_a_changed_file_has_another_identity_whatever_changed(tmp_path: Path, hashed: list[Path]) -> None:
    path = old(tmp_path / "a", b"content")
    identities = Identities()
    first = identities.of(path)
    path.write_bytes(b"CONTENT")  # as long as before
    assert identities.of(path) != first
    other = old(tmp_path / "b", b"content")
    os.replace(other, path)
    assert identities.of(path) == first and len(hashed) == 3


def test_a_file_just_written_is_not_remembered(tmp_path: Path, hashed: list[Path]) -> None:
    """It could change again within one tick of its date."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    identities = Identities()
    identities.of(path)
    identities.of(path)
    assert len(hashed) == 2


def test_a_folder_is_its_files_and_their_names(tmp_path: Path) -> None:
    identities = Identities()
    old(tmp_path / "x/config.json", b"{}")
    old(tmp_path / "x/deep/weights", b"1")
    old(tmp_path / "y/config.json", b"{}")
    old(tmp_path / "y/deep/weights", b"1")
    old(tmp_path / "y/.cache/lock", b"?")
    assert identities.of(tmp_path / "x") == identities.of(tmp_path / "y")
    (tmp_path / "y/deep/weights").rename(tmp_path / "y/deep/other")
    assert identities.of(tmp_path / "x") != identities.of(tmp_path / "y")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        Identities().of(tmp_path / "absent")
