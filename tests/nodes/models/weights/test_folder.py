from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.problem import Refused
from nodes.models.weights.folder import components
from nodes.models.weights.header import read_header

from .raw import record, safetensors, written

INDEX = "diffusion_pytorch_model.safetensors.index.json"
ONE = safetensors({"a": record("F32", [2], 0, 8)}, bytes(8))
TWO = safetensors({"b": record("F16", [3], 0, 6)}, bytes(6))


def index(folder: Path, weight_map: Any, name: str = INDEX) -> None:
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_a_sharded_folder_is_one_header_with_its_config(tmp_path: Path) -> None:
    written(tmp_path, ONE, "m-00001-of-00002.safetensors")
    written(tmp_path, TWO, "m-00002-of-00002.safetensors")
    index(tmp_path, {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"})
    (tmp_path / "config.json").write_text('{"axes": [1]}')
    header = read_header(tmp_path)
    assert (header.format, sorted(header.tensors), header.config) == ("folder", ["a", "b"], {"axes": [1]})
    assert header.tensors["b"].path.name == "m-00002-of-00002.safetensors" and header.nbytes == 14


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors", "/etc/passwd", "sub/x.safetensors", "..\\secret.safetensors", "C:x", "..", ".", "",
        "a\0b", "a\nb", "x" * 300, "link.safetensors", "loop.safetensors", "absent.safetensors", "folder",
    ],
)  # fmt: skip
def test_an_index_cannot_name_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (folder / "sub").mkdir()
    written(folder / "sub", ONE, "x.safetensors")
    secret = written(tmp_path, ONE, "secret.safetensors")
    (folder / "link.safetensors").symlink_to(secret)
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    index(folder, {"a": name})
    with pytest.raises(Refused):
        read_header(folder)


def test_the_hubs_cache_may_link_to_its_blobs(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--x--y/blobs", tmp_path / "models--x--y/snapshots/1234/transformer"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    written(blobs, ONE, "abcd")
    (snapshot / "model.safetensors").symlink_to("../../../blobs/abcd")
    assert read_header(snapshot).shape("a") == (2,)


@pytest.mark.parametrize(
    "weight_map",
    [None, [], {"a": 1}, {"a": None}, {"zz": "one.safetensors"}, {str(i): f"{i}.safetensors" for i in range(1001)}],
)
def test_a_false_index_is_refused(weight_map: Any, tmp_path: Path) -> None:
    written(tmp_path, ONE, "one.safetensors")
    index(tmp_path, weight_map)
    with pytest.raises(Refused):
        read_header(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"weight_map":' * 70, '{"weight_map":{"a":"b","a":"c"}}', "[" * 200_000]
)
def test_an_index_that_is_no_sound_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(Refused):
        read_header(tmp_path)


def test_one_file_is_taken_by_its_usual_name_and_two_others_are_a_question(tmp_path: Path) -> None:
    written(tmp_path, ONE, "model.fp16.safetensors")
    assert "a" in read_header(tmp_path)
    written(tmp_path, TWO, "model.safetensors")
    assert "b" in read_header(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(Refused, match="several weight files"):
        read_header(tmp_path)


def test_a_folder_of_pickles_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no weights"):
        read_header(tmp_path)
    written(tmp_path, b"\x80\x02.", "pytorch_model.bin")
    with pytest.raises(Refused, match=r"pytorch_model\.bin, a pickle"):
        read_header(tmp_path)


def test_a_pipelines_components_are_its_folders(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "FluxPipeline", "vae": ["diffusers", "AutoencoderKL"], "../x": ["a", "b"], "y": [null, null]}'
    )
    assert components(tmp_path) == {"vae": (tmp_path / "vae", "AutoencoderKL")}
    with pytest.raises(Refused, match="pipeline folder"):
        read_header(tmp_path)
