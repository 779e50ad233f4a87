from __future__ import annotations

import json
from typing import Any

import pytest
from arithmetic import DEFS
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.document import Document, open_document
from graph_runtime.document_migrations import MIGRATIONS, Renamed, Reshaped
from graph_runtime.graph import Graph, Join
from graph_runtime.jsontext import MAX_INT
from graph_runtime.problem import Refused


def document(**more: Any) -> dict[str, Any]:
    return {
        "format": "latentloom",
        "version": 1,
        "migrations": [one.name for one in MIGRATIONS],
        "title": "Sums",
        "steps": {
            "n": {"kind": "math/number", "version": 1, "inputs": {"value": 2.5}, "position": [10, 20.5], "note": "hi"},
            "s": {"kind": "math/show", "inputs": {"value": {"join": ["n", "float"]}}, "title": "The end"},
        },
        "targets": [],
        "groups": [{"title": "All", "color": "#123456", "steps": ["n", "s"]}],
        "notes": [{"text": "try 3", "position": [0, 0]}],
    } | more


def test_a_document_comes_out_as_it_went_in():
    opened, problems = open_document(json.dumps(document()), DEFS)
    assert problems == []
    assert opened.to_json() == document()
    assert (opened.title, opened.steps["n"].position, opened.steps["s"].title) == ("Sums", (10, 20.5), "The end")


def test_its_graph_has_nothing_of_how_it_looks():
    opened, _ = open_document(document(), DEFS)
    assert opened.graph().to_json() == {
        "steps": {
            "n": {"kind": "math/number", "inputs": {"value": 2.5}},
            "s": {"kind": "math/show", "inputs": {"value": {"join": ["n", "float"]}}},
        },
        "targets": [],
    }


def test_what_is_hidden_and_locked_on_the_canvas_is_kept_and_changes_nothing_that_runs():
    raw = document(definitions={"half": {"title": "", "inputs": [], "outputs": [], "steps": {}, "groups": []}})
    usual = open_document(raw, DEFS)[0].graph().to_json()
    raw["steps"]["n"] |= {"compact": True, "locked": True, "hidden": ["value"]}
    raw["definitions"]["half"]["steps"]["n"] = raw["steps"]["n"]
    for groups in (raw["groups"], raw["definitions"]["half"]["groups"]):
        groups.append({"id": "group", "title": "", "locked": True, "position": [0, 0], "size": [400, 300]})
    opened, problems = open_document(raw, DEFS)
    assert problems == []
    assert opened.to_json() == raw
    assert opened.graph().to_json() == usual


def test_a_node_nobody_knows_stays_with_its_values_and_wires():
    raw = document()
    raw["steps"]["x"] = {
        "kind": "impact/detail", "inputs": {"image": {"join": ["n", "float"]}, "cfg": 7, "deep": {"a": [1]}},
        "position": [1, 2], "widget": "odd",
    }  # fmt: skip
    raw["steps"]["s"]["inputs"]["value"] = {"join": ["x", "image"]}
    opened, problems = open_document(raw, DEFS)
    assert opened.to_json() == raw
    assert [(one.code, one.step) for one in problems] == [("unknown-node", "x")]
    assert opened.graph().steps["s"].inputs["value"] == Join("x", "image")


def test_opening_does_not_change_what_was_given():
    raw = document()
    migration = Renamed("number-to-whole", "math/number", "math/whole")
    open_document(raw, DEFS, [migration])
    assert raw == document()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.dictionaries(
    st.sampled_from(["title", "note", "position", "mode", "version", "color", "collapsed", "x", "inputs "]), plain
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=4),
        st.tuples(st.sampled_from([*DEFS, "no/such", ""]), st.dictionaries(st.sampled_from("abc"), plain), fields),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["title", "targets", "groups", "notes", "view", "y"]), plain),
)
def test_unknown_and_odd_fields_survive_a_round_trip(steps: dict[str, Any], more: dict[str, Any]):
    raw = {
        "format": "latentloom",
        "version": 1,
        "steps": {id: {**extra, "kind": kind, "inputs": given} for id, (kind, given, extra) in steps.items()},
        **more,
    }
    opened, _ = open_document(json.dumps(raw), DEFS)
    out = json.loads(json.dumps(opened.to_json()))
    for id, step in raw["steps"].items():
        for name, value in step.items():
            assert out["steps"][id].get(name, {"title": "", "note": "", "mode": "on"}.get(name)) == value, name
    for name, value in more.items():
        assert out[name] == value, name
    again, _ = open_document(out, DEFS)
    assert again.to_json() == out


@given(
    plain
    | st.fixed_dictionaries({"steps": plain})
    | st.fixed_dictionaries({"steps": st.dictionaries(st.text(max_size=2), plain)})
)
def test_whatever_is_opened_is_a_document_or_refused(raw: Any):
    try:
        opened, _ = open_document(json.dumps(raw), DEFS)
    except Refused as refused:
        assert refused.problems
    else:
        assert isinstance(opened.graph(DEFS), Graph)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[]", "malformed-document"),
        (b"{}", "malformed-document"),
        (b'{"format": "other", "steps": {}}', "malformed-document"),
        (b'{"steps": {"": {"kind": "a/b"}}}', "malformed-document"),
        (b'{"steps": {"a": 1}}', "malformed-document"),
        (b'{"steps": {}, "version": 0}', "malformed-document"),
        (b'{"steps": {}, "version": 2}', "newer-document"),
        (b'{"nodes": [], "links": []}', "comfy-workflow"),
        (b'{"3": {"class_type": "KSampler", "inputs": {}}}', "comfy-workflow"),
        (b'{"steps": {}, "steps": {}}', "json-duplicate"),
        (b'{"steps": {"a": {"kind": "x/y", "inputs": {"v": NaN}}}}', "json-number"),
        (b"[" * 100 + b"]" * 100, "json-too-deep"),
        ({"steps": {}, "x": float("nan")}, "json-value"),
        (json.dumps({"steps": {str(i): {"kind": "a/b"} for i in range(10_001)}}), "too-many-steps"),
    ],
)
def test_what_is_no_document_is_refused_with_a_code(raw: Any, code: str):
    with pytest.raises(Refused) as refused:
        open_document(raw, DEFS)
    assert [one.code for one in refused.value.problems] == [code]


