"""The editor in a browser, as a person works it: by mouse and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from editor_server import ROOT
from playwright.sync_api import Locator, Page, expect

NODES = "[data-step]"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


class EditorPage:
    """What is done and seen on one page. Problems of the page itself are collected in `errors`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda one: self.errors.append(one.text) if "Content Security Policy" in one.text else None)

    def open(self, address: str) -> EditorPage:
        self.page.goto(address)
        expect(self.page.locator(".ll-canvas")).to_be_visible()
        return self

    # ── documents ──

    def new(self) -> None:
        """An empty workflow in a tab of its own."""
        self.page.get_by_role("button", name="New workflow").click()
        expect(self.page.get_by_role("heading", name="An empty canvas")).to_be_visible()

    def wait_kept(self) -> None:
        """Until the server has the document as it is."""
        # What a menu offers is done after it has closed and has given the focus back, two timeouts of nothing later.
        self.page.evaluate("async () => { for (const _ of [1, 2, 3]) await new Promise((done) => setTimeout(done)); }")
        # A change is written down within a second; "pending" is said at once.
        expect(self.page.locator("[data-journal=kept]")).to_be_visible()

    def kept(self) -> dict[str, Any]:
        """The document in front as the server has it, once it has all of it."""
        self.wait_kept()
        return self.page.evaluate(
            """async () => {
                const { tab } = document.querySelector("[role=tab][aria-selected=true]").dataset;
                return (await (await fetch(`/api/drafts/${tab}`)).json()).document;
            }"""
        )

    def step_of(self, kind: str) -> str:
        """The id of the one step of a kind."""
        (found,) = [id for id, step in self.kept()["steps"].items() if step["kind"] == kind]
        return found

    # ── nodes ──

    def node(self, step: str) -> Locator:
        return self.page.locator(f'{NODES}[data-step="{step}"]')

    def field(self, step: str, knob: str) -> Locator:
        return self.node(step).locator(f'[data-field="{knob}"]')

    def input(self, step: str, knob: str) -> Locator:
        return self.field(step, knob).locator("input, textarea, select").first

    def socket(self, step: str, name: str, side: str) -> Locator:
        return self.node(step).locator(f'[data-socket="{name}"][data-side="{side}"]').first

    def add_by_mouse(self, search: str, x: float, y: float) -> str:
        """Double click there, type, take the first that is found; the new step's id."""
        before = set(self.steps())
        self.page.mouse.dblclick(x, y)
        field = self.page.get_by_role("combobox", name="Add a node")
        field.fill(search)
        self.page.get_by_role("option").first.click()
        return self._new_step(before)

    def add_by_keyboard(self, search: str) -> str:
        before = set(self.kept()["steps"])
        self.page.keyboard.press("Space")
        field = self.page.get_by_role("combobox", name="Add a node")
        expect(field).to_be_focused()
        self.page.keyboard.type(search)
        self.page.keyboard.press("Enter")
        expect(field).not_to_be_visible()
        (made,) = set(self.kept()["steps"]) - before
        expect(self.node(made)).to_be_focused()  # wherever it is: only nodes that are seen are elements
        return made

    def steps(self) -> list[str]:
        return self.page.locator(NODES).evaluate_all("all => all.map((one) => one.dataset.step)")

    def _new_step(self, before: set[str]) -> str:
        expect(self.page.locator(NODES)).to_have_count(len(before) + 1)
        (made,) = set(self.steps()) - before
        return made

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
        mouse.move(*end, steps=4)
        mouse.up()

    def connect_by_mouse(self, step: str, output: str, other: str, name: str) -> None:
        ends = self.socket(step, output, "output"), self.socket(other, name, "input")
        self.drag(middle(ends[0]), middle(ends[1]))
        expect(self.socket(other, name, "input")).to_have_class(has("ll-joined"))

    def rename_by_keyboard(self, step: str, title: str) -> None:
        self.page.keyboard.press("F2")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(title)
        self.page.keyboard.press("Enter")
        expect(self.node(step)).to_be_focused()

    def type_first(self, step: str, text: str) -> None:
        """Into the node that has the keyboard, what its first field is to have, and out again."""
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Escape")
        expect(self.node(step)).to_be_focused()

    def connect_by_keyboard(self, title: str, output: str, step: str, name: str) -> None:
        """From the node that has the keyboard: into it, to its input, and through the ends that fit to the one."""
        expect(self.node(step)).to_be_focused()
        self.page.keyboard.press("Enter")
        in_socket = self.page.evaluate("document.activeElement.matches('.ll-socket')")  # it has no fields
        self._press_until("Tab" if in_socket else "Shift+Tab", lambda: has_focus(self.socket(step, name, "input")))
        self.page.keyboard.press("Enter")
        self._press_until("ArrowDown", lambda: self.said() == f"{output.replace('_', ' ')} of {title}")
        self.page.keyboard.press("Enter")
        expect(self.socket(step, name, "input")).to_have_class(has("ll-joined"))
        expect(self.node(step)).to_be_focused()

    def said(self) -> str:
        """What the canvas last told those who cannot see it."""
        return self.page.locator(".ll-canvas [aria-live]").first.inner_text()

    def _press_until(self, key: str, reached: Callable[[], bool]) -> None:
        for _ in range(60):
            if reached():
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{key} does not lead there")

    # ── running ──

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).click()

    def runs(self) -> Locator:
        return self.page.locator("[data-run-id]")

    def wait_done(self, count: int = 1) -> None:
        """Until so many runs of the list are done."""
        done = self.page.locator('[data-run-id][aria-label$=", Done"]')
        expect(done).to_have_count(count, timeout=60_000)

    def picture(self) -> str:
        """The address of the newest picture in the queue."""
        return self.page.locator("[data-run-id] .made img").first.get_attribute("src") or ""


def middle(one: Locator) -> tuple[float, float]:
    box = one.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def has_focus(one: Locator) -> bool:
    return bool(one.evaluate("one => one === document.activeElement"))


def has(name: str) -> Any:
    """A class among others."""
    import re

    return re.compile(rf"(^|\s){name}(\s|$)")


def findings(editor: EditorPage) -> list[str]:
    """What axe-core finds that is serious or worse."""
    editor.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = editor.page.evaluate("async () => (await axe.run()).violations")
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html'][:160]}" for one in serious for node in one["nodes"]]


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """What of a document decides what runs: kinds, values and wires."""
    return {id: {"kind": one["kind"], "inputs": one["inputs"]} for id, one in document["steps"].items()}


def shape(document: dict[str, Any]) -> list[str]:
    """The same, whatever the steps are called: each step by its kind, what it is fed by, and its own values."""
    steps = document["steps"]

    def spelled(id: str) -> str:
        step = steps[id]
        said = {}
        for name, value in sorted(step["inputs"].items()):
            join = value.get("join") if isinstance(value, dict) else None
            said[name] = [spelled(join[0]), join[1]] if join else value
        return json.dumps([step["kind"], said], sort_keys=True)

    return sorted(spelled(id) for id in steps)
