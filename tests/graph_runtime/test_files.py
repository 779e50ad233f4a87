from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph_runtime.files import STAGING, Files, fingerprint, unsafe
from graph_runtime.problem import Refused
from graph_runtime.settings import Settings

CANARY = b"nobody may read this"
SYMLINKS = hasattr(os, "symlink") and os.name == "posix"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An input folder with links planted in it, and a canary beside it."""
    top = tmp_path_factory.mktemp("tree")
    inside = top / "data" / "input"
    (inside / "cats").mkdir(parents=True)
    (inside / "cats" / "tom.png").write_bytes(b"tom")
    (inside / "felix.png").write_bytes(b"felix")
    (top / "data" / "output").mkdir()
    (top / "canary.png").write_bytes(CANARY)
    (top / "secret").mkdir()
    (top / "secret" / "canary.png").write_bytes(CANARY)
    (inside / "link.png").symlink_to(top / "canary.png")
    (inside / "away").symlink_to(top / "secret")
    (inside / "up").symlink_to("../..")
    (inside / "round").symlink_to("cats")
    (top / "data" / "output" / "away").symlink_to(top / "secret")
    canaries = (top / "canary.png", top / "secret" / "canary.png")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in canaries}
    listing = sorted(os.listdir(top / "secret"))
    yield top
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in canaries} == before
    assert sorted(os.listdir(top / "secret")) == listing
    assert sorted(os.listdir(top)) == ["canary.png", "data", "secret"]


def files(top: Path, **more: object) -> Files:
    return Files(Settings(data_dir=top / "data", **more))


PARTS = st.sampled_from(
    ["..", ".", "", "~", "cats", "tom.png", "felix.png", "link.png", "away", "up", "round", "canary.png", "secret",
     "data", "input", "C:", "nul", "con.png", "x\x00y", "a\nb", "%2e%2e", "..%2f", "．．", "…", "cats ", "cats.",
     "$HOME", "\ud800"]
)  # fmt: skip
LABELS = st.one_of(
    st.lists(PARTS, min_size=1, max_size=6).map("/".join),
    st.lists(PARTS, min_size=1, max_size=4).map("\\".join),
    st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    st.text(max_size=40),
)


@settings(max_examples=1000, deadline=None)
@given(label=LABELS)
@example("../../canary.png")
@example("up/canary.png")
@example("away/canary.png")
@example("link.png")
@example("cats/../../../canary.png")
@example("a" * 300)
@example("a/" * 2000 + "a")
def test_no_label_leads_out_of_its_folder(tree: Path, label: str) -> None:
    store = files(tree)
    inside = tree / "data" / "input"
    for name in (label, label.replace("canary.png", str(tree / "canary.png"))):
        try:
            path = store.find("image", name)
        except Refused as refused:
            assert refused.problems[0].code in ("bad-name", "no-file", "leads-outside")
        else:
            assert path.is_relative_to(inside) and path.read_bytes() in (b"tom", b"felix")
        try:
            written = store.save(name, ".png", lambda stream: stream.write(b"new"))
        except Refused as refused:
            assert refused.problems[0].code in ("bad-name", "leads-outside", "cannot-write")
        else:
            assert written.is_relative_to(tree / "data" / "output")
            written.unlink()


@pytest.mark.parametrize(
    "label",
    ["", "/etc/passwd", "a\\b", "..", "a/../b", "a//b", "./a", "a\x00.png", "a\x1b[2J", "C:/a", "a:b", "nul", "NUL.png",
     "com1", "a.", "a ", " a", "a" * 256, "\ud800", "a?b", f"{STAGING}/1.part"],
)  # fmt: skip
def test_what_some_system_would_read_differently_is_no_label(label: str) -> None:
    assert unsafe(label)


@pytest.mark.parametrize("label", ["tom.png", "cats/tom.png", "流れ.png", "a b.png", "..a", "a..b", "a" * 255])
def test_plain_names_are_labels(label: str) -> None:
    assert unsafe(label) == ""


def test_a_whole_path_is_found_only_where_that_is_allowed(tree: Path) -> None:
    path = str(tree / "data" / "input" / "felix.png")
    with pytest.raises(Refused, match="whole path"):
        files(tree).find("image", path)
    allowing = files(tree, allow_absolute_paths=True)
    assert allowing.find("image", path).read_bytes() == b"felix"
    with pytest.raises(Refused, match="no such file"):
        allowing.find("image", path + "x")
    with pytest.raises(Refused):
        allowing.find("image", path + "\x00")


def test_a_missing_file_says_where_it_was_looked_for(tree: Path) -> None:
    with pytest.raises(Refused) as refused:
        files(tree).find("image", "none.png")
    assert str(tree / "data" / "input") in refused.value.problems[0].what


def test_models_are_found_in_the_folder_of_their_kind_and_in_those_packs_bring(tmp_path: Path) -> None:
    (tmp_path / "models" / "loras").mkdir(parents=True)
    (tmp_path / "models" / "loras" / "style.safetensors").write_bytes(b"1")
    (tmp_path / "models" / "sharded").mkdir()
    (tmp_path / "tiny.safetensors").write_bytes(b"2")
    store = Files(Settings(data_dir=tmp_path), {("checkpoint", "starter/tiny"): tmp_path / "tiny.safetensors"})
    assert store.find("lora", "style.safetensors").name == "style.safetensors"
    assert store.find("checkpoint", "sharded").is_dir()
    assert store.find("checkpoint", "starter/tiny").read_bytes() == b"2"
    assert store.names("lora") == ["loras/style.safetensors", "style.safetensors"]
    assert "starter/tiny" in store.names("checkpoint", frozenset({".safetensors"}))
    with pytest.raises(Refused):
        store.find("lora", "starter/tiny")
    with pytest.raises(Refused):
        store.find("image", "style.safetensors")


def test_a_folder_with_its_description_is_one_model_and_only_weights_are_models(tmp_path: Path) -> None:
    for name in ("flux/model_index.json", "flux/vae/config.json", "flux/vae/weights.safetensors", "flux/notes.txt",
                 "flux/tokenizer/merges.txt", "loose/one.gguf", "loose/one.txt", "vae/ae.safetensors"):  # fmt: skip
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    store = Files(Settings(data_dir=tmp_path))
    assert store.names("checkpoint") == ["flux", "loose/one.gguf", "vae/ae.safetensors"]
    assert store.names("vae") == ["ae.safetensors", "flux/vae", "loose/one.gguf", "vae/ae.safetensors"]
    assert all(store.find(kind, name).exists() for kind in ("checkpoint", "vae") for name in store.names(kind))


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    store = files(tmp_path)
    folder = tmp_path / "data" / "input"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"same")
    (folder / "b.png").write_bytes(b"same")
    assert store.identity("image", "a.png") == store.identity("image", "b.png")
    (folder / "b.png").write_bytes(b"other")
    assert store.identity("image", "a.png") != store.identity("image", "b.png")
    model = tmp_path / "data" / "models" / "m"
    model.mkdir(parents=True)
    (model / "1.bin").write_bytes(b"1")
    before = store.identity("checkpoint", "m")
    (model / "2.bin").write_bytes(b"2")
    assert store.identity("checkpoint", "m") != before


def test_the_identity_of_a_huge_file_is_had_at_once_and_follows_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    with open(folder / "huge", "wb") as stream:
        stream.truncate(300 << 20)  # sparse
    store = files(tmp_path)
    before = store.identity("checkpoint", "huge")
    with open(folder / "huge", "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"x")
    assert store.identity("checkpoint", "huge") != before


def test_files_are_numbered_and_nothing_is_written_over(tmp_path: Path) -> None:
    store = files(tmp_path)
    paths = [store.save("cats/tom", ".png", lambda stream, n=n: stream.write(bytes([n]))) for n in range(3)]
    assert [path.name for path in paths] == ["tom_00001.png", "tom_00002.png", "tom_00003.png"]
    assert [path.read_bytes() for path in paths] == [b"\0", b"\1", b"\2"]
    paths[1].unlink()
    assert store.save("cats/tom", ".png", lambda stream: stream.write(b"4")).name == "tom_00004.png"
    assert store.save("cats/tom", ".jpg", lambda stream: stream.write(b"4")).name == "tom_00001.jpg"


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise ValueError("the picture is broken")

    with pytest.raises(ValueError):
        files(tmp_path).save("tom", ".png", fail)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def _save_many(top: str, count: int) -> None:
    store = files(Path(top))
    for _ in range(count):
        store.save("tom", ".bin", lambda stream: stream.write(str(os.getpid()).encode() * 1000))


def test_two_processes_saving_at_once_lose_nothing(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_save_many, args=(str(tmp_path), 25)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    saved = sorted((tmp_path / "data" / "output").glob("*.bin"))
    assert len(saved) == 50
    pids = {str(worker.pid).encode() for worker in workers}
    assert {path.read_bytes() for path in saved} == {pid * 1000 for pid in pids}


CRASHES = """
import os, signal, sys
from pathlib import Path
from graph_runtime.files import Files
from graph_runtime.settings import Settings