def test_ten_thousand_steps_are_opened():
    raw = {"steps": {str(i): {"kind": "math/number"} for i in range(10_000)}}
    assert len(open_document(json.dumps(raw), DEFS)[0].steps) == 10_000


RENAMES = (
    Renamed("2026-add", "math/plus", "math/add", {"x": "a", "constant": "plus"}, values={"mode": {"old": "new"}}),
    Renamed("2026-number-output", "math/number", outputs={"value": "float"}),
)


def old() -> dict[str, Any]:
    steps = {
        "n": {"kind": "math/number", "inputs": {"value": 1.0}},
        "p": {"kind": "math/plus", "inputs": {"x": {"join": ["n", "value"]}, "constant": 2, "mode": "old"}},
        "t": {"kind": "math/total", "inputs": {"values": [{"join": ["n", "value"]}, {"join": ["p", "float"]}]}},
    }
    return {"steps": steps}


def test_kinds_inputs_outputs_and_values_are_renamed_by_name():
    opened, _ = open_document(old(), DEFS, RENAMES)
    assert opened.steps["p"].kind == "math/add"
    assert opened.steps["p"].inputs == {"a": Join("n", "float"), "plus": 2, "mode": "new"}
    assert opened.steps["t"].inputs == {"values": [Join("n", "float"), Join("p", "float")]}
    assert opened.to_json()["migrations"] == ["2026-add", "2026-number-output"]


def test_a_migration_is_applied_once():
    swap = Renamed("swap", "math/divide", inputs={"a": "by", "by": "a"})
    raw = {"steps": {"d": {"kind": "math/divide", "inputs": {"a": 1, "by": 2}}}}
    once = open_document(raw, DEFS, [swap])[0].to_json()
    assert once["steps"]["d"]["inputs"] == {"by": 1, "a": 2}
    assert open_document(once, DEFS, [swap])[0].to_json() == once


def test_a_renamed_input_does_not_overwrite_one_that_is_there():
    raw = {"steps": {"p": {"kind": "math/plus", "inputs": {"x": 1, "a": 2}}}}
    assert open_document(raw, DEFS, RENAMES)[0].steps["p"].inputs == {"x": 1, "a": 2}


def test_migrations_of_a_pack_that_is_not_there_stay_listed():
    opened, _ = open_document(document(migrations=["impact/2025-x"]), DEFS, RENAMES)
    assert opened.migrations == ["impact/2025-x", "2026-add", "2026-number-output"]


def test_any_other_change_is_a_function():
    def drop_notes(raw: dict[str, Any]) -> None:
        raw["notes"] = []

    assert open_document(document(), DEFS, [Reshaped("no-notes", drop_notes)])[0].notes == []


def chained(**modes: str) -> Document:
    steps = {
        "n": {"kind": "math/number", "inputs": {"value": 2}},
        "i": {"kind": "math/whole"},
        "a": {"kind": "math/add", "inputs": {"b": {"join": ["i", "int"]}, "a": {"join": ["n", "float"]}}},
        "b": {"kind": "math/add", "inputs": {"a": {"join": ["a", "float"]}}},
        "t": {"kind": "math/total", "inputs": {"values": [{"join": ["b", "float"]}, {"join": ["n", "float"]}]}},
        "s": {"kind": "math/show", "inputs": {"value": {"join": ["b", "float"]}}},
    }
    for id, mode in modes.items():
        steps[id]["mode"] = mode
    return open_document({"steps": steps}, DEFS)[0]


def test_a_muted_step_and_what_needs_it_do_not_run():
    assert set(chained(b="muted").graph(DEFS).steps) == {"n", "i", "a"}


def test_a_wire_is_led_past_bypassed_steps():
    made = chained(a="bypassed", b="bypassed").graph(DEFS)
    assert set(made.steps) == {"n", "i", "t", "s"}
    assert made.steps["s"].inputs == {"value": Join("n", "float")}
    assert made.steps["t"].inputs == {"values": [Join("n", "float"), Join("n", "float")]}


def test_what_nothing_fits_past_a_bypassed_step_is_left_open():
    made = chained(n="bypassed").graph(DEFS)
    assert made.steps["a"].inputs == {"b": Join("i", "int"), "a": None}
    assert made.steps["t"].inputs == {"values": [Join("b", "float")]}


def test_bypassed_steps_in_a_circle_end():
    raw = {"steps": {
        "p": {"kind": "math/add", "inputs": {"a": {"join": ["q", "float"]}}, "mode": "bypassed"},
        "q": {"kind": "math/add", "inputs": {"a": {"join": ["p", "float"]}}, "mode": "bypassed"},
        "s": {"kind": "math/show", "inputs": {"value": {"join": ["q", "float"]}}},
    }}  # fmt: skip
    opened, problems = open_document(raw, DEFS)
    assert opened.graph(DEFS).steps["s"].inputs == {"value": None}
    assert [one.code for one in problems] == ["missing-wire"]
