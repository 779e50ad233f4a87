"""Running: progress, previews, the picture; what was reused; errors on their field; undo; subgraphs."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

from editor_page import EditorPage, has, middle, plain
from editor_server import EditorServer
from playwright.sync_api import expect
from test_editor_building import drop


def painted(editor: EditorPage) -> None:
    editor.run()
    editor.wait_done()


def set_number(editor: EditorPage, step: str, knob: str, value: str) -> None:
    field = editor.input(step, knob)
    field.fill(value)
    field.press("Enter")


def test_a_run_shows_its_progress_previews_and_picture_on_the_nodes(editor: EditorPage) -> None:
    page = editor.page
    set_number(editor, "paint", "steps", "200")
    page.evaluate(
        """() => {
            window.seen = { titles: new Set(), parts: new Set(), previews: new Set(), bars: new Set() };
            const look = () => {
                window.seen.titles.add(document.title);
                const bar = document.querySelector('[data-step="paint"] [role=progressbar]:not([hidden])');
                if (bar) window.seen.parts.add(bar.getAttribute("aria-valuenow"));
                if (document.querySelector('[role=progressbar][aria-label="Running"]')) window.seen.bars.add("Running");
                const preview = document.querySelector('[data-step="paint"] img[src^="blob:"]');
                if (preview) window.seen.previews.add(preview.src);
            };
            new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
        }"""
    )
    editor.run()
    editor.wait_done()
    seen = page.evaluate(
        "() => Object.fromEntries(Object.entries(window.seen).map(([name, found]) => [name, [...found]]))"
    )
    assert seen["bars"], "the run's progress was shown"
    assert len(seen["parts"]) > 3, "progress moved on the node"
    assert len(seen["previews"]) > 1, "previews followed each other"
    assert any(re.match(r"\d+% ", title) for title in seen["titles"]), "the tab's title said how far it was"
    expect(page).to_have_title("Text to image · Latent Loom")
    expect(editor.node("save").locator("img.ll-picture")).to_have_attribute("src", re.compile("/api/files/"))
    page.wait_for_function("() => document.querySelector('.made img')?.naturalWidth > 0")


def test_another_seed_reuses_what_does_not_depend_on_it(editor: EditorPage) -> None:
    painted(editor)
    set_number(editor, "paint", "seed", "7")
    editor.run()
    editor.wait_done(2)
    for step, reused in (("prompt", True), ("negative", True), ("paint", False), ("decode", False)):
        badge = editor.node(step).locator(".ll-badge-reused")
        expect(badge).to_have_count(1 if reused else 0)
    seeds = {run["meta"]["seeds"]["paint.seed"] for run in runs_of(editor)}
    assert seeds == {1, 7}, "the seed that is shown is the one that is used"


def runs_of(editor: EditorPage) -> list[dict]:
    return editor.page.evaluate("async () => (await (await fetch('/api/runs')).json()).runs")


def test_a_seed_set_to_random_is_another_one_each_run_and_what_is_shown_was_used(editor: EditorPage) -> None:
    document = editor.kept()
    document["steps"]["paint"]["after"] = {"seed": "random"}
    paste(editor, document)
    used = []
    for count in (1, 2, 3):
        editor.run()
        editor.wait_done(count)
        used.append(runs_of(editor)[0]["meta"]["seeds"]["paint.seed"])
        assert editor.input("paint", "seed").input_value() == str(used[-1])
    assert used[0] == 1 and len(set(used)) == 3


def paste(editor: EditorPage, document: dict) -> None:
    """Paste a whole workflow: it opens in a tab of its own."""
    editor.page.evaluate(
        """(text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const how = { clipboardData, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new ClipboardEvent("paste", how));
        }""",
        json.dumps(document),
    )
    expect(editor.page.get_by_role("tab")).to_have_count(2)
    expect(editor.node("paint")).to_be_visible()


def test_a_wrong_value_is_said_on_its_field_and_goes_when_it_is_right(editor: EditorPage) -> None:
    page = editor.page
    document = editor.kept()
    document["steps"]["paint"]["inputs"]["denoise"] = 7
    paste(editor, document)
    expect(editor.field("paint", "denoise")).to_have_class(has("ll-wrong"))
    problems = page.get_by_role("button", name="1 problem")
    expect(problems).to_be_visible()
    editor.run()
    expect(editor.runs()).to_have_count(0)
    problems.click()
    page.get_by_role("menuitem").click()
    expect(editor.field("paint", "denoise").locator(":focus")).to_be_visible()
    right = editor.field("paint", "denoise").get_by_role("spinbutton")
    right.fill("1")
    right.press("Enter")
    expect(editor.field("paint", "denoise")).not_to_have_class(has("ll-wrong"))
    expect(problems).not_to_be_visible()


def test_everything_can_be_undone_and_done_again(editor: EditorPage) -> None:
    page = editor.page
    first = editor.kept()
    set_number(editor, "paint", "seed", "99")
    start = middle(editor.node("save").locator(".ll-head"))
    editor.drag(start, (start[0] + 40, start[1] + 120))
    page.locator(".ll-canvas").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(page.locator("[data-step]")).to_have_count(0)
    last = editor.kept()
    while undo(editor):
        pass
    assert editor.kept() == first
    while redo(editor):
        pass
    assert editor.kept() == last


def undo(editor: EditorPage) -> bool:
    return from_menu(editor, "Undo")


def redo(editor: EditorPage) -> bool:
    return from_menu(editor, "Redo")


def from_menu(editor: EditorPage, name: str) -> bool:
    """Choose it in the menu; False if it cannot be chosen."""
    page = editor.page
    page.get_by_role("button", name="Menu").click()
    item = page.get_by_role("menuitem", name=name)
    can = item.get_attribute("data-disabled") is None
    if can:
        item.click()
    else:
        page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    return can


def test_a_subgraph_is_made_runs_and_is_unpacked_to_the_same_graph(editor: EditorPage) -> None:
    page = editor.page
    set_number(editor, "paint", "seed", "301")  # nobody has painted this one: what is inside has to run
    first = plain(editor.kept())
    page.locator(".ll-canvas").focus()
    editor.node("paint").locator(".ll-head").click()
    editor.node("decode").locator(".ll-head").click(modifiers=["Shift"])
    page.keyboard.press("Control+Shift+g")
    made = editor.kept()
    (inside,) = made["definitions"]
    outer = next(id for id, one in made["steps"].items() if one["kind"] == f"subgraph/{inside}")
    painted(editor)
    expect(editor.node(outer).locator(".ll-badge")).to_be_visible()
    page.keyboard.press("Alt+ArrowDown")
    crumbs = page.get_by_role("navigation", name="Where you are")
    expect(crumbs).to_be_visible()
    expect(page.locator("[data-step]")).to_have_count(2)
    crumbs.get_by_role("button").first.click()
    expect(editor.node(outer)).to_be_visible()
    page.keyboard.press("Control+Shift+u")
    expect(editor.node(outer)).to_have_count(0)
    assert plain(editor.kept()) == first


def test_a_finished_picture_that_is_dropped_opens_as_the_same_graph(
    editor: EditorPage, served: EditorServer, tmp_path: Path
) -> None:
    set_number(editor, "paint", "seed", "302")  # an equal picture that is there already would be taken instead
    first = plain(editor.kept())
    painted(editor)
    file = editor.picture().split("/api/files/")[1].split("/")[0]
    picture = tmp_path / "result.png"
    request = urllib.request.Request(
        f"{served.address}/api/files/{file}", headers={"Authorization": f"Bearer {served.token}"}
    )
    with urllib.request.urlopen(request) as answer:
        picture.write_bytes(answer.read())
    drop(editor, picture)
    expect(editor.page.get_by_role("tab")).to_have_count(2)
    assert plain(editor.kept()) == first


def test_a_run_to_one_node_stops_there(editor: EditorPage) -> None:
    editor.node("size").locator(".ll-head").click()
    editor.page.keyboard.press("Control+Shift+Enter")
    editor.wait_done()
    expect(editor.node("size").locator(".ll-badge")).to_be_visible()
    expect(editor.node("paint").locator(".ll-badge")).to_have_count(0)


def test_a_muted_branch_does_not_run(editor: EditorPage) -> None:
    editor.node("save").locator(".ll-head").click()
    editor.page.keyboard.press("m")
    editor.run()
    expect(editor.page.get_by_text("no step gives anything to keep")).to_be_visible()
    editor.page.keyboard.press("m")
    painted(editor)
