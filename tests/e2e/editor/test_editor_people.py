"""For everybody: no serious finding of axe-core, a small first load, one's own keys, larger text, touch."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from editor_page import EditorPage, findings, has, middle
from editor_server import EditorServer
from playwright.sync_api import expect

BUDGET = 350 * 1024


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_main_views(
    served: EditorServer, new_page: Callable[..., EditorPage], scheme: str
) -> None:
    served.forget_drafts()
    editor = new_page(color_scheme=scheme).open(served.ticket())
    page = editor.page
    editor.run()
    editor.wait_done(1) if scheme == "light" else expect(page.locator("[data-run-id]").first).to_be_visible()
    found = {"run": findings(editor)}
    for panel in ("Node library", "Workflows and templates", "Gallery", "Outline"):
        page.get_by_role("button", name=panel).click()
        expect(page.locator(".side.left header")).to_be_visible()
        found[panel] = findings(editor)
    editor.node("paint").locator(".ll-head").click()
    page.get_by_role("button", name="Node details").click()
    expect(page.get_by_role("heading", name="Details")).to_be_visible()
    found["details"] = findings(editor)
    for key, name in (("Control+k", "All commands"), ("?", "Keyboard shortcuts"), ("Control+,", "Settings")):
        page.locator(".ll-canvas").focus()
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        found[name] = findings(editor)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name=name)).not_to_be_visible()
    assert {view: one for view, one in found.items() if one} == {}


def test_the_first_load_is_small(served: EditorServer, new_page: Callable[..., EditorPage]) -> None:
    editor = new_page()
    loaded: dict[str, int] = {}

    def heard(answer: Any) -> None:
        if answer.url.startswith(served.address) and re.search(r"\.(js|css|svg)$|/$", answer.url.split("?")[0]):
            loaded[answer.url] = len(gzip.compress(answer.body(), 9))

    address = served.ticket()
    editor.page.on("requestfinished", lambda request: heard(request.response()) if request.response().ok else None)
    editor.open(address)
    expect(editor.page.locator("[data-step]").first).to_be_visible()
    assert loaded and sum(loaded.values()) <= BUDGET, loaded


def test_what_a_browser_takes_packed_is_sent_packed(bundle: Path, served: EditorServer) -> None:
    import urllib.request

    name = next((bundle / "assets").glob("index-*.js")).name
    plain = {"Authorization": f"Bearer {served.token}"}
    sizes = []
    for headers in (plain, plain | {"Accept-Encoding": "gzip"}):
        with urllib.request.urlopen(
            urllib.request.Request(f"{served.address}/assets/{name}", headers=headers)
        ) as answer:
            data = answer.read()
            packed = answer.headers.get("Content-Encoding") == "gzip"
            assert "immutable" in answer.headers["Cache-Control"]
            assert (gzip.decompress(data) if packed else data) == (bundle / "assets" / name).read_bytes()
            sizes.append(len(data))
    assert sizes[1] < sizes[0] / 2


def test_a_shortcut_that_was_changed_is_the_one_that_works(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+,")
    page.get_by_role("searchbox", name="Search settings").fill("queue")
    page.get_by_role("button", name=re.compile("^Change the shortcut of Queue")).click()
    page.keyboard.press("Alt+q")
    page.keyboard.press("Escape")
    queue = page.get_by_role("complementary", name="Queue")
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Alt+6")
    expect(queue).to_be_visible()
    page.keyboard.press("Alt+q")
    expect(queue).not_to_be_visible()


def test_theme_and_text_size_are_kept(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Control+,")
    before = page.locator("h2", has_text="Settings").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
    page.get_by_role("combobox", name="Theme").select_option("dark")
    page.get_by_role("combobox", name="Text size").select_option("larger")
    page.reload()
    expect(editor.node("paint")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Control+,")
    after = page.locator("h2", has_text="Settings").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
    assert after > before * 1.3


def test_the_outline_names_the_whole_workflow_and_leads_to_a_field(editor: EditorPage) -> None:
    page = editor.page
    page.get_by_role("button", name="Outline").click()
    items = page.get_by_role("treeitem")
    expect(items).to_have_count(7)
    items.filter(has_text="Paint").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("treeitem", name="model, from Load checkpoint").first).to_be_visible()
    seed = page.get_by_role("treeitem", name="seed: 1", exact=True)
    seed.focus()
    page.keyboard.press("Enter")
    expect(editor.input("paint", "seed")).to_be_focused()


class Fingers:
    """Real touch, by the browser's own protocol: what a page sees of fingers on a glass."""

    def __init__(self, editor: EditorPage) -> None:
        self.cdp = editor.page.context.new_cdp_session(editor.page)

    def __call__(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def tap(self, at: tuple[float, float]) -> None:
        self("touchStart", at)
        self("touchEnd")


def touched(served: EditorServer, new_page: Callable[..., EditorPage]) -> tuple[EditorPage, Fingers]:
    served.forget_drafts()
    editor = new_page(has_touch=True, viewport={"width": 1400, "height": 900}).open(served.ticket())
    expect(editor.node("save")).to_be_visible()
    return editor, Fingers(editor)


def test_a_finger_detaches_by_a_long_press_and_joins_again_by_tapping_both_ends(
    served: EditorServer, new_page: Callable[..., EditorPage]
) -> None:
    editor, fingers = touched(served, new_page)
    wire = editor.kept()["steps"]["save"]["inputs"]["image"]
    fingers("touchStart", middle(editor.node("save").locator(".ll-title")))
    detach = editor.page.get_by_role("menuitem", name="Detach its wires")
    expect(detach).to_be_visible()  # while the finger is still down
    fingers("touchEnd")
    fingers.tap(middle(detach))
    expect(editor.socket("save", "image", "input")).not_to_have_class(has("ll-joined"))
    assert "image" not in editor.kept()["steps"]["save"]["inputs"]

    fingers.tap(middle(editor.socket("decode", "image", "output")))
    fingers.tap(middle(editor.socket("paint", "latent", "input")))  # does not fit: nothing is joined
    fingers.tap(middle(editor.socket("decode", "image", "output")))
    fingers.tap(middle(editor.socket("save", "image", "input")))
    expect(editor.socket("save", "image", "input")).to_have_class(has("ll-joined"))
    made = editor.kept()["steps"]
    assert made["save"]["inputs"]["image"] == wire == {"join": ["decode", "image"]}
    assert made["paint"]["inputs"]["latent"] == {"join": ["size", "latent"]}


def test_two_fingers_zoom_about_what_is_between_them(served: EditorServer, new_page: Callable[..., EditorPage]) -> None:
    editor, fingers = touched(served, new_page)
    percent = editor.page.get_by_role("toolbar", name="Zoom").locator(".percent")
    before = int(percent.inner_text().split()[0])
    x, y = middle(editor.node("paint").locator(".ll-title"))
    fingers("touchStart", (x - 40, y))
    fingers("touchStart", (x - 40, y), (x + 40, y))
    for n in range(1, 6):
        fingers("touchMove", (x - 40 - 4 * n, y), (x + 40 + 4 * n, y))
    fingers("touchEnd")
    expect(percent).to_have_text(re.compile(rf"^({'|'.join(str(round(before * 1.5) + n) for n in (-1, 0, 1))}) %"))
    after = middle(editor.node("paint").locator(".ll-title"))
    assert abs(after[0] - x) < 3 and abs(after[1] - y) < 3


def test_the_theme_has_colours_of_ones_own_and_says_what_is_hard_to_read(editor: EditorPage) -> None:
    page = editor.page
    colour = "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"

    def settings() -> Any:
        page.keyboard.press("Control+,")
        return page.get_by_role("dialog", name="Settings")

    usual = page.evaluate(colour, "--surface-2")
    dialog = settings()
    dialog.get_by_role("combobox", name="Start from").select_option(label="Forest")
    assert page.evaluate(colour, "--surface") == "#f8fcf9"
    assert page.evaluate(colour, "--surface-2") != usual, "what follows from a colour follows"
    dialog.get_by_label("Nodes", exact=True).fill("#20301f")
    expect(dialog.get_by_text("Text on Nodes is hard to read")).to_be_visible()
    expect(dialog.get_by_role("combobox", name="Start from")).to_have_value("")
    expect(editor.node("paint").locator(".ll-head")).to_have_css("background-color", re.compile("rgb"))
    assert page.evaluate(colour, "--node-bg") == "#20301f"
    dialog.get_by_role("button", name="Nodes: back to the theme's").click()
    expect(dialog.get_by_text("is hard to read")).to_have_count(0)
    page.keyboard.press("Escape")
    page.reload()
    expect(editor.node("paint")).to_be_visible()
    assert page.evaluate(colour, "--surface") == "#f8fcf9", "it is kept"
    dialog = settings()
    dialog.get_by_label("Contrast").select_option(label="High")
    assert page.evaluate(colour, "--surface") in ("#ffffff", "#fff"), "high contrast has its own colours"
    dialog.get_by_label("Contrast").select_option(label="Normal")
    dialog.get_by_label("Theme", exact=True).select_option(label="Dark")
    expect(dialog.get_by_role("region", name="Colours of the dark theme")).to_be_visible()
    assert page.evaluate(colour, "--surface") == "#1c1f27", "the other theme is as it was"
    page.keyboard.press("Escape")
