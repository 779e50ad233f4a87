"""The canvas against the real server: previews' room, carried nodes, the wheel's setting, folded groups, ports."""

from __future__ import annotations

from editor_page import EditorPage, has, middle
from playwright.sync_api import expect


def box(editor: EditorPage, step: str) -> dict[str, float]:
    found = editor.node(step).locator(".ll-node").bounding_box()
    assert found is not None
    return {**found}


def free_ground(editor: EditorPage) -> tuple[float, float]:
    """A place of the canvas below all nodes."""
    boxes = [box(editor, step) for step in editor.steps()]
    return min(one["x"] for one in boxes) + 40, max(one["y"] + one["height"] for one in boxes) + 40


def test_a_preview_stays_within_its_node_which_is_as_large_before_and_after(editor: EditorPage) -> None:
    page = editor.page
    before = box(editor, "paint")
    page.evaluate(
        """() => {
            window.outside = [];
            window.previews = 0;
            new MutationObserver(() => {
                const image = document.querySelector('[data-step="paint"] img[src^="blob:"]');
                if (!image) return;
                window.previews += 1;
                const [a, b] = [image.getBoundingClientRect(), image.closest(".ll-node").getBoundingClientRect()];
                if (a.bottom > b.bottom + 1 || a.top < b.top || a.left < b.left || a.right > b.right)
                    window.outside.push([a.bottom, b.bottom]);
            }).observe(document, { subtree: true, childList: true, attributes: true });
        }"""
    )
    field = editor.input("paint", "steps")
    field.fill("137")  # no other test has painted this, so it is not answered from the cache
    field.press("Enter")
    editor.run()
    editor.wait_done()
    assert page.evaluate("window.previews") > 0
    assert page.evaluate("window.outside") == []
    assert box(editor, "paint") == before


def test_a_node_dragged_from_the_library_onto_a_wire_is_put_into_it(editor: EditorPage) -> None:
    page = editor.page
    page.keyboard.press("Alt+1")
    page.get_by_role("toolbar", name="Zoom").get_by_role(
        "button", name="Show everything"
    ).click()  # all of it beside the panels
    page.get_by_role("searchbox", name="Search nodes").fill("turn image")
    start, end = editor.socket("decode", "image", "output"), editor.socket("save", "image", "input")
    (ax, ay), (bx, by) = middle(start), middle(end)
    entry = page.locator("details .entry")
    expect(entry).to_have_count(1)  # the search has been heard
    page.mouse.move(*middle(entry))
    page.mouse.down()
    page.mouse.move((ax + bx) / 2 - 30, (ay + by) / 2 - 40, steps=5)
    page.mouse.move((ax + bx) / 2, (ay + by) / 2, steps=5)
    page.mouse.up()
    expect(page.locator("[data-step]")).to_have_count(8)  # the browser says when it was dropped
    made = editor.step_of("core/turn_image")
    steps = editor.kept()["steps"]
    assert steps["save"]["inputs"]["image"] == {"join": [made, "image"]}
    assert steps[made]["inputs"]["image"] == {"join": ["decode", "image"]}
    page.keyboard.press("Control+z")
    expect(editor.node(made)).to_have_count(0)
    assert editor.kept()["steps"]["save"]["inputs"]["image"] == {"join": ["decode", "image"]}


def test_the_wheel_zooms_or_pans_as_its_setting_says(editor: EditorPage) -> None:
    page = editor.page
    percent = page.get_by_role("toolbar", name="Zoom").locator(".percent")

    def turned() -> tuple[bool, bool]:
        """Whether a turn of the wheel changed the zoom, and whether it moved what is seen."""
        zoom, place = percent.inner_text(), box(editor, "paint")
        page.mouse.move(*free_ground(editor))
        page.mouse.wheel(0, -120)
        page.wait_for_function(
            "([y, height]) => { const b = document.querySelector('[data-step=paint] .ll-node').getBoundingClientRect();"
            " return Math.abs(b.y - y) > 1 || Math.abs(b.height - height) > 1; }",
            arg=[place["y"], place["height"]],
        )
        return percent.inner_text() != zoom, abs(box(editor, "paint")["height"] - place["height"]) < 0.5

    assert turned() == (True, False)
    page.keyboard.press("Control+,")
    page.get_by_role("combobox", name="Mouse wheel").select_option("pan")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Settings")).to_have_count(0)
    assert turned() == (False, True)
    page.reload()
    expect(editor.node("paint")).to_be_visible()
    assert turned() == (False, True)


def test_a_folded_group_hides_the_same_nodes_after_a_reload_whatever_was_put_there(editor: EditorPage) -> None:
    page = editor.page
    page.locator(".ll-canvas").focus()
    editor.node("prompt").locator(".ll-head").click()
    editor.node("negative").locator(".ll-head").click(modifiers=["Shift"])
    page.keyboard.press("Control+g")
    (group,) = editor.kept()["groups"]
    frame = box(editor, "prompt")
    scale = frame["width"] / 264
    page.mouse.click(frame["x"] - 7 * scale, frame["y"] - 40 * scale)  # the chevron in the frame's bar
    expect(editor.node("prompt")).to_have_count(0)
    (x, y) = middle(editor.node("save").locator(".ll-title"))
    editor.drag((x, y), (frame["x"] + frame["width"] / 2, frame["y"] + 120))
    expect(editor.node("save")).to_be_visible()
    (kept,) = editor.kept()["groups"]
    assert sorted(kept["members"]["steps"]) == ["negative", "prompt"]
    assert kept["id"] == group["id"]
    page.reload()
    expect(editor.node("save")).to_be_visible()
    expect(editor.node("prompt")).to_have_count(0)
    expect(editor.node("negative")).to_have_count(0)
    editor.run()
    editor.wait_done()  # what is hidden runs