calls = 0
def counted(event, args):
    # Dies at the n-th call that reaches the disk.
    global calls
    if event in ("open", "os.link", "os.remove", "os.mkdir", "os.scandir") and "crash" in str(args[0] or ""):
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
store = Files(Settings(data_dir=Path(sys.argv[1]) / "crash"))
sys.addaudithook(counted)
def write(stream):
    for _ in range(64):
        stream.write(b"x" * 4096)
store.save("tom", ".bin", write)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")
def test_a_crash_at_any_call_leaves_the_whole_file_or_none(tmp_path: Path) -> None:
    for call in range(1, 40):
        folder = tmp_path / str(call)
        done = subprocess.run([sys.executable, "-c", CRASHES, str(folder), str(call)], capture_output=True, text=True)
        saved = list((folder / "crash" / "output").glob("*.bin"))
        assert all(path.read_bytes() == b"x" * 4096 * 64 for path in saved)
        if done.returncode == 0:
            assert len(saved) == 1 and call > 5, "the crashes never came"
            return
        assert done.returncode == -9, done.stderr
    pytest.fail("saving never came to its end")


def test_a_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # 2.2 MiB: more than its pieces
    one, other = tmp_path / "one.safetensors", tmp_path / "sub" / "other.gguf"
    other.parent.mkdir()
    one.write_bytes(content)
    other.write_bytes(content)
    os.utime(other, (1, 1))
    assert fingerprint(one) == fingerprint(other)
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        # Wider than what lies between two pieces.
        for at in range(max(0, place - 150_000), min(len(content), place + 150_000)):
            changed[at] ^= 1
        other.write_bytes(changed)
        assert fingerprint(one) != fingerprint(other), place
    other.write_bytes(content + b"\0")
    assert fingerprint(one) != fingerprint(other)
    (tmp_path / "empty").write_bytes(b"")
    assert len(fingerprint(tmp_path / "empty")) == 16


def test_a_folders_fingerprint_is_of_its_files_and_their_names(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name / "vae").mkdir(parents=True)
        (tmp_path / name / "vae" / "config.json").write_text("{}" if name != "c" else "{ }")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") != fingerprint(tmp_path / "c")
    (tmp_path / "b" / "vae" / "config.json").rename(tmp_path / "b" / "config.json")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


def test_places_are_the_folders_that_are_there_else_the_first(tmp_path: Path) -> None:
    files = Files(Settings(data_dir=tmp_path, model_dirs=(tmp_path / "models",)))
    assert files.places("lora") == [tmp_path / "models" / "loras"]
    (tmp_path / "models").mkdir()
    assert files.places("lora") == [tmp_path / "models"]
