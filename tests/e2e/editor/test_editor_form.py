"""The simple form, the difference between versions, the workflow as a program, and what the editor is built with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from editor_page import EditorPage
from editor_server import EditorServer
from playwright.sync_api import expect


def command(editor: EditorPage, text: str) -> None:
    """By the list of commands."""
    editor.page.keyboard.press("Control+k")
    editor.page.get_by_role("combobox", name="All commands").fill(text)
    editor.page.keyboard.press("Enter")


def test_a_workflow_is_run_from_its_form_and_stays_a_form(editor: EditorPage) -> None:
    page = editor.page
    page.get_by_role("button", name="Simple form").click()
    form = page.get_by_role("region", name="Form")
    fields = form.locator(".form-field label")
    expect(fields).to_have_text(["Prompt", "Negative", "width", "height", "seed", "steps"])
    form.get_by_role("textbox", name="Prompt, Prompt").fill("a small green circle")
    form.get_by_role("button", name="Take height out of the form").click()
    form.get_by_role("combobox", name="Add a field…").select_option(label="Paint · solver")
    expect(fields).to_have_text(["Prompt", "Negative", "width", "seed", "steps", "solver"])
    form.get_by_role("button", name="Run", exact=True).click()
    made = page.get_by_role("region", name="Results")
    expect(made.get_by_role("button").locator("img")).to_be_visible(timeout=60_000)
    assert editor.kept()["steps"]["prompt"]["inputs"]["prompt"] == "a small green circle"

    page.reload()  # it is in the document
    expect(fields).to_have_count(6)
    expect(made.get_by_role("button").locator("img")).to_be_visible()
    form.get_by_role("button", name="Show the canvas").click()
    expect(editor.input("prompt", "prompt")).to_have_value("a small green circle")
    editor.field("paint", "denoise").locator("label").click(button="right")
    page.get_by_role("menuitem", name="Put it into the form").click()
    page.get_by_role("button", name="Simple form").click()
    expect(fields.last).to_have_text("denoise")


def test_versions_are_compared_with_what_is_open(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+s")
    page.get_by_role("dialog").get_by_role("textbox", name="Name").fill("Compared")
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved version 1 of Compared.")).to_be_visible()
    editor.input("paint", "seed").fill("314")
    editor.input("paint", "seed").press("Enter")
    command(editor, "versions")
    versions = page.get_by_role("dialog", name="Versions of Compared")
    versions.get_by_role("button", name="Compare").click()
    changes = versions.locator(".changes")
    expect(changes.locator("dt")).to_have_text(["Paint"])
    expect(changes.locator("dd")).to_have_count(1)
    expect(changes.locator("del")).to_have_text("1")
    expect(changes.locator("ins")).to_have_text("314")


def test_the_workflow_copied_as_python_runs_it(editor: EditorPage, served: EditorServer, tmp_path: Path) -> None:
    page = editor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.input("paint", "seed").fill("2718")
    editor.input("paint", "seed").press("Enter")
    command(editor, "copy as a python")
    expect(page.get_by_text("LATENTLOOM_TOKEN")).to_be_visible()
    program = tmp_path / "program.py"
    program.write_text(page.evaluate("navigator.clipboard.readText()"), encoding="utf-8")
    env = os.environ | {"LATENTLOOM_TOKEN": served.token}
    done = subprocess.run(
        [sys.executable, program.name], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    status, name = done.stdout.split()
    assert status == "succeeded" and (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_what_the_editor_is_built_with_is_listed_with_its_licences(editor: EditorPage) -> None:
    page = editor.page
    command(editor, "licences")
    about = page.get_by_role("dialog", name="About Latent Loom")
    react_flow = about.get_by_role("listitem").filter(has_text="@xyflow/react")
    react_flow.locator("summary").click()
    expect(react_flow.locator("pre")).to_contain_text("Permission is hereby granted")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="React Flow attribution")).to_be_visible()
