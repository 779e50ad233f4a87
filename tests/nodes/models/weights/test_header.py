from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from graph_runtime.problem import Refused
from nodes.models.weights.header import read_header

from .raw import FIRST, gguf, info, safetensors, written

SUFFIXES = (
    ".ckpt .pt .pth .bin .pkl .safetensors .SafeTensors .gguf .sft .zip .tar .7z .npy .dat".split()  # noqa: SIM905
)


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> dict[str, bytes]:
    """The same payload in every wrapping that some loader opens."""
    plain = {f"protocol {n}": pickle.dumps(Payload(marker), protocol=n) for n in range(6)}
    inside = plain["protocol 2"]
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("archive/data.pkl", inside)
        file.writestr("archive/version", "3")
    with tarfile.open(fileobj=tarred, mode="w") as file:
        member = tarfile.TarInfo("pickle")
        member.size = len(inside)
        file.addfile(member, io.BytesIO(inside))
    legacy = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + inside  # torch.save before 1.6
    return plain | {
        "zip": zipped.getvalue(),
        "tar": tarred.getvalue(),
        "torch before 1.6": legacy,
        "7z": b"7z\xbc\xaf\x27\x1c" + inside,
        "gzip": b"\x1f\x8b\x08" + inside,
        "header of a safetensors, then a pickle": b"\x02\0\0\0\0\0\0\0" + inside,
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pickle_is_refused_and_never_opened_under_any_suffix(suffix: str, tmp_path: Path) -> None:
    marker = tmp_path / "was-here"
    for wrapping, content in pickled(marker).items():
        path = written(tmp_path, content, f"model{suffix}")
        with pytest.raises(Refused) as refused:
            read_header(path)
        assert not marker.exists(), wrapping
        if "header of" not in wrapping:
            assert refused.value.problems[0].code == "pickle", (wrapping, str(refused.value))
            assert "safetensors" in refused.value.problems[0].fix
    pickle.loads(pickled(marker)["protocol 2"])
    assert marker.exists()  # the payload would have worked


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_content_says_what_a_file_is_not_its_name(suffix: str, tmp_path: Path) -> None:
    plain = read_header(written(tmp_path, safetensors(FIRST, bytes(24)), f"a{suffix}"))
    blocks = read_header(written(tmp_path, gguf([], [info(b"a", [3, 2])], bytes(24)), f"b{suffix}"))
    assert (plain.format, blocks.format) == ("safetensors", "gguf")
    assert plain.shape("a") == blocks.shape("a") == (2, 3)


def test_a_header_as_long_as_a_pickles_magic_is_no_pickle(tmp_path: Path) -> None:
    """0x0280 = 640 bytes of header: the file begins with the bytes of pickle protocol 2."""
    header = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'.ljust(0x280)
    assert read_header(written(tmp_path, safetensors(header, bytes(24)))).shape("a") == (2, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git-lfs pointer"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b'\n\n{"error":"Access denied"}', "error message"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "picture"),
        (b"\x7fELF" + bytes(50), "7f 45 4c 46"),
    ],
)
def test_other_files_are_called_by_their_name(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=words):
        read_header(written(tmp_path, content, "model.sft"))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for name in ("absent.safetensors", "pipe.safetensors", "nul\0.safetensors"):
        with pytest.raises(Refused):
            read_header(tmp_path / name)


def test_a_prefix_is_taken_off_and_the_rest_left_out(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, safetensors(FIRST, bytes(24))))
    assert "" not in header and header.under("a").shape("") == (2, 3)
    assert not header.under("b").tensors and header.under("") is header


def test_sizes_in_the_metadata_are_read_and_nonsense_is_not(tmp_path: Path) -> None:
    good = safetensors({"__metadata__": {"config": '{"axes": [2, 3, 4]}'}})
    assert read_header(written(tmp_path, good)).config == {"axes": [2, 3, 4]}
    for bad in ("nope", "[1]", '{"a": NaN}', '{"a":1,"a":2}', "[" * 100_000, '{"a":' * 70 + "1" + "}" * 70):
        assert read_header(written(tmp_path, safetensors({"__metadata__": {"config": bad}}))).config == {}
