"""A pack's own widget is loaded, writes into the workflow, and can be turned off."""

from __future__ import annotations

from editor_page import EditorPage
from playwright.sync_api import expect


def test_the_widget_of_the_example_pack_writes_into_the_workflow(editor: EditorPage) -> None:
    page = editor.page
    page.locator(".ll-canvas").focus()
    step = editor.add_by_keyboard("gradient")
    field = editor.field(step, "count")
    expect(field.locator("output")).to_have_text("5")
    field.get_by_role("button", name="more").click()
    expect(field.locator("output")).to_have_text("6")
    assert editor.kept()["steps"][step]["inputs"]["count"] == 6
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Control+z")
    expect(field.locator("output")).to_have_text("5")


def test_packs_are_listed_and_their_widgets_can_be_turned_off(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+,")
    settings = page.get_by_role("dialog", name="Settings")
    expect(settings.get_by_text("Example", exact=True)).to_be_visible()
    settings.get_by_role("checkbox", name="Let packs bring their own widgets").uncheck()
    page.keyboard.press("Escape")
    page.locator(".ll-canvas").focus()
    step = editor.add_by_keyboard("gradient")
    expect(editor.field(step, "count").get_by_role("alert")).to_be_visible()
