"""Print what `graph_runtime.bench` measures, as the table that `executor.md` keeps: python tests/bench/executor.py"""

from __future__ import annotations

import platform

from graph_runtime.bench import bench_executor

REPEATS = 21
COLUMNS = ("first", "cached", "changed", "validate", "keys")

if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {REPEATS} repeats")
    print("Processor time in µs per step, least / median\n")
    print("| shape | steps | " + " | ".join(COLUMNS) + " |")
    print("|---|---:|" + "---:|" * len(COLUMNS))
    for row in bench_executor(repeats=REPEATS):
        cells = (f"{row[f'{name}_us_min']:.1f} / {row[f'{name}_us_median']:.1f}" for name in COLUMNS)
        print(f"| {row['shape']} | {row['steps']:,} | " + " | ".join(cells) + " |")
