from __future__ import annotations

import json
import time
from typing import Any

import pytest
from arithmetic import DEFS, Bench
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.document import open_document
from graph_runtime.document_migrations import MIGRATIONS, Renamed
from graph_runtime.graph import Graph, Join
from graph_runtime.oneshot import Changes, change
from graph_runtime.problem import Refused
from graph_runtime.subgraphs import MAX_ID
from graph_runtime.validate import MAX_STEPS


def join(step: str, output: str) -> dict[str, Any]:
    return {"join": [step, output]}


def port(name: str, type: str, *inner: tuple[str, str]) -> dict[str, Any]:
    return {"name": name, "type": type, "inner": [list(one) for one in inner]}


def plus(amount: float) -> dict[str, Any]:
    """A subgraph that adds: a → a + amount, `amount` to be set from outside."""
    return {
        "title": "Plus",
        "inputs": [port("a", "FLOAT", ("add", "a")), port("amount", "FLOAT", ("add", "plus"))],
        "outputs": [port("sum", "FLOAT", ("add", "float"))],
        "steps": {"add": {"kind": "math/add", "inputs": {"plus": amount}, "position": [1, 2], "color": "red"}},
        "groups": [{"title": "All"}],
        "notes": [],
        "view": {"zoom": 2},
    }


def document(**more: Any) -> dict[str, Any]:
    return {
        "format": "latentloom",
        "version": 1,
        "migrations": [one.name for one in MIGRATIONS],
        "title": "Sums",
        "steps": {
            "n": {"kind": "math/number", "inputs": {"value": 1.0}},
            "p": {"kind": "subgraph/plus", "inputs": {"a": join("n", "float")}},
            "q": {"kind": "subgraph/plus", "inputs": {"a": join("p", "sum"), "amount": 100.0}},
            "s": {"kind": "math/show", "inputs": {"value": join("q", "sum")}},
        },
        "targets": [],
        "groups": [],
        "notes": [],
        "definitions": {"plus": plus(10.0)},
    } | more


def test_a_document_with_subgraphs_comes_out_as_it_went_in_and_runs():
    opened, problems = open_document(json.dumps(document()), DEFS)
    assert problems == []
    assert opened.to_json() == document()
    made = opened.graph(DEFS)
    assert list(made.steps) == ["n", "p/add", "q/add", "s"]
    assert made.steps["q/add"].inputs == {"plus": 100.0, "a": Join("p/add", "float")}
    assert Bench().value(made, "s") == 111.0


def test_a_use_that_sets_nothing_takes_what_is_set_inside_and_null_sets_nothing():
    raw = document()
    raw["steps"]["q"]["inputs"]["amount"] = None
    assert Bench().value(open_document(raw, DEFS)[0].graph(DEFS), "s") == 21.0


def nested(depth: int) -> dict[str, Any]:
    """d0 adds; each other one uses the one before it."""
    definitions = {"d0": plus(1.0)}
    for n in range(1, depth):
        definitions[f"d{n}"] = {
            "inputs": [port("a", "FLOAT", ("i", "a"))],
            "outputs": [port("sum", "FLOAT", ("i", "sum"))],
            "steps": {"i": {"kind": f"subgraph/d{n - 1}"}},
        }
    steps = document()["steps"] | {"p": {"kind": f"subgraph/d{depth - 1}", "inputs": {"a": join("n", "float")}}}
    steps["s"] = {"kind": "math/show", "inputs": {"value": join("p", "sum")}}
    del steps["q"]
    return {"steps": steps, "definitions": definitions}


def test_a_thousand_levels_are_opened_without_recursion():
    opened, problems = open_document(nested(1000), DEFS)
    assert problems == []
    assert Bench().value(opened.graph(DEFS), "s") == 2.0


def codes(raw: dict[str, Any]) -> list[str]:
    """What the document is refused for; opening it names the same."""
    opened, problems = open_document(raw, DEFS)
    with pytest.raises(Refused) as refused:
        opened.graph(DEFS)
    found = [one.code for one in refused.value.problems]
    assert set(found) <= {one.code for one in problems}
    return found


