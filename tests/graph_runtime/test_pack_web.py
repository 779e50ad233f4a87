"""What packs bring for the browser is listed, has an address that changes with it, and nothing else is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graph_runtime.pack_web import find, web_files


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    web.mkdir()
    (web / "dial.js").write_text("export default {}")
    (web / "look.css").write_text("")
    (web / "notes.txt").write_text("not for browsers")
    (tmp_path / "__init__.py").write_text("secret = 1")
    (web / "link.js").symlink_to(tmp_path / "__init__.py")
    return tmp_path


def listed(pack: Path) -> dict[str, Any]:
    return web_files("mine", {"mine.dial": pack / "web" / "dial.js"})


def test_a_module_has_an_address_and_its_neighbours_too(pack: Path) -> None:
    said = listed(pack)
    address = said["widgets"]["mine.dial"]
    assert address.startswith("/extensions/mine/") and address.endswith("/dial.js")
    assert sorted(name.partition("/")[2] for name in said["web"]) == ["dial.js", "look.css"]
    found = find([{"name": "mine", **said}], "mine", address.removeprefix("/extensions/mine/"))
    assert found == pack / "web" / "dial.js"


def test_the_address_is_another_when_anything_in_the_folder_is(pack: Path) -> None:
    before = listed(pack)["widgets"]
    (pack / "web" / "look.css").write_text("a {}")
    assert listed(pack)["widgets"] != before


@pytest.mark.parametrize("name", ["../__init__.py", "dial.js", "0000/dial.js", "", "/etc/passwd", "web/dial.js"])
def test_nothing_else_is_found(pack: Path, name: str) -> None:
    assert find([{"name": "mine", **listed(pack)}], "mine", name) is None
    assert find([{"name": "other", "web": None} | {"web": {}}], "mine", name) is None


def test_a_module_that_is_not_there_has_no_address(tmp_path: Path) -> None:
    assert web_files("mine", {"mine.gone": tmp_path / "web" / "gone.js"}) == {
        "widgets": {},
        "editor": "",
        "web": {},
    }
    assert web_files("mine", {}) == {}


def test_a_pack_may_bring_a_module_for_the_editor_with_widgets_or_without(pack: Path) -> None:
    alone = web_files("mine", {}, pack / "web" / "dial.js")
    both = web_files("mine", {"mine.dial": pack / "web" / "dial.js"}, pack / "web" / "dial.js")
    assert alone["widgets"] == {} and alone["editor"] == both["editor"] == both["widgets"]["mine.dial"]
    assert listed(pack)["editor"] == ""
    assert web_files("mine", {}, pack / "web" / "gone.js")["editor"] == ""
    assert web_files("mine", {}, pack / "web" / "link.js")["editor"] == ""  # it leads elsewhere
