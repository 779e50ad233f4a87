"""Packs' widgets, commands, panels, settings; each is turned off alone, and none breaks another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from editor_page import EditorPage
from editor_server import ROOT, EditorServer
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


def test_one_pack_is_turned_off_and_its_value_is_still_edited(editor: EditorPage) -> None:
    page = editor.page
    page.locator(".ll-canvas").focus()
    step = editor.add_by_keyboard("gradient")
    editor.field(step, "count").get_by_role("button", name="more").click()
    expect(page.get_by_role("button", name="Colours")).to_be_visible()

    page.keyboard.press("Control+,")
    settings = page.get_by_role("dialog", name="Settings")
    settings.get_by_role("searchbox").fill("example")
    settings.get_by_role("checkbox", name="Let Example run in the page").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Colours")).to_have_count(0)
    expect(editor.input(step, "count")).to_have_value("6")  # the usual widget, the same value
    editor.input(step, "count").fill("9")
    editor.input(step, "count").press("Enter")
    assert editor.kept()["steps"][step]["inputs"]["count"] == 9

    page.reload()  # it stays so
    expect(editor.input(step, "count")).to_have_value("9")
    page.keyboard.press("Control+,")
    settings.get_by_role("checkbox", name="Let Example run in the page").check()
    page.keyboard.press("Escape")
    expect(editor.field(step, "count").locator("output")).to_have_text("9")


def test_a_packs_command_panel_and_setting(editor: EditorPage) -> None:
    page = editor.page
    page.locator(".ll-canvas").focus()
    step = editor.add_by_keyboard("gradient")
    page.get_by_role("button", name="Colours").click()
    panel = page.get_by_role("complementary", name="Colours")
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("swap the col")
    expect(page.get_by_role("option", name=re.compile("^Swap the colours of gradients"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("listitem")).to_have_text(["#ffffff", "#000000"])
    swapped = {"first": "#ffffff", "last": "#000000"}
    assert editor.kept()["steps"][step]["inputs"].items() >= swapped.items()
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Alt+Shift+X")
    expect(panel.get_by_role("listitem")).to_have_text(["#000000", "#ffffff"])
    page.keyboard.press("Control+z")  # both values in one step
    expect(panel.get_by_role("listitem")).to_have_text(["#ffffff", "#000000"])
    page.keyboard.press("Control+,")
    page.get_by_role("checkbox", name="Copy colours with #").uncheck()
    page.keyboard.press("Escape")
    expect(panel.get_by_role("listitem")).to_have_text(["ffffff", "000000"])


@pytest.fixture(scope="module")
def with_a_bad_pack(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EditorServer]:
    """A server with the example pack and one whose module throws."""
    folder = tmp_path_factory.mktemp("packs")
    web = folder / "custom_nodes" / "bad" / "web"
    web.mkdir(parents=True)
    (web.parent / "__init__.py").write_text('TITLE = "Bad luck"\nEDITOR = "web/editor.js"\n')
    (web / "editor.js").write_text(
        """export const api = 1;
        export function activate(app) {
          app.commands.add({ id: "one", label: "Unlucky command", run() { throw new Error("seven years of it"); } });
          throw new Error("a black cat");
        }"""
    )
    (folder / "custom_nodes" / "example").symlink_to(ROOT / "custom_nodes" / "example")
    server = EditorServer(folder / "data", custom_nodes=folder / "custom_nodes").start()
    server.wait_ready()
    yield server
    server.stop()


def test_what_a_pack_throws_is_shown_with_its_name_and_the_others_go_on(
    with_a_bad_pack: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    editor = new_page().open(with_a_bad_pack.ticket())
    page = editor.page
    expect(page.get_by_text("bad: a black cat")).to_be_visible()
    expect(page.get_by_role("button", name="Colours")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("unlucky")
    page.keyboard.press("Enter")
    expect(page.get_by_text("bad: seven years of it")).to_be_visible()
    page.keyboard.press("Control+,")
    pack = page.get_by_role("dialog", name="Settings").get_by_role("listitem").filter(has_text="Bad luck")
    expect(pack.get_by_text("a black cat")).to_be_visible()
    pack.get_by_role("checkbox").uncheck()
    expect(pack.get_by_text("a black cat")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("unlucky")
    expect(page.get_by_role("option")).to_have_count(0)