def test_deeper_nesting_than_an_id_has_room_for_is_refused():
    assert codes(nested(MAX_ID)) == ["subgraph-too-deep"]


def test_a_small_file_cannot_grow_beyond_bounds():
    doubling = {
        f"d{n}": {"steps": {name: {"kind": f"subgraph/d{n - 1}"} for name in "ab"}, "inputs": [], "outputs": []}
        for n in range(1, 40)
    }
    raw = {"steps": {"x": {"kind": "subgraph/d39"}}, "definitions": doubling | {"d0": {"steps": {}}}}
    began = time.process_time()
    assert codes(raw) == ["too-many-steps"]
    assert time.process_time() - began < 10


def test_values_that_multiply_are_refused():
    ends = [("t", f"values#{n}") for n in range(100)]
    below = [("i", f"all#{n}") for n in range(100)]
    definitions: dict[str, Any] = {
        "d0": {"steps": {"t": {"kind": "math/total"}}, "inputs": [port("all", "FLOAT", *ends)], "outputs": []}
    }
    for n in range(1, 5):
        definitions[f"d{n}"] = {
            "steps": {"i": {"kind": f"subgraph/d{n - 1}"}}, "inputs": [port("all", "FLOAT", *below)], "outputs": [],
        }  # fmt: skip
    steps = {"n": {"kind": "math/number"}, "x": {"kind": "subgraph/d4", "inputs": {"all": join("n", "float")}}}
    assert codes({"steps": steps, "definitions": definitions}) == ["too-many-joins"]


def test_a_subgraph_in_itself_is_refused_however_far_around():
    definitions = {f"d{n}": {"steps": {"i": {"kind": f"subgraph/d{(n + 1) % 5}"}}} for n in range(5)}
    raw = {"steps": {"x": {"kind": "subgraph/d2"}}, "definitions": definitions}
    assert codes(raw) == ["subgraph-cycle"]
    (problem, *_) = open_document(raw, DEFS)[1]
    assert (problem.place, problem.what) == (
        "x/i/i/i/i/i", "the subgraph contains itself: d2 → d3 → d4 → d0 → d1 → d2.",
    )  # fmt: skip


def test_problems_inside_name_the_outer_and_the_inner_step():
    raw = document()
    raw["definitions"]["plus"]["steps"]["bad"] = {"kind": "math/whole", "inputs": {"value": 5_000_000}}
    found = open_document(raw, DEFS)[1]
    assert [(one.code, one.place, one.step, one.field) for one in found] == [
        ("out-of-range", f"{outer}/bad.value", f"{outer}/bad", "value") for outer in "pq"
    ]


def test_the_command_line_reaches_what_is_in_subgraphs():
    raw = document()
    inside = raw["definitions"]["plus"]
    inside["steps"]["dice"] = {"kind": "math/seeded", "inputs": {"seed": 1}}
    inside["inputs"].append(port("luck", "INT", ("dice", "seed")))
    raw["steps"]["q"]["inputs"]["luck"] = 5
    raw["definitions"]["around"] = {
        "steps": {"i": {"kind": "subgraph/plus"}}, "inputs": [port("much", "FLOAT", ("i", "amount"))], "outputs": [],
    }  # fmt: skip
    raw["steps"]["r"] = {"kind": "subgraph/around"}
    opened, _ = open_document(raw, DEFS)
    assert change(opened, DEFS, Changes(seed=77, knobs=(("p.amount", "5"), ("r.much", "2.5")))) == []
    made = opened.graph(DEFS).steps
    assert [made[id].inputs["seed"] for id in ("p/dice", "q/dice", "r/i/dice")] == [77, 77, 77]
    assert made["p/add"].inputs["plus"] == 5 and made["r/i/add"].inputs["plus"] == 2.5
    (problem,) = change(opened, DEFS, Changes(knobs=(("p.amont", "5"),)))
    assert (problem.code, problem.fix) == ("no-input", "Did you mean amount?")


