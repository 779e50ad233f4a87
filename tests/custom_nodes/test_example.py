"""The pack that packs are copied from: a new type of wire and two nodes in one file, with nothing else edited."""

from __future__ import annotations

import threading
from pathlib import Path

from graph_runtime.events import Event, Finished, Progress
from graph_runtime.graph import Graph, Join, Step
from graph_runtime.settings import Settings
from graph_runtime.worker import Worker

CUSTOM_NODES = Path(__file__).parents[2] / "custom_nodes"


def worker(folder: Path) -> Worker:
    return Worker(Settings(data_dir=folder, custom_nodes_dirs=(CUSTOM_NODES,), packs=(), device="cpu"))


def test_the_folder_is_all_there_is_to_it(tmp_path: Path) -> None:
    (pack,) = worker(tmp_path).packs
    assert (pack.name, pack.title, pack.problems) == ("example", "Example", ())
    assert [one.kind for one in pack.defs] == ["example/gradient", "example/show_palette"]
    assert set(pack.sockets) == {"PALETTE"}
    assert [path.name for path in (CUSTOM_NODES / "example").glob("*.py")] == ["__init__.py"]


def test_its_wire_joins_its_nodes_in_a_run(tmp_path: Path) -> None:
    steps = {
        "colors": Step("example/gradient", {"first": "#000000", "last": "#ff0080", "count": 3}),
        "text": Step("example/show_palette", {"palette": Join("colors", "palette"), "separator": " "}),
    }
    events: list[Event] = []
    result = worker(tmp_path).execute("run", Graph(steps), None, events.append, threading.Event())
    assert (result.status, dict(result.outputs["text"])) == ("succeeded", {"string": "#000000 #800040 #ff0080"})
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3]
    summaries = {event.step: event.outputs for event in events if isinstance(event, Finished)}
    assert summaries["colors"] == {"palette": "#000000 #800040 #ff0080"}


def test_its_wire_fits_only_where_it_is_wanted(tmp_path: Path) -> None:
    steps = {"text": Step("example/show_palette", {"palette": "#000000"})}
    result = worker(tmp_path).execute("run", Graph(steps), None, lambda event: None, threading.Event())
    assert result.status == "failed"
    assert [(problem.step, problem.field) for problem in result.problems] == [("text", "palette")]
