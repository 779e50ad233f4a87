"""Nothing is lost: a killed server, a reload during a run, two windows on one workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from editor_page import EditorPage
from editor_server import EditorServer
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def own(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EditorServer]:
    """A server that may be killed; whoever does starts it again."""
    server = EditorServer(tmp_path_factory.mktemp("own") / "data").start()
    yield server
    server.stop()


def set_number(editor: EditorPage, step: str, knob: str, value: str) -> None:
    field = editor.input(step, knob)
    field.fill(value)
    field.press("Enter")


def test_what_was_edited_while_the_server_was_away_survives_closing_the_page(
    own: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    own.wait_ready()
    own.forget_drafts()
    editor = new_page().open(own.ticket())
    editor.kept()
    own.kill()
    editor.input("prompt", "prompt").fill("a blue line")
    expect(editor.page.locator("[data-journal=offline]")).to_be_visible()
    second = new_page(beside=editor)
    editor.page.close()
    own.start()
    second.open(own.address)
    expect(second.input("prompt", "prompt")).to_have_value("a blue line")
    assert second.kept()["steps"]["prompt"]["inputs"]["prompt"] == "a blue line"


def test_a_server_killed_during_a_run_loses_nothing_and_the_run_goes_on(
    own: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    own.wait_ready()
    own.forget_drafts()
    editor = new_page().open(own.ticket())
    page = editor.page
    set_number(editor, "paint", "steps", "120")
    editor.run()
    expect(page.get_by_role("progressbar", name="Running")).to_be_visible()
    page.wait_for_function(
        "() => Number(document.querySelector('[data-step=paint] [role=progressbar]')?.ariaValueNow ?? 0) > 1"
    )
    own.kill()
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    editor.input("prompt", "prompt").fill("a green ring")  # said while nobody listens
    expect(page.locator("[data-journal=offline]")).to_be_visible()
    own.start()
    expect(page.get_by_text("The server does not answer")).not_to_be_visible(timeout=60_000)
    assert editor.kept()["steps"]["prompt"]["inputs"]["prompt"] == "a green ring"
    set_number(editor, "paint", "seed", "5")
    assert editor.kept()["steps"]["paint"]["inputs"]["seed"] == 5
    (run,) = own.ask("GET", "/api/runs")["runs"]
    assert run["status"] in ("queued", "running", "succeeded"), "the run was taken up again"
    editor.wait_done()
    expect(editor.node("save").locator("img.ll-picture")).to_be_visible()


def test_a_page_loaded_anew_during_a_run_shows_how_far_it_is(editor: EditorPage) -> None:
    page = editor.page
    set_number(editor, "paint", "steps", "150")
    editor.kept()
    editor.run()
    page.wait_for_function(
        "() => Number(document.querySelector('[data-step=paint] [role=progressbar]')?.ariaValueNow ?? 0) > 1"
    )
    page.reload()
    expect(page.get_by_role("progressbar", name="Running")).to_be_visible()
    expect(editor.node("paint").get_by_role("progressbar")).to_be_visible()
    expect(editor.node("prompt").locator(".ll-badge")).to_be_visible()
    editor.wait_done()
    expect(editor.node("save").locator("img.ll-picture")).to_be_visible()
    page.reload()
    expect(editor.node("save").locator("img.ll-picture")).to_be_visible()
    expect(editor.node("paint").locator(".ll-badge")).to_be_visible()


def open_draft(here: EditorPage, other: EditorPage) -> None:
    """Open in one window what is in front in another."""
    here.kept()
    draft = other.page.get_by_role("tab", selected=True).get_attribute("data-tab")
    here.page.get_by_role("button", name="Workflows and templates").click()
    here.page.locator(f'[data-draft="{draft}"]').click()
    expect(here.page.locator(f'[role=tab][data-tab="{draft}"]')).to_have_attribute("aria-selected", "true")
    here.kept()


def tabs(editor: EditorPage) -> list[str]:
    return editor.page.get_by_role("tab").evaluate_all("all => all.map((one) => one.dataset.tab)")


def test_each_window_keeps_its_own_tabs_and_a_closed_one_is_taken_up(
    editor: EditorPage, served: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    editor.new()
    editor.kept()
    second = new_page(beside=editor).open(served.address)
    expect(second.page.get_by_role("tab")).to_have_count(1)
    second.new()
    second.new()
    second.kept()
    first_tabs, second_tabs = tabs(editor), tabs(second)
    assert len(first_tabs) == 2 and len(second_tabs) == 3 and not set(first_tabs) & set(second_tabs)
    for one, expected in ((editor, first_tabs), (second, second_tabs)):
        one.page.reload()
        expect(one.page.get_by_role("tab")).to_have_count(len(expected))
        assert tabs(one) == expected
    second.page.close()
    third = new_page(beside=editor).open(served.address)
    expect(third.page.get_by_role("tab")).to_have_count(3)
    assert tabs(third) == second_tabs


def test_two_windows_on_one_workflow_do_not_overwrite_each_other(
    editor: EditorPage, served: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    editor.kept()
    second = new_page(beside=editor).open(served.address)
    open_draft(second, editor)
    set_number(editor, "paint", "seed", "11")
    editor.kept()
    banner = second.page.get_by_text("This workflow was changed in another window")
    expect(banner).to_be_visible()
    second.page.locator(".ll-canvas").focus()
    second.page.keyboard.press("Control+a")
    second.page.keyboard.press("Delete")  # nothing may be changed here now
    expect(second.page.locator("[data-step]")).to_have_count(7)
    second.page.get_by_role("button", name="Load that version").click()
    expect(banner).not_to_be_visible()
    expect(second.input("paint", "seed")).to_have_value("11")
    set_number(second, "paint", "seed", "12")
    second.kept()
    editor.page.get_by_role("button", name="Go on with a copy").click()
    expect(editor.page.get_by_role("tab", selected=True)).to_have_text("Text to image (copy)")
    set_number(editor, "paint", "seed", "13")
    assert editor.kept()["steps"]["paint"]["inputs"]["seed"] == 13
    assert second.kept()["steps"]["paint"]["inputs"]["seed"] == 12


def test_saved_versions_can_be_restored(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+s")
    dialog = page.get_by_role("dialog", name="Save workflow")
    dialog.get_by_role("textbox", name="Name").fill("Circles")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved version 1 of Circles.")).to_be_visible()
    set_number(editor, "paint", "seed", "21")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved version 2 of Circles.")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("menuitem", name="Versions…").click()
    page.get_by_role("listitem").filter(has_text="Version 1").get_by_role("button", name="Restore").click()
    expect(editor.input("paint", "seed")).to_have_value("1")
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Control+z")
    expect(editor.input("paint", "seed")).to_have_value("21")


def test_a_closed_workflow_that_was_not_saved_is_still_there(editor: EditorPage) -> None:
    page = editor.page
    set_number(editor, "paint", "seed", "31")
    editor.kept()
    page.keyboard.press("Alt+n")
    page.get_by_role("tab", name="Text to image").click()
    page.keyboard.press("Alt+w")
    expect(page.get_by_role("tab", name="Text to image")).to_have_count(0)
    page.get_by_role("button", name="Workflows and templates").click()
    page.get_by_role("heading", name="Not saved yet").locator("xpath=following-sibling::button[1]").click()
    expect(editor.input("paint", "seed")).to_have_value("31")


def test_a_node_that_nobody_knows_keeps_its_values_and_wires(editor: EditorPage) -> None:
    document = editor.kept()
    strange = {"kind": "gone/blur", "inputs": {"image": {"join": ["decode", "image"]}, "radius": 3}}
    document["steps"]["strange"] = strange | {"position": [1900, 0]}
    document["steps"]["save"]["inputs"]["image"] = {"join": ["strange", "image"]}
    editor.page.evaluate(
        """async (document) => {
            const { active } = JSON.parse(sessionStorage.getItem("latentloom.session"));
            const body = JSON.stringify({ document, revision: 1, name: "x" });
            const headers = { "Content-Type": "application/json" };
            await fetch(`/api/drafts/${active}`, { method: "POST", headers, body });
        }""",
        document,
    )
    editor.page.reload()
    expect(editor.page.get_by_role("button", name="1 problem")).to_be_visible()
    set_number(editor, "paint", "seed", "41")
    kept = editor.kept()["steps"]
    assert {name: kept["strange"][name] for name in strange} == strange
    assert kept["save"]["inputs"]["image"] == {"join": ["strange", "image"]}
