"""What is dropped opens: a workflow whose model is not here, a picture with settings in words."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from editor_page import EditorPage
from editor_server import EditorServer
from PIL import Image, PngImagePlugin
from playwright.sync_api import expect


def open_file(editor: EditorPage, path: Path) -> None:
    """As by the command that opens a file."""
    page = editor.page
    page.get_by_role("button", name="Menu").click()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("menuitem", name="Open a file or picture…").click()
    chosen.value.set_files(path)


def test_a_missing_model_is_named_and_its_twin_is_one_click_away(
    editor: EditorPage, served: EditorServer, tmp_path: Path
) -> None:
    page = editor.page
    (starter,) = [one for one in served.ask("GET", "/api/models")["models"] if one["name"] == "starter/flux1"]
    document = editor.kept()
    document["steps"]["model"]["inputs"]["file"] = "of my own.safetensors"
    document["models"] = {"checkpoint": {"of my own.safetensors": starter["fingerprint"]}}
    document["title"] = "From elsewhere"
    path = tmp_path / "given.json"
    path.write_text(json.dumps(document))
    open_file(editor, path)
    expect(page.get_by_role("tab", selected=True)).to_have_text("From elsewhere")
    banner = page.locator(".banner.missing")
    expect(banner).to_contain_text("Load checkpoint needs the checkpoint of my own.safetensors")
    expect(banner).to_contain_text("Looked in ")
    expect(page.get_by_role("button", name="1 problem")).to_be_visible()
    same = re.compile("Use starter/flux1, which has the same content")
    expect(editor.field("model", "file")).to_have_attribute("title", same)
    banner.get_by_role("button", name="Use starter/flux1 (same content)").click()
    expect(banner).to_have_count(0)
    expect(page.get_by_role("button", name="1 problem")).to_have_count(0)
    assert editor.kept()["steps"]["model"]["inputs"]["file"] == "starter/flux1"


def test_a_picture_with_settings_in_words_opens_as_a_workflow_with_a_report(editor: EditorPage, tmp_path: Path) -> None:
    page = editor.page
    info = PngImagePlugin.PngInfo()
    info.add_text(
        "parameters",
        "a green square\nNegative prompt: blur\n"
        "Steps: 7, Sampler: Euler a, CFG scale: 3, Seed: 99, Size: 128x64, Model: starter/flux1, Clip skip: 2",
    )
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=info)
    path = tmp_path / "castle.png"
    path.write_bytes(stream.getvalue())
    open_file(editor, path)
    expect(page.get_by_role("tab", selected=True)).to_have_text("castle")
    expect(page.get_by_text("Clip skip: 2")).to_be_visible()
    expect(editor.input("paint", "seed")).to_have_value("99")
    steps = editor.kept()["steps"]
    assert steps["prompt"]["inputs"]["prompt"] == "a green square"
    assert steps["paint"]["inputs"]["solver"] == "euler_ancestral"
    assert steps["size"]["inputs"]["width"] == 128
