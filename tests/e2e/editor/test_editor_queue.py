"""The queue, the gallery, grids of runs, templates: what lies around the canvas."""

from __future__ import annotations

import re

from editor_page import EditorPage
from playwright.sync_api import expect


def test_waiting_runs_are_put_in_front_and_cancelled_one_by_one_or_all(editor: EditorPage) -> None:
    page = editor.page
    page.get_by_role("button", name="Pause the queue").click()
    for count in (1, 2, 3):
        editor.run()
        expect(editor.runs()).to_have_count(count)
    waiting = page.get_by_role("region", name="Waiting").locator("[data-run-id]")
    expect(waiting).to_have_count(3)
    id = waiting.nth(2).get_attribute("data-run-id") or ""
    last = page.locator(f'[data-run-id="{id}"]')  # that run, wherever the list has it
    last.hover()
    last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="To the front").click()
    expect(waiting.nth(0)).to_have_attribute("data-run-id", id)
    last.hover()
    last.get_by_role("button", name="Cancel").click()
    expect(waiting).to_have_count(2)
    page.get_by_role("button", name="Cancel everything that waits").click()
    expect(waiting).to_have_count(0)
    page.get_by_role("button", name="Resume the queue").first.click()
    expect(page.get_by_role("button", name="Pause the queue")).to_be_visible()


def test_a_cancelled_run_can_be_run_again(editor: EditorPage) -> None:
    page = editor.page
    editor.input("paint", "steps").fill("1000")
    editor.input("paint", "steps").press("Enter")
    editor.run()
    expect(page.get_by_role("progressbar", name="Running")).to_be_visible()
    page.get_by_role("button", name="Cancel the run").click()
    cancelled = page.locator('[data-run-id][aria-label$=", Cancelled"]')
    expect(cancelled).to_have_count(1)
    cancelled.hover()
    cancelled.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Run again").click()
    expect(page.get_by_role("progressbar", name="Running")).to_be_visible()
    page.get_by_role("button", name="Cancel the run").click()
    expect(cancelled).to_have_count(2)


def test_a_grid_of_runs_is_shown_with_its_labels(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Alt+b")
    dialog = page.get_by_role("dialog", name="Run over several values")
    expect(dialog.get_by_role("combobox", name="Across")).to_have_value(re.compile(r"\d+"))
    dialog.get_by_role("textbox").first.fill("1..2")
    dialog.get_by_role("combobox", name="Down").select_option(label="Paint · steps")
    dialog.get_by_role("textbox").nth(1).fill("2, 3")
    dialog.get_by_role("button", name="Run 4").click()
    grid = page.get_by_role("dialog", name=re.compile("^Grid: Paint · seed"))
    expect(grid.get_by_role("columnheader")).to_have_text(["1", "2"])
    expect(grid.get_by_role("rowheader")).to_have_text(["2", "3"])
    expect(grid.locator("img")).to_have_count(4, timeout=90_000)


def test_a_picture_of_the_gallery_says_how_it_was_made_and_opens_as_its_workflow(editor: EditorPage) -> None:
    page = editor.page
    editor.input("paint", "seed").fill("77")
    editor.input("paint", "seed").press("Enter")
    editor.run()
    editor.wait_done()
    page.get_by_role("button", name="Gallery").click()
    page.locator(".gallery .picture").first.click()
    viewer = page.get_by_role("dialog")
    expect(viewer.get_by_text("77", exact=True)).to_be_visible()
    expect(viewer.get_by_text("a large red circle on the left")).to_be_visible()
    viewer.get_by_role("button", name="Open as workflow").click()
    expect(page.get_by_role("tab")).to_have_count(2)
    expect(editor.input("paint", "seed")).to_have_value("77")


def test_templates_say_whether_their_models_are_there(editor: EditorPage) -> None:
    page = editor.page
    page.get_by_role("button", name="Workflows and templates").click()
    card = page.locator(".card").filter(has_text="Image to image")
    expect(card.get_by_text("ready to run")).to_be_visible()
    card.click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("Image to image")
    assert len(editor.kept()["steps"]) == 12


def test_every_command_is_found_by_its_name(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+k")
    page.keyboard.type("snap")
    option = page.get_by_role("option", name=re.compile("^Snap to grid"))
    expect(option).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("decode lat")
    page.keyboard.press("Enter")
    expect(editor.node("decode")).to_be_focused()
