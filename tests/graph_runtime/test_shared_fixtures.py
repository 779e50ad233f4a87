"""One set of documents with what is said of them, for this side and the browser (`web/src/core/validate.test.ts`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.document import open_document
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Refused

FIXTURES = Path(__file__).parents[1] / "fixtures"
PALETTE = {
    one["kind"]: NodeDef.from_json(one) for one in json.loads((FIXTURES / "palette.json").read_text(encoding="utf-8"))
}
GRAPHS = sorted((FIXTURES / "graphs").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_there_are_enough_of_them_and_they_name_every_code():
    assert len(GRAPHS) >= 40
    codes = {problem["code"] for path in GRAPHS for problem in read(path)["problems"]}
    assert codes >= {
        "unknown-node", "missing-wire", "wrong-type", "unknown-step", "unknown-output", "unknown-input", "too-many",
        "wrong-value", "out-of-range", "unknown-choice", "unknown-target", "no-output", "cycle", "subgraph-cycle",
        "open-port", "bad-id",
    }  # fmt: skip


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_a_document_gives_the_graph_and_the_problems_that_were_agreed_on(path: Path):
    fixture = read(path)
    opened, problems = open_document(fixture["document"], PALETTE)
    assert [one.as_json() for one in problems] == fixture["problems"]
    if "refused" in fixture:
        with pytest.raises(Refused) as refused:
            opened.graph(PALETTE)
        assert [one.code for one in refused.value.problems] == fixture["refused"]
    else:
        assert opened.graph(PALETTE).to_json() == fixture["graph"]
    given = fixture["document"].get("definitions", {})
    for id, one in opened.to_json().get("definitions", {}).items():
        assert {**given[id], "title": one["title"]} == one
