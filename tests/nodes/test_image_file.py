"""Saving and loading pictures, what they carry, and that an identical run saves nothing twice."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from workbench import Bench

from nodes import provenance
from nodes.image_file import output_number
from nodes.picture import read_texts, read_workflow

J = {"text": {"join": ["text", "string"]}, "paint": {"join": ["paint", "latent"]}}
DOCUMENT: dict[str, Any] = {
    "format": "latentloom",
    "version": 1,
    "title": "A cat",
    "steps": {
        "load": {"kind": "core/load_checkpoint", "inputs": {"file": "/home/somebody/models/flux1-dev.safetensors"}},
        "yes": {
            "kind": "core/encode_text",
            "inputs": {"text_encoder": {"join": ["load", "text_encoder"]}, "prompt": "a cat"},
        },
        "no": {
            "kind": "core/encode_text",
            "inputs": {"text_encoder": {"join": ["load", "text_encoder"]}, "prompt": "a dog"},
        },
        "empty": {
            "kind": "core/empty_latent",
            "inputs": {"model": {"join": ["load", "model"]}, "width": 64, "height": 32},
        },
        "paint": {
            "kind": "core/sample",
            "inputs": {
                "model": {"join": ["load", "model"]},
                "positive": {"join": ["yes", "conditioning"]},
                "negative": {"join": ["no", "conditioning"]},
                "latent": {"join": ["empty", "latent"]},
                "seed": 7,
                "steps": 4,
            },
        },
        "save": {"kind": "core/save_image", "inputs": {"image": {"join": ["decode", "image"]}}, "position": [3, 4]},
        "decode": {"kind": "core/decode", "inputs": {"latent": J["paint"], "vae": {"join": ["load", "vae"]}}},
    },
}


def save(**more: Any) -> dict[str, Any]:
    return {
        "grey": ("solid_image", {"width": 8, "height": 8}),
        "save": ("save_image", {"image": "@grey.image", **more}),
    }


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
def test_a_saved_picture_gives_its_workflow_back_without_whole_paths(form: str, bench: Bench) -> None:
    path = Path(bench.good(save(format=form), document=DOCUMENT).one("save").paths[0])
    workflow = read_workflow(path)
    assert workflow is not None
    assert workflow["steps"]["load"]["inputs"]["file"] == "flux1-dev.safetensors"
    del workflow["steps"]["load"]
    assert workflow == {**DOCUMENT, "steps": {id: one for id, one in DOCUMENT["steps"].items() if id != "load"}}
    assert b"somebody" not in path.read_bytes()


def test_a_picture_tells_its_settings_in_words(bench: Bench) -> None:
    path = Path(bench.good(save(), document=DOCUMENT).one("save").paths[0])
    texts = read_texts(path)
    assert texts["parameters"] == (
        "a cat\nNegative prompt: a dog\nSteps: 4, Seed: 7, Size: 64x32, Model: flux1-dev.safetensors, "
        "Version: Latent Loom"
    )
    prompt, workflow = json.loads(texts["prompt"]), json.loads(texts["workflow"])
    assert prompt["paint"]["class_type"] == "core/sample"
    assert prompt["decode"]["inputs"]["vae"] == ["load", 2]
    assert [node["type"] for node in workflow["nodes"]] == [one["kind"] for one in DOCUMENT["steps"].values()]
    assert workflow["nodes"][5]["pos"] == [3, 4]
    ids = [node["id"] for node in workflow["nodes"]]
    assert all(link[1] in ids and link[3] in ids for link in workflow["links"])


@pytest.mark.parametrize(("mode", "keys"), [("none", set()), ("parameters", {"parameters"})])
def test_less_is_told_when_less_is_asked_for(mode: str, keys: set[str], bench: Bench) -> None:
    path = Path(bench.good(save(metadata=mode), document=DOCUMENT).one("save").paths[0])
    assert read_texts(path).keys() == keys
    assert read_workflow(path) is None


def test_a_workflow_too_large_for_its_picture_lies_beside_it(bench: Bench) -> None:
    large = {**DOCUMENT, "notes": [{"text": "x" * 70_000}]}
    ran = bench.good(save(format="jpeg"), document=large)
    path = Path(ran.one("save").paths[0])
    beside = list(path.parent.glob("*.json"))
    assert len(beside) == 1
    assert json.loads(beside[0].read_text())["notes"] == large["notes"]
    assert beside[0].name in ran.logs
    assert read_texts(path)["parameters"].startswith("a cat")


@settings(max_examples=30, deadline=None)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_no_home_folder_and_no_whole_path_is_left_anywhere(value: Any) -> None:
    home = str(Path.home())
    hidden = {
        "note": f"see {home}/secret/x",
        "file": f"{home}/models/m.safetensors",
        "w": r"C:\Users\me\m.gguf",
        "v": value,
    }
    clean = json.dumps(provenance.without_paths(hidden), ensure_ascii=False)
    assert home not in clean
    assert "Users" not in clean.replace(json.dumps(value, ensure_ascii=False), "")
    assert '"m.safetensors"' in clean
    assert '"m.gguf"' in clean


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(),
        st.dictionaries(st.sampled_from(["kind", "inputs"]), st.text() | st.dictionaries(st.text(), st.integers())),
    )
)
def test_whatever_stands_in_a_document_is_written_or_left_out(steps: dict[str, Any]) -> None:
    provenance.texts({"steps": steps}, "save", "full", output_number)


def test_the_same_run_again_saves_nothing_until_its_file_is_gone(bench: Bench) -> None:
    first = bench.good(save()).one("save")
    again = bench.good(save())
    assert again.one("save") == first
    assert again.computed == set()
    Path(first.paths[0]).unlink()
    third = bench.good(save())
    assert third.computed == {"save"}
    assert Path(third.one("save").paths[0]).is_file()


def test_a_reused_file_opens_as_the_graph_that_was_run(bench: Bench) -> None:
    """Under other names of steps an equal picture is a file of its own, with those names; only it is made again."""

    def run(names: dict[str, str], aside: dict[str, Any] | None = None) -> tuple[Any, set[str]]:
        plain = json.dumps({names.get(id, id): step for id, step in save().items()})
        steps = json.loads(plain.replace("@grey.", f"@{names.get('grey', 'grey')}.")) | (aside or {})
        document = {"steps": {id: {"kind": f"core/{kind}", "inputs": inputs} for id, (kind, inputs) in steps.items()}}
        ran = bench.good(steps, names.get("save", "save"), document=document)
        (path,) = map(Path, ran.one(names.get("save", "save")).paths)
        read = read_workflow(path)
        assert read is not None and read["steps"].keys() >= {names.get("grey", "grey"), names.get("save", "save")}
        return path, ran.computed

    first, _ = run({})
    assert run({}) == (first, set())
    assert run({}, {"aside": ("solid_image", {"width": 16, "height": 16})}) == (first, set())
    other, computed = run({"grey": "colour"})
    assert other != first and computed == {"save"}
    third, computed = run({"save": "keep"})
    assert third not in (first, other) and computed == {"keep"}
    assert run({"grey": "colour"}) == (other, set())


def test_a_batch_is_saved_as_many_files_and_none_is_overwritten(bench: Bench) -> None:
    steps = save(name="cats/tom")
    steps["grey"][1]["count"] = 3
    files = bench.good(steps).one("save")
    assert [Path(path).name for path in files.paths] == ["tom_00001.png", "tom_00002.png", "tom_00003.png"]
    assert {Path(path).parent.name for path in files.paths} == {"cats"}
    steps["grey"][1]["color"] = "red"
    assert "tom_00004.png" in bench.good(steps).one("save").summary()


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "", "con", "a\x00b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, bench: Bench) -> None:
    ran = bench.run(save(name=name))
    assert ran.status == "failed"
    assert not list(bench.home.rglob("*.png"))


def test_alpha_becomes_a_mask_and_a_mask_alpha(bench: Bench) -> None:
    steps = {
        "grey": ("solid_image", {"width": 16, "height": 8}),
        "mask": ("shape_mask", {"width": 16, "height": 8, "left": 0, "top": 0, "right": 0.5, "bottom": 1}),
        "save": ("save_image", {"image": "@grey.image", "mask": "@mask.mask"}),
    }
    path = Path(bench.good(steps).one("save").paths[0])
    assert Pillow.open(path).mode == "RGBA"
    loaded = bench.good({"load": ("load_image", {"file": path.name})}, "load")
    assert loaded.one("load", "mask").values[0, 0].tolist() == [1.0] * 8 + [0.0] * 8


def test_a_changed_file_is_loaded_again_and_nothing_of_its_camera_is_passed_on(bench: Bench) -> None:
    folder = bench.home / "input"
    folder.mkdir()
    exif = Pillow.Exif()
    exif[0x010E] = "SECRET CAMERA"
    Pillow.new("RGB", (8, 8), "red").save(folder / "in.jpg", exif=exif)
    steps = {"load": ("load_image", {"file": "in.jpg"}), "save": ("save_image", {"image": "@load.image"})}
    path = Path(bench.good(steps).one("save").paths[0])
    assert b"SECRET" not in path.read_bytes()
    Pillow.new("RGB", (8, 8), "blue").save(folder / "in.jpg")
    assert bench.good(steps).computed == {"load", "save"}


def test_a_picture_that_cannot_be_loaded_is_refused(bench: Bench) -> None:
    folder = bench.home / "input"
    folder.mkdir()
    stream = io.BytesIO()
    Pillow.new("RGB", (64, 64)).save(stream, "PNG")
    (folder / "cut.png").write_bytes(stream.getvalue()[:60])
    (folder / "text.png").write_text("<svg/>")
    for name in ("cut.png", "text.png", "none.png", "", "../x.png"):
        ran = bench.run({"load": ("load_image", {"file": name})}, "load")
        assert ran.status == "failed"
        assert ran.problems[0].what


def test_a_preview_is_no_output(bench: Bench) -> None:
    steps = {"grey": ("solid_image", {"width": 8, "height": 8}), "see": ("preview_image", {"image": "@grey.image"})}
    files = bench.good(steps).one("see")
    assert files.kind == "temp"
    assert not (bench.home / "output").exists()
