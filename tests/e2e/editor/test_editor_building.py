"""The starter workflow is built from an empty canvas, by mouse and by keyboard only, and paints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from editor_page import EditorPage, has, shape
from editor_server import ROOT
from playwright.sync_api import expect

STARTER = json.loads((ROOT / "nodes" / "workflows" / "starter.json").read_text(encoding="utf-8"))
PROMPT = STARTER["steps"]["prompt"]["inputs"]["prompt"]
WIRES = [
    (source, output, step, name)
    for step, one in STARTER["steps"].items()
    for name, value in one["inputs"].items()
    if isinstance(value, dict)
    for source, output in [value["join"]]
]
# What is typed to find each, and where it goes on a wide canvas.
SEARCH = {
    "model": ("load checkpoint", 120, 140),
    "prompt": ("encode text", 500, 110),
    "negative": ("encode text", 500, 500),
    "size": ("empty latent", 500, 880),
    "paint": ("sample", 900, 110),
    "decode": ("decode latent", 1300, 110),
    "save": ("save image", 1700, 110),
}
FIRST = {"prompt": PROMPT, "paint": "1", "save": "starter"}  # what is typed into a node's first field
WIDE = {"width": 2100, "height": 1250}


def ran_like_the_starter(editor: EditorPage) -> None:
    editor.run()
    editor.wait_done()
    assert "/thumbnail" in editor.picture()
    assert same_as_the_starter(editor)


def same_as_the_starter(editor: EditorPage) -> bool:
    made, wanted = editor.kept()["steps"], STARTER["steps"]
    return shape({"steps": {id: only_said(one) for id, one in made.items()}}) == shape(
        {"steps": {id: only_said(one) for id, one in wanted.items()}}
    )


def only_said(step: dict[str, object]) -> dict[str, object]:
    """A step with its wires, and the values that the starter workflow gives it."""
    inputs = step["inputs"]
    assert isinstance(inputs, dict)
    kept = ("file", "prompt", "seed", "name")
    return {"kind": step["kind"], "inputs": {k: v for k, v in inputs.items() if isinstance(v, dict) or k in kept}}


def test_by_mouse(editor: EditorPage) -> None:
    editor.page.set_viewport_size(WIDE)
    editor.new()
    made = {name: editor.add_by_mouse(*where) for name, where in SEARCH.items()}
    for source, output, step, name in WIRES:
        editor.connect_by_mouse(made[source], output, made[step], name)
    editor.input(made["prompt"], "prompt").fill(PROMPT)
    editor.input(made["save"], "name").fill("starter")
    seed = editor.input(made["paint"], "seed")
    seed.fill("1")
    seed.press("Enter")
    ran_like_the_starter(editor)


def test_by_keyboard_only(editor: EditorPage) -> None:
    """Each node is added, named, filled in and joined to those that are there, without a pointer or a script's help."""
    page = editor.page
    page.keyboard.press("Alt+n")
    expect(page.get_by_role("heading", name="An empty canvas")).to_be_visible()
    for name, (search, _, _) in SEARCH.items():
        made = editor.add_by_keyboard(search)
        editor.rename_by_keyboard(made, name)
        for source, output, step, input in WIRES:
            if step == name:
                editor.connect_by_keyboard(source, output, made, input)
        if name in FIRST:
            editor.type_first(made, FIRST[name])
    page.keyboard.press("Control+Enter")
    editor.wait_done()
    assert same_as_the_starter(editor)


def test_a_wire_that_does_not_fit_is_not_made_and_says_why(editor: EditorPage) -> None:
    start = editor.socket("model", "vae", "output")
    end = editor.socket("paint", "latent", "input")
    box, other = start.bounding_box(), end.bounding_box()
    assert box and other
    mouse = editor.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(other["x"] + other["width"] / 2, other["y"] + other["height"] / 2, steps=6)
    expect(end).to_have_class(has("ll-fit-no"))
    mouse.up()
    assert editor.kept()["steps"]["paint"]["inputs"]["latent"] == {"join": ["size", "latent"]}


def test_a_wire_let_go_over_nothing_asks_for_a_node_that_fits_and_joins_it(editor: EditorPage) -> None:
    start = editor.socket("decode", "image", "output").bounding_box()
    assert start
    editor.drag((start["x"] + 4, start["y"] + 4), (start["x"] + 60, start["y"] + 420))
    field = editor.page.get_by_role("combobox", name="Nodes that fit IMAGE")
    field.fill("preview image")
    field.press("Enter")
    expect(field).not_to_be_visible()
    assert editor.kept()["steps"][editor.step_of("core/preview_image")]["inputs"]["image"] == {
        "join": ["decode", "image"]
    }


@pytest.mark.parametrize("path", [ROOT / "nodes" / "workflows" / "img2img.json"], ids=lambda path: Path(path).stem)
def test_a_workflow_that_is_dropped_opens(editor: EditorPage, path: Path) -> None:
    drop(editor, path)
    expect(editor.page.get_by_role("tab", selected=True)).to_have_text("Image to image")
    assert len(editor.kept()["steps"]) == 12


def drop(editor: EditorPage, path: Path) -> None:
    """Let go of a file over the page."""
    data = list(path.read_bytes())
    transfer = editor.page.evaluate_handle(
        """({ data, name, type }) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], name, { type }));
            return transfer;
        }""",
        {"data": data, "name": path.name, "type": "application/json" if path.suffix == ".json" else "image/png"},
    )
    for event in ("dragenter", "dragover", "drop"):
        editor.page.dispatch_event("main", event, {"dataTransfer": transfer})
