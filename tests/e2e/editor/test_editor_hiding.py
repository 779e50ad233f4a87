"""A locked group stays where it is, with what lies in it."""

from __future__ import annotations

from editor_page import EditorPage, middle
from playwright.sync_api import expect

LOCK = "Lock in its place, or unlock"


def box(editor: EditorPage, step: str) -> dict[str, float]:
    found = editor.node(step).locator(".ll-node").bounding_box()
    assert found is not None
    return {**found}


def choose_in_menu(editor: EditorPage, at: tuple[float, float], name: str) -> None:
    editor.page.mouse.click(*at, button="right")
    editor.page.get_by_role("menuitem", name=name).click()


def test_a_locked_group_is_not_moved_or_deleted_until_it_is_unlocked(editor: EditorPage) -> None:
    page = editor.page
    editor.node("prompt").locator(".ll-head").click()
    editor.node("negative").locator(".ll-head").click(modifiers=["Shift"])
    page.keyboard.press("Control+g")
    inside = box(editor, "prompt")
    scale = inside["width"] / 264
    bar = (inside["x"] + 60 * scale, inside["y"] - 40 * scale)
    aside = (bar[0] + 12, bar[1] + 30)
    choose_in_menu(editor, bar, LOCK)
    locked = editor.kept()
    assert [one["locked"] for one in locked["groups"]] == [True]

    page.keyboard.press("Delete")
    editor.drag(bar, aside)  # on what is locked a drag moves the view
    seen = box(editor, "prompt")
    assert abs(seen["x"] - inside["x"] - 12) < 2
    after = editor.kept()
    assert (after["groups"], after["steps"]) == (locked["groups"], locked["steps"])
    editor.drag(middle(editor.node("prompt").locator(".ll-title")), (seen["x"] + 150, seen["y"] - 15))
    moved = editor.kept()
    assert moved["steps"]["prompt"]["position"] != locked["steps"]["prompt"]["position"]  # it has a lock of its own
    page.keyboard.press("Control+z")

    editor.wait_kept()
    page.reload()
    expect(editor.node("prompt")).to_be_visible()
    inside = box(editor, "prompt")
    scale = inside["width"] / 264
    bar = (inside["x"] + 60 * scale, inside["y"] - 40 * scale)
    choose_in_menu(editor, bar, LOCK)
    assert "locked" not in editor.kept()["groups"][0]
    editor.drag(bar, (bar[0] + 12, bar[1] + 30))
    free = editor.kept()
    assert free["groups"][0]["position"] != locked["groups"][0]["position"]
    assert free["steps"]["prompt"]["position"] != locked["steps"]["prompt"]["position"]
    page.keyboard.press("Delete")
    assert editor.kept()["groups"] == []
    assert set(editor.kept()["steps"]) == set(locked["steps"])
