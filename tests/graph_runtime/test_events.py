from __future__ import annotations

import dataclasses
import json

import pytest

from graph_runtime import events
from graph_runtime.problem import Problem

PROBLEM = Problem("code", "a.b", "what.", "fix.", "a", "b")
EVENTS = [
    events.Queued("r", 3),
    events.RunStarted("r", 12),
    events.Started("r", "a"),
    events.Reused("r", ("a", "b"), "memory"),
    events.Progress("r", "a", 1, 20, "step"),
    events.Preview("r", "a", b"\xff\xd8\x00"),
    events.Log("r", "a", "hello"),
    events.Finished("r", "a", 1.5, 1 << 30, {"image": "1 × 64×64 RGB"}),
    events.Failed("r", "a", "math/add", (PROBLEM,), {"a": "1.0"}, "Traceback …"),
    events.Skipped("r", "b", "a"),
    events.CancelledEvent("r", "a"),
    events.RunFinished("r", "failed", 2.5, (PROBLEM, PROBLEM)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_json(event: events.Event):
    data = json.loads(json.dumps(events.to_json(event)))
    assert events.from_json(data) == event
    assert events.from_json({**data, "of a newer program": 1}) == event


def test_events_are_frozen_and_small():
    for cls in events.TYPES.values():
        assert dataclasses.is_dataclass(cls) and "__slots__" in vars(cls)
        assert cls.__dataclass_params__.frozen  # type: ignore[union-attr]


def test_every_member_of_the_union_has_one_name():
    assert set(events.TYPES.values()) == set(events.Event.__args__)  # type: ignore[attr-defined]
    assert {type(event) for event in EVENTS} <= set(events.TYPES.values())