def test_an_input_published_inside_a_subgraph_is_set_from_outside(editor: EditorPage) -> None:
    page = editor.page
    page.locator(".ll-canvas").focus()
    editor.node("paint").locator(".ll-head").click()
    page.keyboard.press("Control+Shift+g")
    made = editor.kept()
    (inside,) = made["definitions"]
    outer = next(id for id, one in made["steps"].items() if one["kind"] == f"subgraph/{inside}")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("region", name="Inputs of the subgraph")).to_be_visible()
    # A knob becomes an input by its menu; from there it is published.
    editor.field("paint", "steps").locator(".ll-name").click(button="right")
    page.get_by_role("menuitem", name="Make it a wire input").click()
    editor.drag(middle(editor.socket("paint", "steps", "input")), middle(page.locator(".ll-ports-inputs .ll-publish")))
    expect(page.locator('[data-port="steps"]')).to_be_visible()
    page.get_by_role("navigation", name="Where you are").get_by_role("button").first.click()
    field = editor.input(outer, "steps")
    field.fill("3")
    field.press("Enter")
    document = editor.kept()
    assert document["steps"][outer]["inputs"]["steps"] == 3
    assert ["paint", "steps"] in [end for port in document["definitions"][inside]["inputs"] for end in port["inner"]]
    editor.run()
    editor.wait_done()
    expect(editor.socket(outer, "latent", "output")).to_have_class(has("ll-joined"))


def draw(editor: EditorPage, *way: tuple[float, float]) -> None:
    """Press at the first place and move over the others; the button stays down."""
    editor.page.mouse.move(*way[0])
    editor.page.mouse.down()
    go(editor, *way[1:])


def go(editor: EditorPage, *way: tuple[float, float]) -> None:
    for place in way:
        editor.page.mouse.move(*place, steps=4)


def expect_chosen(editor: EditorPage, *steps: str) -> None:
    found = editor.page.locator("[data-step]:has(.ll-node.ll-selected)")
    expect(found).to_have_count(len(steps))
    assert sorted(found.evaluate_all("all => all.map((one) => one.dataset.step)")) == sorted(steps)


def test_a_line_drawn_around_nodes_chooses_them_while_it_is_drawn_and_escape_takes_it_back(editor: EditorPage) -> None:
    page = editor.page
    above, between, below = (box(editor, step) for step in ("prompt", "negative", "size"))  # one below the other
    left, right = above["x"] - 14, above["x"] + above["width"]
    end = below["y"] + below["height"] + 14
    outside = [(left, above["y"] - 14), (right + 50, above["y"] - 14), (right + 50, end), (left, end)]
    around_between = [
        (left, below["y"] - 14),
        (right + 16, below["y"] - 14),
        (right + 16, between["y"] - 14),
        (left, between["y"] - 14),
    ]
    editor.node("save").locator(".ll-head").click()
    page.keyboard.down("Control")
    page.keyboard.down("Alt")
    draw(editor, *outside)
    expect(page.locator("polygon.ll-box")).to_be_visible()
    expect_chosen(editor, "prompt", "negative", "size")
    go(editor, *around_between)
    expect_chosen(editor, "prompt", "size")
    page.keyboard.up("Control")
    page.keyboard.up("Alt")
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator("polygon.ll-box")).to_have_count(0)
    expect_chosen(editor, "save")
    page.keyboard.down("Control")
    page.keyboard.down("Alt")
    draw(editor, *outside, *around_between)
    page.mouse.up()
    page.keyboard.up("Control")
    page.keyboard.up("Alt")
    expect(page.locator("polygon.ll-box")).to_have_count(0)
    expect_chosen(editor, "prompt", "size")
    assert editor.said() == "2 selected"
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys.get_by_text("Ctrl+Alt-drag the ground")).to_be_visible()


def test_a_line_around_adds_takes_away_and_takes_what_is_wholly_inside_with_the_keys_of_the_box(
    editor: EditorPage,
) -> None:
    page = editor.page
    above, below = box(editor, "prompt"), box(editor, "negative")
    left, right = above["x"] - 14, above["x"] + above["width"] + 14
    middle_below = below["y"] + below["height"] / 2
    way = [(left, above["y"] - 14), (right, above["y"] - 14), (right, middle_below), (left, middle_below)]

    def drawn(*keys: str, again: str = "") -> None:
        for key in ("Control", "Alt", *keys):
            page.keyboard.down(key)
        draw(editor, *way[:2])
        if again:
            page.keyboard.up(again)
            go(editor, way[2])
            page.keyboard.down(again)
        go(editor, *way[2:])
        page.mouse.up()
        for key in ("Control", "Alt", *keys):
            page.keyboard.up(key)

    editor.node("save").locator(".ll-head").click()
    drawn("Shift")
    expect_chosen(editor, "negative", "prompt", "save")
    drawn(again="Control")  # the lower one is only half inside
    expect_chosen(editor, "prompt")
    drawn("Shift")
    drawn(again="Alt")
    expect_chosen(editor)
    drawn()
    expect_chosen(editor, "negative", "prompt")
