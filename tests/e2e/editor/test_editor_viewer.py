"""The viewer: two pictures compared in three ways, and its buttons at the widths that people have."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

import pytest
from editor_page import EditorPage, findings, middle
from editor_server import EditorServer
from playwright.sync_api import Locator, expect

SEEDS = count(501)  # each is painted once: what is answered from the cache makes no new picture


def compared(editor: EditorPage) -> Locator:
    """The viewer with two painted pictures, one against the other."""
    page = editor.page
    for painted in (1, 2):
        editor.input("paint", "seed").fill(str(next(SEEDS)))
        editor.input("paint", "seed").press("Enter")
        editor.run()
        editor.wait_done(painted)
    page.get_by_role("button", name="Gallery").click()
    page.locator(".gallery .picture").first.click()
    viewer = page.get_by_role("dialog")
    viewer.get_by_role("button", name="Compare").click()
    expect(viewer.locator(".compare img")).to_have_count(2)
    return viewer


def sources(pictures: Locator) -> list[str | None]:
    return [one.get_attribute("src") for one in pictures.all()]


def test_two_pictures_are_compared_by_an_edge_or_beside_each_other(editor: EditorPage) -> None:
    viewer = compared(editor)
    edge = viewer.get_by_role("slider", name="How much of the other picture is seen")
    above = viewer.locator(".compare .above")
    assert "50%" in (above.get_attribute("style") or "")
    edge.focus()
    editor.page.keyboard.press("Home")
    assert "0%" in (above.get_attribute("style") or "") and "50%" not in (above.get_attribute("style") or "")
    shown = sources(viewer.locator(".compare img"))
    assert len(set(shown)) == 2
    viewer.get_by_role("button", name="Beside each other").click()
    assert sources(viewer.locator(".beside img")) == shown
    viewer.get_by_role("button", name="Stop comparing").click()
    expect(viewer.locator(".beside")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_pictures_are_shown_by_turns_when_one_presses_and_the_one_that_is_seen_is_named(
    served: EditorServer, new_page: Callable[..., EditorPage], scheme: str
) -> None:
    served.forget_drafts()
    served.ask("POST", "/api/runs/clear", {})
    editor = new_page(color_scheme=scheme).open(served.ticket())  # by someone who wants less motion
    page, viewer = editor.page, compared(editor)
    where = viewer.locator(".compare img").first.bounding_box()
    shown = sources(viewer.locator(".compare img"))
    names = [one.get_attribute("aria-label") for one in viewer.locator(".strip .picture[aria-pressed=true]").all()]
    viewer.get_by_role("button", name="By turns").click()

    def expect_seen(at: int) -> None:
        expect(viewer.get_by_text(f"{at + 1} of 2: {names[at]}", exact=True)).to_be_visible()
        seen = viewer.locator(".flicker img:visible")
        expect(seen).to_have_count(1)
        assert seen.get_attribute("src") == shown[at]
        assert seen.bounding_box() == where

    expect_seen(0)
    expect(viewer.get_by_role("button", name="Change by itself")).to_be_visible()  # it has not begun
    page.keyboard.press("x")  # the button of the mode still has the focus
    expect_seen(1)
    picture = viewer.get_by_role("button", name="Show the other picture")
    page.mouse.click(*middle(picture))
    expect_seen(0)
    expect(picture).to_be_focused()
    page.keyboard.press("Space")
    expect_seen(1)
    expect(viewer.locator("[aria-live=polite]")).to_have_text(f"2 of 2: {names[1]}")
    assert findings(editor) == []


def test_two_pictures_change_by_themselves_as_often_as_one_wants_until_they_are_paused(
    served: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    served.forget_drafts()
    served.ask("POST", "/api/runs/clear", {})
    editor = new_page(reduced_motion="no-preference").open(served.ticket())
    page, viewer = editor.page, compared(editor)
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    viewer.get_by_role("button", name="By turns").click()

    def expect_seen(at: int) -> None:
        expect(viewer.get_by_text(re.compile(f"^{at + 1} of 2: "))).to_be_visible()

    expect_seen(0)
    page.clock.run_for(990)
    expect_seen(0)
    page.clock.run_for(20)
    expect_seen(1)
    expect(viewer.locator(".flicker-bar [aria-live]")).to_have_attribute("aria-live", "off")  # nobody could listen
    rate = viewer.get_by_role("slider", name="Changes a second")
    expect(rate).to_have_value("1")
    rate.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_text("2/s")).to_be_visible()
    page.clock.run_for(510)
    expect_seen(0)
    viewer.get_by_role("button", name="Pause").click()
    expect(viewer.get_by_role("button", name="Change by itself")).to_be_visible()
    page.clock.run_for(5000)
    expect_seen(0)


def test_the_buttons_beside_a_picture_are_on_one_line_and_say_what_they_do(editor: EditorPage) -> None:
    viewer = compared(editor)
    buttons = [viewer.get_by_role("button", name="Stop comparing"), viewer.get_by_role("link", name="Download")]
    for width, words in ((1440, True), (1280, True), (900, False), (700, True)):
        editor.page.set_viewport_size({"width": width, "height": 800})
        for text in ("normal", "larger"):
            editor.page.evaluate("(text) => { document.documentElement.dataset.text = text; }", text)
            boxes = [one.bounding_box() for one in buttons]
            edge = viewer.locator(".facts").bounding_box()
            assert edge is not None and all(boxes), width
            assert len({(one["y"], one["height"]) for one in boxes if one}) == 1, (width, text)
            assert all(one["x"] + one["width"] <= edge["x"] + edge["width"] for one in boxes if one), (width, text)
            for one, name in zip(buttons, ("Stop comparing", "Download"), strict=True):
                seen = one.locator("span").bounding_box()
                assert seen is not None and (seen["height"] > 1) == words, (width, text)
                expect(one).to_have_attribute("title", name)


def test_one_looks_closer_at_a_place_and_sees_the_same_place_of_the_picture_that_it_is_compared_with(
    editor: EditorPage,
) -> None:
    page, viewer = editor.page, compared(editor)
    pictures = viewer.locator(".pane img")

    def look() -> tuple[float, float, float]:
        """Zoom, and where the middle of the picture is: of all pictures the same."""
        seen = {one.evaluate("one => getComputedStyle(one).transform") for one in pictures.all()}
        assert len(seen) == 1
        matrix = seen.pop()
        if matrix == "none":
            return 1, 0, 0
        numbers = [float(one) for one in matrix.removeprefix("matrix(").removesuffix(")").split(",")]
        return numbers[0], numbers[4], numbers[5]

    def percent() -> int:
        return int((viewer.locator(".zoom-bar .percent").text_content() or "").removesuffix(" %"))

    assert look() == (1, 0, 0)
    whole = percent()
    assert whole > 300, "a picture of 128 pixels is shown larger than it is"
    x, y = middle(pictures.first)
    page.mouse.move(x + 100, y - 50)
    page.mouse.wheel(0, -500)
    expect(viewer.locator(".frame")).to_have_class(re.compile(r"\bnear\b"))
    zoom, right, down = look()
    assert zoom > 1.3
    assert (right, down) == pytest.approx((100 * (1 - zoom), -50 * (1 - zoom)), abs=1), "what is at the pointer stays"
    assert percent() == pytest.approx(whole * zoom, abs=1)
    viewer.get_by_role("button", name="Beside each other").click()
    assert look()[0] == zoom
    x, y = middle(viewer.locator(".beside .pane").nth(1))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y + 20, steps=4)
    page.mouse.up()
    moved = look()
    assert moved[2] > down
    viewer.get_by_role("button", name="By turns").click()
    flicker = viewer.get_by_role("button", name="Show the other picture")
    before = viewer.locator(".pane:not(.away) img").get_attribute("src")
    x, y = middle(flicker)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    page.mouse.up()
    assert look()[1] > moved[1], "a drag moves"
    assert viewer.locator(".pane:not(.away) img").get_attribute("src") == before, "and does not press the button"
    flicker.click()
    assert viewer.locator(".pane:not(.away) img").get_attribute("src") != before
    assert findings(editor) == []
    page.keyboard.press("0")
    expect(viewer.get_by_role("button", name="Show all of it")).to_be_disabled()
    assert look() == (1, 0, 0)
    page.keyboard.press("+")
    at = look()
    page.keyboard.press("Shift+ArrowRight")
    assert look()[0] == at[0] == 1.5 and look()[1] < at[1]
    viewer.get_by_role("button", name="Stop comparing").click()
    assert look() == (1, 0, 0), "another picture is seen as a whole"
    viewer.locator(".pane").dblclick()
    assert look()[0] == 2
    viewer.locator(".pane").dblclick()
    assert look() == (1, 0, 0)
