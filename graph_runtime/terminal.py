"""How things look in a terminal: problems, the palette, a checkpoint, the doctor's findings.

Results go to standard output, so that they can be piped; problems to standard error. Text that came from a
workflow, a file or a pack is stripped of control characters. Knows nothing of how any of it came to be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from graph_runtime.doctor import Finding
from graph_runtime.problem import Problem
from graph_runtime.residency import size

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(text: object) -> str:
    """Text that cannot steer the terminal."""
    return _CONTROL.sub("�", str(text))


def out(text: str = "") -> None:
    """One line of the result."""
    sys.stdout.write(plain(text) + "\n")


def say(text: str) -> None:
    """One line beside the result."""
    sys.stderr.write(plain(text) + "\n")


def say_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        say(str(problem))


def show_nodes(hello: Mapping[str, Any]) -> None:
    """The palette: packs, their categories, their nodes."""
    by_kind = {one["kind"]: one for one in hello["nodes"]}
    for pack in hello["packs"]:
        out(f"{pack['title'] or pack['name']} ({pack['place']}), {len(pack['nodes'])} nodes")
        category = None
        for kind in pack["nodes"]:
            one = by_kind[kind]
            if one["category"] != category:
                category = one["category"]
                out(f"  {category}")
            marks = "".join(f" [{word}]" for word in ("output", "deprecated", "experimental") if one[word])
            out(f"    {kind:32} {_signature(one)}{marks}")
        out()


def _signature(one: Mapping[str, Any]) -> str:
    takes = ", ".join(f"{wire['name']} {wire['type']}{'?' if wire['optional'] else ''}" for wire in one["wires"])
    knobs = ", ".join(knob["name"] for knob in one["knobs"])
    gives = ", ".join(output["type"] for output in one["outputs"]) or "nothing"
    return f"({takes}{'; ' if takes and knobs else ''}{knobs}) → {gives}"


def show_checkpoint(facts: Mapping[str, Any]) -> None:
    """What `inspect` found in a file."""
    out(f"{facts['path']}: {facts['family'] or 'no known family'} {facts['variant']}".rstrip())
    out(f"  {facts['format']}, {size(facts['bytes'])}" + (f", “{facts['title']}”" if facts["title"] else ""))
    for name, part in facts["parts"].items():
        packing = f" {part['packing']}" if part["packing"] else ""
        count = f"{part['parameters'] / 1e6:,.1f} M parameters in {part['tensors']} tensors"
        out(f"  {name:14} {part['kind']} ({part['layout']}), {part['dtype']}{packing}, {count}, {size(part['bytes'])}")


def show_plan(told: Mapping[str, Any], titles: Mapping[str, str]) -> None:
    """What a workflow would have in memory: the budgets, and each step that uses models, with why.

    "works with" is what the step takes beside its models, where its node tells.
    """
    host = f", {size(told['host_budget'])} of the machine's" if told["host_budget"] else ""
    out(f"{size(told['device_budget'])} for models on {told['device']}{host}. Plan: {told['plan']}.")
    rows = [
        {
            "step": titles.get(row["step"], row["step"]),
            "uses": one["title"],
            "plan": one["plan"],
            "on": one["device"],
            "device": size(one["device_bytes"]),
            "host": size(one["host_bytes"]),
            "in all": size(row["device_bytes"]),
            "works with": "" if row["works_with"] is None else size(row["works_with"]),
            "why": one["why"],
        }
        for row in told["steps"]
        for one in row["uses"]
    ]
    show_table(rows, left=("step", "uses", "plan", "on", "why"))
    for row in told["steps"]:
        if not row["fits"]:
            step, wanted = titles.get(row["step"], row["step"]), size(row["works_with"])
            out(f"{step}: {wanted} to work with are not free beside its models: it takes longer, or memory runs out.")
        if row["unknown"]:
            out(f"{titles.get(row['step'], row['step'])}: what it uses is only known once what it needs has run.")


def show_findings(findings: Iterable[Finding]) -> None:
    """What the doctor found."""
    marks = {"ok": "ok      ", "warning": "warning ", "failed": "FAILED  "}
    for one in findings:
        out(f"{marks[one.state]} {one.name:14} {one.what}")
        if one.fix:
            out(f"{'':24}{one.fix}")


def show_table(rows: Sequence[Mapping[str, Any]], left: Collection[str] = ()) -> None:
    """Rows with the same names as columns, numbers to one decimal place; columns of these names begin at the left."""
    cells = [[f"{value:,.1f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    lines = [list(rows[0]) if rows else [], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    begins = [name in left for name in lines[0]]
    for line in lines:
        cells_of_line = zip(line, widths, begins, strict=True)
        aligned = (cell.ljust(width) if first else cell.rjust(width) for cell, width, first in cells_of_line)
        out("  ".join(aligned).rstrip())