def test_steps_inside_count_towards_what_is_read():
    steps = {str(i): {"kind": "math/number"} for i in range(MAX_STEPS // 2 + 1)}
    with pytest.raises(Refused) as refused:
        open_document({"steps": steps, "definitions": {"d": {"steps": steps}}}, DEFS)
    assert [one.code for one in refused.value.problems] == ["too-many-steps"]


@pytest.mark.parametrize("wrong", [1, {}, {"steps": []}, {"steps": {"a": {}}}, {"steps": {"": {"kind": "a/b"}}}])
def test_what_is_no_subgraph_is_refused_with_its_place(wrong: Any):
    with pytest.raises(Refused) as refused:
        open_document({"steps": {}, "definitions": {"d": wrong}}, DEFS)
    (problem,) = refused.value.problems
    assert problem.code == "malformed-document" and problem.place.startswith("definitions.d")


def test_migrations_reach_the_steps_inside_their_ports_and_what_the_editor_keeps_by_name():
    raw = document()
    inside = raw["definitions"]["plus"]
    inside["steps"]["add"] = {
        "kind": "math/plus", "inputs": {"constant": 10.0}, "exposed": ["constant", "other"],
        "after": {"constant": "random"}, "reroutes": {"constant#1": [[0, 0]]},
    }  # fmt: skip
    inside["inputs"][1]["inner"] = [["add", "constant"]]
    inside["outputs"][0]["inner"] = [["add", "value"]]
    migration = Renamed("2026", "math/plus", "math/add", {"constant": "plus"}, {"value": "float"})
    opened, problems = open_document(raw, DEFS, [migration])
    assert problems == []
    step = opened.definitions["plus"].steps["add"].to_json()
    assert step["exposed"] == ["plus", "other"] and step["after"] == {"plus": "random"}
    assert step["reroutes"] == {"plus#1": [[0, 0]]}
    assert Bench().value(opened.graph(DEFS), "s") == 111.0


names = st.sampled_from(["a", "b", "x", "a/b", "plus", "sum", "values#0", "values#7", "values", "float", ""])
joined = st.builds(join, names, names)
values = st.none() | st.integers(0, 3) | joined | st.lists(joined | st.integers(0, 3), max_size=3)
kinds = st.sampled_from([*list(DEFS)[:6], "subgraph/a", "subgraph/b", "subgraph/", "subgraph/x/y"])
steps_strategy = st.dictionaries(
    names.filter(bool),
    st.fixed_dictionaries(
        {"kind": kinds, "inputs": st.dictionaries(names, values, max_size=3)},
        optional={"mode": st.sampled_from(["on", "muted", "bypassed", "odd"])},
    ),
    max_size=4,
)
ports = st.lists(
    st.fixed_dictionaries({"name": names, "type": names, "inner": st.lists(st.tuples(names, names), max_size=2)})
)
definitions_strategy = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.fixed_dictionaries({"steps": steps_strategy}, optional={"inputs": ports, "outputs": ports, "odd": values}),
)


@given(steps_strategy, definitions_strategy, st.lists(names, max_size=2))
def test_whatever_subgraphs_there_are_it_is_a_graph_or_refused_and_comes_out_as_it_went_in(
    steps: dict[str, Any], definitions: dict[str, Any], targets: list[str]
):
    raw = json.loads(json.dumps({"steps": steps, "definitions": definitions, "targets": targets}))
    opened, problems = open_document(raw, DEFS)
    out = opened.to_json()
    again, problems_again = open_document(json.dumps(out), DEFS)
    assert (again.to_json(), problems_again) == (out, problems)
    for id, one in raw["definitions"].items():
        assert out["definitions"][id] == {"title": "", "inputs": [], "outputs": [], **one, "steps": {
            name: {key: value for key, value in step.items() if (key, value) != ("mode", "on")}
            for name, step in one["steps"].items()
        }}  # fmt: skip
    try:
        made = opened.graph(DEFS)
    except Refused as refused:
        assert set(refused.problems) <= set(problems)
    else:
        assert isinstance(made, Graph)
        assert not any(step.kind in ("subgraph/a", "subgraph/b") and step.kind.removeprefix("subgraph/") in definitions
                       for step in made.steps.values())  # fmt: skip
