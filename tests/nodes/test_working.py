"""What recipes say beforehand of the memory that is worked with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from workbench import SCHNELL, Bench

from graph_runtime import oneshot
from nodes.models.load import outline
from nodes.models.weights.storage import linears
from nodes.working import painting

WORKFLOWS = Path(__file__).parents[2] / "nodes" / "workflows"
SHAPE = (2, 16, 8, 12)


def test_what_is_packed_is_unpacked_one_matrix_at_a_time(bench: Bench) -> None:
    plain = bench.good({"m": ("load_model", {"file": f"{SCHNELL}/transformer"})}, "m").one("m")
    found = plain.stored.found()
    packed, said = plain.kept_in("int8", found), painting(plain, SHAPE, 4, 32)
    assert said == plain.config.step_bytes(2, 4 * 6 + 32, 4, 4)
    whole = dict(linears(outline(found)[0]))
    sizes = [whole[name].weight.numel() for name, one in linears(outline(found, "int8")[0]) if hasattr(one, "packing")]
    assert painting(packed, SHAPE, 4, 32) == said + 4 * max(sizes)
    assert painting(replace(packed, storage="bnb-int8"), SHAPE, 4, 32) == said, "bitsandbytes unpacks nothing"


@pytest.mark.parametrize("name", ["starter", "img2img", "inpaint", "edit", "auraflow", "lumina", "flux2"])
def test_every_step_of_a_shipped_workflow_that_paints_or_decodes_is_told(bench: Bench, name: str) -> None:
    path, worker = WORKFLOWS / f"{name}.json", bench.worker
    source = oneshot.read_source(path, worker.settings)
    graph = oneshot.prepare(source, worker.defs, oneshot.Changes(), str(path)).graph
    rows = worker.ask("plan", {"graph": graph.to_json()})["steps"]
    told = {row["kind"] for row in rows if row["works_with"]}
    assert {"core/sample", "core/decode"} <= told
    assert told.isdisjoint(row["kind"] for row in rows if not row["works_with"])
    assert worker.residency.report()["models"] == []
