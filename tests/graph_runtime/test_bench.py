from __future__ import annotations

from graph_runtime.bench import bench_executor


def test_every_shape_and_size_has_a_row_with_every_figure():
    rows = bench_executor(sizes=(3, 20), repeats=1)
    assert [(row["shape"], row["steps"]) for row in rows] == [("chain", 3), ("chain", 20), ("wide", 3), ("wide", 20)]
    for row in rows:
        for name in ("first", "cached", "changed", "validate", "keys"):
            assert 0 <= row[f"{name}_us_min"] <= row[f"{name}_us_median"]
