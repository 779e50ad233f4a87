"""Unused sockets are hidden and come back; a locked group stays where it is, with what lies in it."""

from __future__ import annotations

from editor_page import EditorPage, has, middle
from playwright.sync_api import expect

HIDE = "Hide unused sockets, or show them"
LOCK = "Lock in its place, or unlock"


def box(editor: EditorPage, step: str) -> dict[str, float]:
    found = editor.node(step).locator(".ll-node").bounding_box()
    assert found is not None
    return {**found}


def choose_in_menu(editor: EditorPage, at: tuple[float, float], name: str) -> None:
    editor.page.mouse.click(*at, button="right")
    editor.page.get_by_role("menuitem", name=name).click()


def test_unused_sockets_are_hidden_take_a_wire_that_is_let_go_over_the_node_and_come_back(editor: EditorPage) -> None:
    page = editor.page
    noise = editor.socket("paint", "noise", "input")
    expect(noise).to_be_visible()
    tall = box(editor, "paint")
    choose_in_menu(editor, middle(editor.node("paint").locator(".ll-title")), HIDE)
    expect(noise).to_have_count(0)
    expect(editor.socket("paint", "sigmas", "input")).to_have_count(0)
    expect(editor.socket("paint", "latent", "input")).to_be_visible()
    low = box(editor, "paint")
    assert low["height"] < tall["height"]
    assert editor.kept()["steps"]["paint"]["compact"] is True

    # Where it was until now is ground: pressed, nothing is chosen.
    editor.node("paint").locator(".ll-title").click()
    page.mouse.click(low["x"] + low["width"] / 2, (low["y"] + low["height"] + tall["y"] + tall["height"]) / 2)
    expect(page.locator(".ll-selected")).to_have_count(0)

    page.mouse.move(*middle(editor.socket("size", "latent", "output")))
    page.mouse.down()
    page.mouse.move(*middle(editor.node("paint").locator(".ll-title")), steps=6)
    expect(page.locator(".ll-why")).to_have_text("noise")  # which of those that are not seen it would take
    page.mouse.up()
    expect(page.locator(".ll-why")).to_have_count(0)
    expect(noise).to_have_class(has("ll-joined"))
    assert editor.kept()["steps"]["paint"]["inputs"]["noise"] == {"join": ["size", "latent"]}
    page.keyboard.press("Control+z")
    expect(noise).to_have_count(0)

    editor.wait_kept()
    page.reload()
    expect(editor.node("paint")).to_be_visible()
    expect(noise).to_have_count(0)
    editor.node("paint").locator(".ll-title").click()
    page.keyboard.press("Control+d")
    steps = editor.kept()["steps"]
    assert [one.get("compact") for id, one in steps.items() if one["kind"] == "core/sample"] == [True, True]
    page.keyboard.press("Control+z")
    editor.node("paint").locator(".ll-title").click()
    page.keyboard.press("Shift+h")
    expect(noise).to_be_visible()
    assert "compact" not in editor.kept()["steps"]["paint"]
    assert box(editor, "paint")["height"] == tall["height"]


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
    expect(page.get_by_text("A locked group is not removed.")).to_be_visible()
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
