"""What the README shows is true of this program: its workflow can run, its commands are understood, its node is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from graph_runtime import oneshot
from graph_runtime.cli import pair, parser
from graph_runtime.document import open_document
from graph_runtime.node import definition
from graph_runtime.node_def import NodeDef
from graph_runtime.packs import load_packs
from graph_runtime.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "custom_nodes/README.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks("README.md", "sh") for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("latentloom")]


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NodeDef]:
    packs = load_packs(Settings(data_dir=tmp_path_factory.mktemp("data")))
    return {one.kind: one for pack in packs for one in pack.defs}


def test_its_workflows_can_run(defs: dict[str, NodeDef]) -> None:
    shown = blocks("README.md", "json")
    assert shown
    for text in shown:
        assert open_document(text, defs)[1] == []


@pytest.mark.parametrize("command", commands())
def test_its_commands_are_understood(command: str, defs: dict[str, NodeDef], tmp_path: Path) -> None:
    asked = parser().parse_args(shlex.split(command)[1:])
    for text in getattr(asked, "set", []):
        pair(text)
    if getattr(asked, "set", None) and asked.workflow is None:
        source = oneshot.read_source(oneshot.starter(Settings(data_dir=tmp_path)), Settings(data_dir=tmp_path))
        changes = oneshot.Changes(tuple(map(pair, asked.set)), asked.prompt, asked.seed)
        assert oneshot.prepare(source, defs, changes, "README").problems == ()


@pytest.mark.parametrize("page", PAGES)
def test_its_nodes_are_nodes(page: str) -> None:
    shown = [text for text in blocks(page, "python") if "@node" in text]
    assert shown
    for text in shown:
        module = ModuleType("shown")
        exec(compile(text, page, "exec", dont_inherit=True), vars(module))
        assert [one.kind for one in map(definition, vars(module).values()) if one is not None]
